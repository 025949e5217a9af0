"""The cores that this process may use: a batch, a container or `taskset` may leave it only some."""

import itertools
import os
from collections.abc import Sequence


def usable_cores() -> list[int]:
    """Return the cores that this process, and what it starts, may run on (sched_getaffinity(2))."""
    return sorted(os.sched_getaffinity(0))


def keep_to(cores: Sequence[int]) -> None:
    """Have this process, and what it starts from now on, run on these cores alone."""
    os.sched_setaffinity(0, cores)


def share_out(cores: Sequence[int], shares: int) -> list[list[int]]:
    """Return so many shares of the cores, as equal as can be; all of them each where there are too few."""
    if shares > len(cores):
        return [list(cores)] * shares
    ends = [len(cores) * number // shares for number in range(shares + 1)]
    return [list(cores[first:end]) for first, end in itertools.pairwise(ends)]
