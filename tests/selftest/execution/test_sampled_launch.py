"""What is slow to interpret runs fewer programs; what others read, or what is quick, runs as asked."""

import math
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from kernelgate.execution.sampled_launch import MIN_THINNED, LaunchSeen, Sampling, run_sampled
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1

GRID = (100, 2, 1)
TOTAL = math.prod(GRID)
SAMPLING = Sampling(operation=ALEXNET_CONV1, batch=3, seed=0, seconds=4.0)


class SlowLaunch:
    """Stands in for a launch whose programs take so many seconds each, less where `chunk` run together."""

    def __init__(self, alone_s: float, together_s: float, chunk: int = 16) -> None:
        self.ready: Any = SimpleNamespace(program_s=None, chunk=chunk, compared=())
        self.launch: Any = SimpleNamespace(kernel="conv", grid=GRID, total=TOTAL, stored={})
        self.alone_s, self.together_s = alone_s, together_s
        self.timed: list[int] = []
        self.finished = 0

    def time_programs(self, programs: list[Any]) -> float:
        self.timed.append(len(programs))
        return self.together_s if len(programs) > 1 else self.alone_s

    def run(self, programs: list[Any] | None = None, **_: bool) -> None:
        self.finished += TOTAL if programs is None else len(programs)

    def count_wrote(self, _buffer: str) -> dict[tuple[int, int, int], int]:
        return {(place, row, 0): 10 + row for place in range(2) for row in range(2)}

    def result(self) -> Any:
        return SimpleNamespace(programs_run=self.finished, written={}, may_read=frozenset())


def seen(launch: SlowLaunch, *, may_thin: bool = True, **changes: Any) -> LaunchSeen:
    sampling = msgspec.structs.replace(SAMPLING, **changes)
    return run_sampled(launch, sampling, [], may_thin=may_thin)  # type: ignore[arg-type]


def test_quick_programs_all_run() -> None:
    """One was timed, and none is left out."""
    launch = SlowLaunch(0.001, 0.001)
    assert (seen(launch).programs_run, launch.timed) == (TOTAL, [1])


def test_what_the_busiest_wrote_is_told_of_a_launch_that_ran_whole() -> None:
    """A mean over the rows of the grid, of all buffers that it stores to: others are sampled by it."""
    launch = SlowLaunch(0.001, 0.001)
    launch.launch.stored = {"out": None, "rest": None}
    assert seen(launch).most_written == 2 * 11
    assert seen(SlowLaunch(0.001, 0.001)).most_written == 0


def test_programs_that_are_slow_alone_are_timed_together() -> None:
    """A chunk of them takes little longer than one."""
    launch = SlowLaunch(0.1, 0.01)
    assert (seen(launch).thinned, launch.timed) == (False, [1, 16])


@pytest.mark.parametrize(
    ("program_s", "ran"), [(0.1, 40), (0.3, 13), (3.0, MIN_THINNED), (60.0, MIN_THINNED)]
)
def test_slow_programs_run_as_far_as_there_is_time(program_s: float, ran: int) -> None:
    """Two at least: one alone would never show what two share."""
    thinned = seen(SlowLaunch(program_s, program_s))
    assert (thinned.programs_run, thinned.thinned) == (ran, True)


def test_what_a_program_takes_is_measured_once() -> None:
    """The next call of the same kernel knows it."""
    launch = SlowLaunch(3.0, 3.0)
    seen(launch)
    seen(launch)
    assert launch.timed == [1]


def test_a_launch_that_others_read_runs_whole() -> None:
    """Whatever it takes."""
    launch = SlowLaunch(60.0, 60.0)
    assert (seen(launch, may_thin=False).programs_run, launch.timed) == (TOTAL, [])
