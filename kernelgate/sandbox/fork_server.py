"""Where workers come from: copies of a process that has imported what they need, and no kernel file.

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

from kernelgate import protocol
from kernelgate.sandbox.peers import is_in_batch

PACKAGE_PARENT = Path(__file__).resolve().parents[2]
PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "CUDA_HOME", "PYTHONPATH")
"""Only these variables of the judge reach a kernel file: tokens and secrets of a runner do not."""

WITHOUT_GPU: tuple[protocol.Mode, ...] = ("record", "interpret")
"""Workers that give way, in a batch, to those that use a GPU."""

START_TIMEOUT_S = 120.0
MAX_REPLY_BYTES = 64
NO_COPY = "the process that workers are copied from gave no copy"

_SERVERS: dict[protocol.Mode, "ForkServer"] = {}
_STARTING = threading.Lock()


class ForkServerError(Exception):
    """No worker could be started."""


class ForkServer:
    """A process that copies itself when it is asked to, and ends with the judge."""

    def __init__(self, mode: protocol.Mode) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(START_TIMEOUT_S)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "kernelgate.worker", mode, str(theirs.fileno())],
                cwd="/",
                env=passed_on(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        if is_in_batch() and mode in WITHOUT_GPU:
            # They run on what others leave of the cores (sched(7)).
            os.sched_setscheduler(self._process.pid, os.SCHED_IDLE, os.sched_param(0))

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def start(self, start: protocol.Start, descriptors: Sequence[int]) -> int:
        """Return the process id of a copy that was handed the descriptors; raises ForkServerError."""
        try:
            socket.send_fds(self._socket, [protocol.encode(start)], list(descriptors))
            reply = self._socket.recv(MAX_REPLY_BYTES)
        except OSError as error:
            raise ForkServerError(f"{NO_COPY}: {error}") from error
        if not reply:
            raise ForkServerError(f"{NO_COPY}: it has ended")
        return int(reply)

    def close(self) -> None:
        """End the process; its copies live on."""
        self._socket.close()
        self._process.kill()
        self._process.wait()


def start_copy(mode: protocol.Mode, start: protocol.Start, descriptors: Sequence[int]) -> int:
    """Return the process id of a new worker; a starter that has ended is replaced once."""
    with _STARTING:
        try:
            return _server(mode).start(start, descriptors)
        except ForkServerError:
            _SERVERS.pop(mode).close()
            return _server(mode).start(start, descriptors)


def prepare(*modes: protocol.Mode) -> None:
    """Begin the imports for workers of these modes, without waiting for them."""
    with _STARTING:
        for mode in modes:
            _server(mode)


@atexit.register
def end_fork_servers() -> None:
    """End all starters: the next worker waits for the imports again."""
    with _STARTING:
        while _SERVERS:
            _SERVERS.popitem()[1].close()


def fork_server_pids() -> set[int]:
    """Return the process ids of the starters that run."""
    return {starter.pid for starter in _SERVERS.values()}


def passed_on() -> dict[str, str]:
    """Return the environment that every worker has."""
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    paths = [str(PACKAGE_PARENT), *filter(None, [environment.get("PYTHONPATH")])]
    environment |= {
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        # Threads of a library do not survive a fork, and workers work side by side.
        "OPENBLAS_NUM_THREADS": "1",
        # Of the largest batches single pages are touched: each would come with 2 MB of cleared memory.
        "NUMPY_MADVISE_HUGEPAGE": "0",
        # Triton 3.9 warns that the default will change; the gate always says which it uses.
        "TRITON_DEFAULT_FP_FUSION": "1",
    }
    return environment


def _server(mode: protocol.Mode) -> ForkServer:
    if mode not in _SERVERS:
        _SERVERS[mode] = ForkServer(mode)
    return _SERVERS[mode]
