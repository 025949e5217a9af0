"""What a process gives up of its user's rights: the capabilities of root, and limits of its own.

With root's capabilities it could read any process's memory and environment (capabilities(7)).
"""

import contextlib
import ctypes
import resource
import struct

from kernelgate.worker.confinement.system_calls import LIBC, checked

CAPSET = 126
VERSION_3 = 0x20080522
PR_CAPBSET_DROP, PR_CAP_AMBIENT, CLEAR_ALL = 24, 47, 4
CAPABILITIES = 64

MAX_FILE_BYTES = 2**32
"""More than the largest answer that is sent as a file."""

MAX_OPEN_FILES = 4096


def drop_capabilities() -> None:
    """Give up all capabilities, also of programs that are started; raises OSError."""
    for number in range(CAPABILITIES):
        LIBC.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)  # only root may, and only those that there are
    LIBC.prctl(PR_CAP_AMBIENT, CLEAR_ALL, 0, 0, 0)
    header, nothing = struct.pack("=Ii", VERSION_3, 0), ctypes.create_string_buffer(24)
    checked(LIBC.syscall(CAPSET, header, nothing), "capset")


def limit_resources() -> None:
    """Leave no core dump, no file larger than an answer, no more open files than a call needs."""
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, MAX_FILE_BYTES)
    _lower(resource.RLIMIT_NOFILE, MAX_OPEN_FILES)


def _lower(limit: int, most: int) -> None:
    _, hard = resource.getrlimit(limit)
    value = most if hard == resource.RLIM_INFINITY else min(most, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(limit, (value, value))
