"""How long a request may take: the time in which its processes wait for a core is not theirs.

Linux counts it, in the second number of `/proc/PID/task/TID/schedstat` (nanoseconds). A process that sleeps
does not wait for a core, so it is not spared.
"""

import time
from collections.abc import Iterable
from pathlib import Path

MOST_TIMES = 10
"""So many times its limit a request may take on the wall, however little it runs."""

NANOSECONDS = 1e-9


class Patience:
    """The limit of one request, in seconds that are the worker's own."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self.waited_s = 0.0
        self._began = time.monotonic()
        self._seen: dict[int, float] = {}

    def note(self, pids: Iterable[int]) -> None:
        """Take note of how long processes have waited so far.

        Nothing counts of what they had waited at the first time; all of what later ones have.
        """
        waits = {pid: waited_for_core_s(pid) for pid in pids}
        if self._seen:
            self.waited_s += sum(max(0.0, wait - self._seen.get(pid, 0.0)) for pid, wait in waits.items())
        self._seen |= waits

    @property
    def is_over(self) -> bool:
        """Whether the worker has used up its own time."""
        return self._elapsed_s - self.waited_s > self.limit_s

    @property
    def is_starved(self) -> bool:
        """Whether the request has waited for cores for so long that nothing can be said of it."""
        return self._elapsed_s > MOST_TIMES * self.limit_s

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() - self._began


def waited_for_core_s(pid: int) -> float:
    """Return how long the thread that waited most has waited for a core; 0 for a process that is gone."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:  # ESRCH too, where it ends between the opening and the reading
        return 0
    return NANOSECONDS * max((_waited_ns(each / "schedstat") for each in threads), default=0)


def _waited_ns(file: Path) -> int:
    try:
        return int(file.read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):  # it has ended, or the system does not count
        return 0
