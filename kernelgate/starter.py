"""Where contestants come from: copies of a process that has imported what they need, and no kernel file.

Importing PyTorch and Triton takes seconds, forking milliseconds (fork(2)). A copy is a process of its own as
any other: its CUDA context, its memory and whatever it does to its modules are its alone. It becomes a child
of the judge, since the process between them ends at once and the judge adopts orphans.
"""

import atexit
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from kernelgate import wire

PACKAGE_PARENT = Path(__file__).resolve().parents[1]
PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "CUDA_HOME", "PYTHONPATH")
"""Only these variables of the judge reach a kernel file: tokens and secrets of a runner do not."""

START_TIMEOUT_S = 120.0
MAX_REPLY_BYTES = 64
NO_COPY = "the process that contestants are copied from gave no copy"

_STARTERS: dict[wire.Mode, "Starter"] = {}
_STARTING = threading.Lock()


class StarterError(Exception):
    """No contestant could be started."""


class Starter:
    """A process that copies itself when it is asked to, and ends with the judge."""

    def __init__(self, mode: wire.Mode) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(START_TIMEOUT_S)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "kernelgate.child", mode, str(theirs.fileno())],
                cwd="/",
                env=passed_on(mode),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def start(self, start: wire.Start, descriptors: Sequence[int]) -> int:
        """Return the process id of a copy that was handed the descriptors; raises StarterError."""
        try:
            socket.send_fds(self._socket, [wire.encode(start)], list(descriptors))
            reply = self._socket.recv(MAX_REPLY_BYTES)
        except OSError as error:
            raise StarterError(f"{NO_COPY}: {error}") from error
        if not reply:
            raise StarterError(f"{NO_COPY}: it has ended")
        return int(reply)

    def close(self) -> None:
        """End the process; its copies live on."""
        self._socket.close()
        self._process.kill()
        self._process.wait()


def start_copy(mode: wire.Mode, start: wire.Start, descriptors: Sequence[int]) -> int:
    """Return the process id of a new contestant; a starter that has ended is replaced once."""
    with _STARTING:
        try:
            return _starter(mode).start(start, descriptors)
        except StarterError:
            _STARTERS.pop(mode).close()
            return _starter(mode).start(start, descriptors)


def prepare(*modes: wire.Mode) -> None:
    """Begin the imports for contestants of these modes, without waiting for them."""
    with _STARTING:
        for mode in modes:
            _starter(mode)


@atexit.register
def end_starters() -> None:
    """End all starters: the next contestant waits for the imports again."""
    with _STARTING:
        while _STARTERS:
            _STARTERS.popitem()[1].close()


def starter_pids() -> set[int]:
    """Return the process ids of the starters that run."""
    return {starter.pid for starter in _STARTERS.values()}


def passed_on(mode: wire.Mode) -> dict[str, str]:
    """Return the environment that every contestant of a mode has."""
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    paths = [str(PACKAGE_PARENT), *filter(None, [environment.get("PYTHONPATH")])]
    environment |= {
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        # Threads of a library do not survive a fork, and contestants work side by side.
        "OPENBLAS_NUM_THREADS": "1",
        # Triton 3.9 warns that the default will change; the gate always says which it uses.
        "TRITON_DEFAULT_FP_FUSION": "1",
    }
    if mode == "interpret":
        environment["TRITON_INTERPRET"] = "1"
    return environment


def _starter(mode: wire.Mode) -> Starter:
    if mode not in _STARTERS:
        _STARTERS[mode] = Starter(mode)
    return _STARTERS[mode]
