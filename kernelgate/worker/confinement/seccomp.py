"""seccomp: the system calls that no kernel file has a use for, and every socket but those between processes.

seccomp(2) and its filters, in the classic BPF of linux/filter.h; numbers are those of x86-64.
"""

import ctypes
import errno
import platform
import struct

from kernelgate.worker.confinement.system_calls import LIBC, checked

PR_SET_SECCOMP, MODE_FILTER = 22, 2
AUDIT_ARCH_X86_64 = 0xC000003E
X32_BIT = 0x40000000
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06

REFUSED = {
    "ptrace": 101,
    "process_vm_readv": 310,
    "process_vm_writev": 311,
    "pidfd_getfd": 438,
    "kcmp": 312,
    "bpf": 321,
    "perf_event_open": 298,
    "userfaultfd": 323,
    "add_key": 248,
    "request_key": 249,
    "keyctl": 250,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "mount": 165,
    "umount2": 166,
    "pivot_root": 155,
    "chroot": 161,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "mount_setattr": 442,
    "unshare": 272,
    "setns": 308,
    "open_by_handle_at": 304,
    "init_module": 175,
    "finit_module": 313,
    "delete_module": 176,
    "kexec_load": 246,
    "kexec_file_load": 320,
    "reboot": 169,
    "swapon": 167,
    "swapoff": 168,
    "process_madvise": 440,
    "personality": 135,
}
"""What reaches into other processes, into the kernel, or out of the sandbox."""

SOCKET, SOCKETPAIR, CLONE, CLONE3 = 41, 53, 56, 435
AF_UNIX = 1
NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET."""


def is_supported() -> bool:
    """Return whether there is a filter for this machine's system calls."""
    return platform.machine() == "x86_64" and platform.system() == "Linux"


def refuse_calls() -> bool:
    """Refuse the calls to this process and all that it starts; returns False where there is no filter."""
    if not is_supported():
        return False
    program = b"".join(_program())
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    checked(LIBC.prctl(PR_SET_SECCOMP, MODE_FILTER, header, 0, 0), "seccomp")
    return True


def _program() -> list[bytes]:
    refuse, allow = _give(REFUSE | errno.EPERM), _give(ALLOW)
    program = [_load(_ARCHITECTURE), _jump(_EQUAL, AUDIT_ARCH_X86_64, 1, 0), refuse]
    program += [_load(_NUMBER), _jump(_AT_LEAST, X32_BIT, 0, 1), refuse]
    for number in REFUSED.values():
        program += [_jump(_EQUAL, number, 0, 1), refuse]
    # Its flags lie in memory, which a filter cannot read; libraries fall back to clone.
    program += [_jump(_EQUAL, CLONE3, 0, 1), _give(REFUSE | errno.ENOSYS)]
    for number in (SOCKET, SOCKETPAIR):
        program += [_jump(_EQUAL, number, 0, 4), _load(_FIRST_ARGUMENT), _jump(_EQUAL, AF_UNIX, 0, 1)]
        program += [allow, refuse]
    program += [_jump(_EQUAL, CLONE, 0, 4), _load(_FIRST_ARGUMENT), _jump(_ANY_BIT, NEW_NAMESPACES, 0, 1)]
    return [*program, refuse, allow, allow]


def _load(offset: int) -> bytes:
    return struct.pack("HBBI", _LOAD, 0, 0, offset)


def _jump(test: int, value: int, then: int, otherwise: int) -> bytes:
    return struct.pack("HBBI", test, then, otherwise, value)


def _give(value: int) -> bytes:
    return struct.pack("HBBI", _RETURN, 0, 0, value)
