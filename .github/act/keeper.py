"""Runs a command for its owner. All that the command started ends with it, or with the owner.

    keeper.py FOLDER COMMAND...

The owner holds the other end of standard input. If it is gone first, by whatever signal, its FOLDER is
removed. Exit code: the command's, or 1 where it did not come to its end.
"""

import ctypes
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
POLL_S = 0.02
OWNED = re.compile(r"kernelgate-(?:act-)?(\d+)-")
"""Folders of runs, and of gates (kernelgate/sandbox/scratch.py), bear the process that removes them."""

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - only folders of processes that are gone are touched


def main(folder: Path, command: list[str]) -> int:
    """Return the exit code of the command, after nothing of it is left."""
    adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    scratch = {SHARED_MEMORY, Path(tempfile.gettempdir()), folder.parent}
    sweep(scratch)  # of runs that nobody could clean up after
    try:
        running = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        ended = wait_for(running.pid)
        return running.wait() if ended else 1
    finally:
        end_descendants()
        if is_closed(sys.stdin.fileno()):
            shutil.rmtree(folder, ignore_errors=True)
        sweep(scratch)


def adopt_orphans() -> None:
    """Make whatever loses its parent a child of this process, so that nothing slips away (prctl(2))."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def wait_for(pid: int) -> bool:
    """Return whether the process came to its end; if not, its owner is gone."""
    end = os.pidfd_open(pid)
    waiting = select.poll()
    waiting.register(end, select.POLLIN)
    waiting.register(sys.stdin.fileno(), select.POLLHUP)
    return end in dict(waiting.poll())


def is_closed(pipe: int) -> bool:
    """Return whether nobody holds the other end of a pipe."""
    waiting = select.poll()
    waiting.register(pipe, select.POLLHUP)
    return bool(waiting.poll(0))


def end_descendants() -> None:
    """End every process that this one started, and what those started."""
    while children := psutil.Process().children(recursive=True):
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        reap()
        time.sleep(POLL_S)


def reap() -> None:
    """Collect the children that have ended, or they stay in the list of processes."""
    with suppress(ChildProcessError):  # raised where there is no child at all
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def sweep(scratch: set[Path]) -> None:
    """Remove from these places the folders of runs and gates whose process is gone."""
    for left in (each for place in scratch for each in place.glob("kernelgate-*")):
        named = OWNED.match(left.name)
        if named and not psutil.pid_exists(int(named[1])):
            shutil.rmtree(left, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
