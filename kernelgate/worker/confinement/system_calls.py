"""Calls of the kernel that Python has no names for, and what is said when one fails."""

import ctypes
import os

LIBC = ctypes.CDLL(None, use_errno=True)

PR_SET_NO_NEW_PRIVS = 38


def checked(result: int, what: str) -> int:
    """Return the result of a call; raises OSError, which names it, if it failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def forgo_new_privileges() -> None:
    """Let no program that is started from here on have more rights than this process (prctl(2))."""
    checked(LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
