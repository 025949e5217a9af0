"""Workers and the processes that they start: who they are, what they hold, and their end."""

import contextlib
import ctypes
import os
import select
import threading
import time
from collections.abc import Iterator, Set
from pathlib import Path

import psutil

PR_SET_CHILD_SUBREAPER = 36

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

LOOK_SECONDS = 0.25
"""So old a look at all processes may be: many wait for workers at once, and each look takes milliseconds."""


class Child:
    """A child of the judge that another process started: what `subprocess.Popen` offers of its own."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: int | None = None

    def poll(self) -> int | None:
        """Return the exit status, the negative number of the signal that ended it, or None while it runs."""
        if self._status is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = os.waitstatus_to_exitcode(status) if ended else None
        return self._status

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Return how it ended, None if it has not after that time."""
        if self.poll() is None:
            descriptor = os.pidfd_open(self.pid)
            select.select([descriptor], [], [], timeout_s)
            os.close(descriptor)
        return self.poll()

    def send(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


def adopt_orphans() -> None:
    """Make orphans of workers children of the judge, so that a daemon cannot slip away (prctl(2))."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_orphans(ours: Set[int]) -> None:
    """End adopted children until only ours are left: only workers start sessions, so they are theirs."""
    while orphans := [child for child in psutil.Process().children() if _is_orphan(child.pid, ours)]:
        for orphan in orphans:
            kill(orphan)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(orphan.pid, 0)


def _is_orphan(pid: int, ours: Set[int]) -> bool:
    try:
        return pid not in ours and os.getsid(pid) != os.getsid(0)
    except ProcessLookupError:
        return False


def descendants(pid: int) -> list[psutil.Process]:
    """Return the children of a process and theirs; none of a process that is gone."""
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def recent_descendants(pid: int) -> list[int]:
    """Return the ids of the children of a process and theirs, as of a moment ago."""
    return _LOOK.descendants(pid)


class _Look:
    """Who is whose child, looked up at most once in a while, whoever asks."""

    def __init__(self) -> None:
        self._lock, self._looked_at = threading.Lock(), -LOOK_SECONDS
        self._children: dict[int, list[int]] = {}

    def descendants(self, pid: int) -> list[int]:
        """Return the ids of the children of a process and theirs."""
        with self._lock:
            if time.monotonic() - self._looked_at >= LOOK_SECONDS:
                self._children = {}
                for child, parent in _parents():
                    self._children.setdefault(parent, []).append(child)
                self._looked_at = time.monotonic()
        found = list(self._children.get(pid, ()))
        for each in found:
            found += self._children.get(each, ())
        return found


_LOOK = _Look()


def _parents() -> Iterator[tuple[int, int]]:
    """Yield each process with its parent, the second field after the name in brackets (proc(5))."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):  # it has ended
                yield int(folder.name), int((folder / "stat").read_bytes().rpartition(b")")[2].split()[1])


def is_alive(process: psutil.Process) -> bool:
    """Whether a process runs: one that has ended and waits for its parent does not."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def resident_bytes(pid: int) -> int:
    """Return the host memory that a process holds, 0 for one that is gone."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_bytes().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * PAGE_BYTES


def cpu_seconds(pid: int) -> float:
    """Return how long processors have worked for a process, 0 for one that is gone."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def kill(process: psutil.Process) -> None:
    """End a process, if it has not ended."""
    with contextlib.suppress(psutil.Error):
        process.kill()
