"""How far this system confines a worker; asked by the judge, since a worker may say anything."""

import os
import platform
from collections.abc import Mapping
from ctypes import CDLL
from typing import Literal

import msgspec

from kernelgate.errors import KernelgateError

LANDLOCK_CREATE_RULESET, ASK_VERSION = 444, 1
LANDLOCK_WITH_TRUNCATE = 3
"""What later versions forbid, the filter of system calls forbids as well: TCP, signals, abstract sockets."""

PR_GET_SECCOMP = 21
PR_SET_DUMPABLE = 4

Required = Literal["always", "ci", "never"]


class NoSandboxError(KernelgateError):
    """The settings ask for a sandbox that this system does not have."""


class Confinement(msgspec.Struct, frozen=True, kw_only=True):
    """The version of Landlock, 0 for none, and whether system calls are filtered."""

    landlock: int
    seccomp: bool

    @property
    def is_there(self) -> bool:
        """Whether files and system calls are confined."""
        return self.landlock > 0 and self.seccomp

    @property
    def lacks(self) -> tuple[str, ...]:
        """What is left open."""
        missing = [] if self.landlock else ["files and other processes' memory are open: no Landlock"]
        if 0 < self.landlock < LANDLOCK_WITH_TRUNCATE:
            forbids = f"Landlock {self.landlock}, version {LANDLOCK_WITH_TRUNCATE} forbids it"
            missing.append(f"files of the same user can be emptied: {forbids}")
        missing += (
            [] if self.seccomp else ["sockets, signals and files' modes are open: no filter of system calls"]
        )
        return tuple(missing)


def find_confinement() -> Confinement:
    """Return what this system has."""
    libc = CDLL(None, use_errno=True)
    version = max(0, int(libc.syscall(LANDLOCK_CREATE_RULESET, None, 0, ASK_VERSION)))
    filters = libc.prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0 and platform.machine() == "x86_64"
    return Confinement(landlock=version, seccomp=filters)


def require_confinement(
    required: Literal["always", "ci", "never"],
    found: Confinement,
    environment: Mapping[str, str] = os.environ,
) -> None:
    """Raise NoSandboxError if a sandbox is required and there is none; `ci` requires it where CI is set."""
    is_required = required == "always" or (required == "ci" and bool(environment.get("CI")))
    if is_required and not found.is_there:
        raise NoSandboxError(f"a kernel file would not be confined: {'; '.join(found.lacks)}")


def hide_memory() -> None:
    """Let no other process of root's read this one's memory and environment (prctl(2)).

    Of another user CUDA needs them readable, and Landlock closes them to workers in any case.
    """
    if os.geteuid() == 0:
        CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
