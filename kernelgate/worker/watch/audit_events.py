"""Help from outside the process: Python's audit events of other programs, forks, sockets and libraries."""

import os
import sys
from typing import Any

TOOLS = ("ptxas", "gcc", "cc", "clang", "x86_64-linux-gnu-gcc", "ldconfig", "lscpu", "file", "nvidia-smi")
"""What Triton and PyTorch start themselves, to build a launcher or to find a library."""

STARTS = ("os.fork", "os.forkpty", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn")
REACHES = {
    *("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo"),
    *("urllib.Request", "os.system"),
}
"""Never of the libraries: a shell, too, starts whatever it is told beside one of their tools."""

LIBRARIES = (
    "libcuda",
    "libnvidia",
    "libnvrtc",
    "libtriton",
    "libtorch",
    "libc10",
    "cuda_utils",
    "__triton",
    "launcher",
)

_seen: list[str] = []


def listen() -> None:
    """Listen from here on; there is no way to stop (PEP 578)."""
    sys.addaudithook(_hear)


def outside_help() -> tuple[str, ...]:
    """Return what was heard, each kind once."""
    return tuple(dict.fromkeys(_seen))


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event in REACHES or (event in STARTS and not _base(arguments).startswith(TOOLS)):
        _seen.append(f"the process did {event} {_base(arguments)}".rstrip())
    elif event == "subprocess.Popen" and not _base(arguments).startswith(TOOLS):
        _seen.append(f"the process started {_base(arguments)}")
    elif event == "ctypes.dlopen" and not _base(arguments).startswith(LIBRARIES):
        _seen.append(f"the process loaded {_base(arguments)}")


def _base(arguments: tuple[Any, ...]) -> str:
    """Return the file name that an event names first; nothing in its place passes for Python itself."""
    named = arguments[0] if arguments else None
    if named is None:
        return LIBRARIES[0]
    if not isinstance(named, str | bytes | os.PathLike):
        return ""
    return os.path.basename(os.fsdecode(named))  # noqa: PTH119 - may be no path at all
