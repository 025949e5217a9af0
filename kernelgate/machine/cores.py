"""The cores that this process may use: a container or `taskset` may leave it only some."""

import os


def usable_cores() -> int:
    """Return how many cores this process, and what it starts, may run on (sched_getaffinity(2))."""
    return len(os.sched_getaffinity(0))
