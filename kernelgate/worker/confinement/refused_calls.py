"""Which system calls a worker is refused: always, or by an argument; numbers are those of x86-64.

What a path names is Landlock's to guard. Here stands what Landlock does not see.
"""

from typing import NamedTuple

AF_UNIX = 1
PRIO_PROCESS = 0
NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET."""

_OTHER_PROCESSES = {
    "ptrace": 101,
    "process_vm_readv": 310,
    "process_vm_writev": 311,
    "process_madvise": 440,
    "pidfd_getfd": 438,
    "pidfd_send_signal": 424,
    "kcmp": 312,
    "ioprio_set": 251,
}
_KERNEL = {
    "bpf": 321,
    "perf_event_open": 298,
    "userfaultfd": 323,
    "add_key": 248,
    "request_key": 249,
    "keyctl": 250,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "init_module": 175,
    "finit_module": 313,
    "delete_module": 176,
    "kexec_load": 246,
    "kexec_file_load": 320,
    "reboot": 169,
    "swapon": 167,
    "swapoff": 168,
    "personality": 135,
}
_NAMESPACES = {
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
    "open_tree_attr": 467,
    "unshare": 272,
    "setns": 308,
    "open_by_handle_at": 304,
}
_METADATA = {
    "chmod": 90,
    "fchmod": 91,
    "fchmodat": 268,
    "fchmodat2": 452,
    "chown": 92,
    "fchown": 93,
    "lchown": 94,
    "fchownat": 260,
    "utime": 132,
    "utimes": 235,
    "futimesat": 261,
    "utimensat": 280,
    "setxattr": 188,
    "lsetxattr": 189,
    "fsetxattr": 190,
    "setxattrat": 463,
    "removexattr": 197,
    "lremovexattr": 198,
    "fremovexattr": 199,
    "removexattrat": 466,
    "file_setattr": 469,
}
"""Mode, owner, times and attributes of files: Landlock lets a user change those of all that is theirs."""

_SHARED = {
    "shmget": 29,
    "shmat": 30,
    "shmctl": 31,
    "semget": 64,
    "semop": 65,
    "semctl": 66,
    "semtimedop": 220,
    "msgget": 68,
    "msgsnd": 69,
    "msgrcv": 70,
    "msgctl": 71,
    "mq_open": 240,
    "mq_unlink": 241,
}
"""Memory, semaphores and messages that are found by a number or a name, not by a path."""

_SOCKETS = {
    "connect": 42,
    "sendmsg": 46,
    "sendmmsg": 307,
}
"""The ways to a socket of somebody else, also to one that lies at a path, such as docker's.

A worker answers over pipes. CUDA looks for a daemon at such paths (MPS, nvidia-persistenced) and does without
where none answers. `bind` stays: CUDA binds an abstract socket at its start, `@cuda-uvmfd-...`.
"""

REFUSED = _OTHER_PROCESSES | _KERNEL | _NAMESPACES | _METADATA | _SHARED | _SOCKETS

CLONE3 = 435
"""Its flags lie in memory, which a filter cannot read; libraries fall back to clone where there is none."""

CLONE = 56
"""Refused with any of NEW_NAMESPACES in its first argument."""


def low(argument: int) -> int:
    """Return which word of 32 bits holds an argument, or the low half of an address."""
    return 2 * argument


def high(argument: int) -> int:
    """Return which word of 32 bits holds the high half of an address."""
    return 2 * argument + 1


class ByWord(NamedTuple):
    """A call by its number, and for words of its arguments the values that count."""

    number: int
    values: dict[int, tuple[int, ...]]


def allowed_only(own_pid: int) -> dict[str, ByWord]:
    """Return the calls that are refused unless each word has one of its values.

    A signal, a limit or a priority is for the process itself, by its id or by 0. What it starts it may wait
    for, and not signal. Of a thread other than the first only the C library's `tgkill` is left.
    """
    itself = (0, own_pid)
    return {
        "socket": ByWord(41, {low(0): (AF_UNIX,)}),
        "socketpair": ByWord(53, {low(0): (AF_UNIX,)}),
        "sendto": ByWord(44, {low(4): (0,), high(4): (0,)}),  # without an address
        "kill": ByWord(62, {low(0): itself}),
        "tkill": ByWord(200, {low(0): (own_pid,)}),
        "tgkill": ByWord(234, {low(0): (own_pid,)}),
        "rt_sigqueueinfo": ByWord(129, {low(0): (own_pid,)}),
        "rt_tgsigqueueinfo": ByWord(297, {low(0): (own_pid,)}),
        "prlimit64": ByWord(302, {low(0): itself}),
        "setpriority": ByWord(141, {low(0): (PRIO_PROCESS,), low(1): itself}),
        "sched_setparam": ByWord(142, {low(0): itself}),
        "sched_setscheduler": ByWord(144, {low(0): itself}),
        "sched_setattr": ByWord(314, {low(0): itself}),
        "sched_setaffinity": ByWord(203, {low(0): itself}),
        "migrate_pages": ByWord(256, {low(0): itself}),
        "move_pages": ByWord(279, {low(0): itself}),
    }


REFUSED_BY_COMMAND = {
    # F_SETOWN, F_SETSIG, F_SETOWN_EX: a file that signals whom it is told to.
    "fcntl": ByWord(72, {low(1): (8, 10, 15)}),
    # FIOSETOWN and SIOCSPGRP, the same; FS_IOC_SETFLAGS and FS_IOC_FSSETXATTR, attributes of a file.
    "ioctl": ByWord(16, {low(1): (0x8901, 0x8902, 0x40086602, 0x401C5820)}),
}
"""The calls that are refused where the word has one of its values."""
