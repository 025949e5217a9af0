"""seccomp: a filter of system calls, which the kernel asks before each of them, for ever.

seccomp(2) and its filters, in the classic BPF of linux/filter.h.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator

from kernelgate.worker.confinement.refused_calls import (
    CLONE,
    CLONE3,
    NEW_NAMESPACES,
    REFUSED,
    REFUSED_BY_COMMAND,
    allowed_only,
    low,
)
from kernelgate.worker.confinement.system_calls import LIBC, checked

PR_SET_SECCOMP, MODE_FILTER = 22, 2
AUDIT_ARCH_X86_64 = 0xC000003E
X32_BIT = 0x40000000
_NUMBER, _ARCHITECTURE, _ARGUMENTS, _WORD_BYTES = 0, 4, 16, 4
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06


def is_supported() -> bool:
    """Return whether there is a filter for this machine's system calls."""
    return platform.machine() == "x86_64" and platform.system() == "Linux"


def refuse_calls() -> bool:
    """Refuse the calls to this process and all that it starts; returns False where there is no filter.

    What it may do to itself alone is told by its process id of now: a copy of it may do less.
    """
    if not is_supported():
        return False
    program = b"".join(_program(os.getpid()))
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    checked(LIBC.prctl(PR_SET_SECCOMP, MODE_FILTER, header, 0, 0), "seccomp")
    return True


def _step(operation: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("HBBI", operation, then, otherwise, value)


_ALLOW = _step(_RETURN, 0x7FFF0000)
_REFUSE = _step(_RETURN, 0x00050000 | errno.EPERM)
_UNKNOWN = _step(_RETURN, 0x00050000 | errno.ENOSYS)


def _program(own_pid: int) -> Iterator[bytes]:
    yield from (_step(_LOAD, _ARCHITECTURE), _step(_EQUAL, AUDIT_ARCH_X86_64, 1, 0), _REFUSE)
    yield from (_step(_LOAD, _NUMBER), _step(_AT_LEAST, X32_BIT, 0, 1), _REFUSE)
    for number in REFUSED.values():
        yield from _for_call(number, [_REFUSE])
    yield from _for_call(CLONE3, [_UNKNOWN])
    yield from _for_call(CLONE, [_load(low(0)), _step(_ANY_BIT, NEW_NAMESPACES, 0, 1), _REFUSE, _ALLOW])
    for number, values in allowed_only(own_pid).values():
        tests = [step for word, few in values.items() for step in _unless(word, few, _REFUSE)]
        yield from _for_call(number, [*tests, _ALLOW])
    for number, values in REFUSED_BY_COMMAND.values():
        tests = [step for word, few in values.items() for step in _unless(word, few, _ALLOW)]
        yield from _for_call(number, [*tests, _REFUSE])
    yield _ALLOW


def _for_call(number: int, steps: list[bytes]) -> list[bytes]:
    """Return steps that are passed over for any other call; the last of them ends the program."""
    return [_step(_EQUAL, number, 0, len(steps)), *steps]


def _unless(word: int, values: tuple[int, ...], end: bytes) -> list[bytes]:
    """Return steps that end the program so unless a word of the arguments has one of the values."""
    tests = (_step(_EQUAL, value, len(values) - place, 0) for place, value in enumerate(values))
    return [_load(word), *tests, end]


def _load(word: int) -> bytes:
    return _step(_LOAD, _ARGUMENTS + _WORD_BYTES * word)
