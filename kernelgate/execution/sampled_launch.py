"""One launch of a plan on the interpreter: all of its programs, or those that tell most of the others."""

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from kernelgate.execution.sampling import (
    Program,
    busiest_written,
    choose_landmarks,
    choose_programs,
    count_idle,
    find_owners,
    two_of_each_row,
)
from kernelgate.interpreter.launch import LaunchRun
from kernelgate.operations.declaration.operation import Operation

MIN_FOLLOWED_BATCH = 256
"""From here on numbers of items, tiles and elements outgrow the types that hold them."""

MIN_LANDMARK_BATCH = 100
"""From here on a sample is a small part of the programs: those that a number may name are run as well."""

MANY_LAUNCHES = 8
FEW_PROGRAMS = 3
"""A file that works in parts launches a hundred times: after some alike a few programs of each are enough."""


MIN_THINNED = 2
"""Of programs that take longer than the time there is: one alone would never show what two share."""


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """Of which kernels so many programs are run, at which batch of an operation; of others all are.

    All programs of a launch run in order or `backwards`: no GPU promises either. Of a launch that may be
    sampled and would take more `seconds` than these, fewer run.
    """

    operation: Operation
    batch: int
    seed: int
    programs: int = 0
    kernels: tuple[str, ...] = ()
    backwards: bool = False
    seconds: float = math.inf


class LaunchSeen(msgspec.Struct, frozen=True, kw_only=True):
    """What a launch did; `wrote` and `may_read` are buffers by name, the latter None for any."""

    kernel: str
    grid: Program
    programs_run: int
    programs_idle: int
    most_written: int
    thinned: bool
    wrote: frozenset[str]
    may_read: frozenset[str] | None


def run_sampled(
    run: LaunchRun, sampling: Sampling, before: Sequence[LaunchSeen], *, may_thin: bool = False
) -> LaunchSeen:
    """Run a launch's programs, sampled or all, after those launches of the same call.

    If they take long and it `may_thin` them, since nothing reads what they write, it runs fewer.
    """
    launch = run.launch
    alike = [each for each in before if (each.kernel, each.grid) == (launch.kernel, launch.grid)]
    count = sampling.programs if launch.kernel in sampling.kernels else 0
    count = min(count, FEW_PROGRAMS) if len(alike) >= MANY_LAUNCHES else count
    idle = most = 0
    wanted = min(count or launch.total, launch.total)
    affordable = _affordable(run, sampling, wanted) if may_thin and wanted else wanted
    thinned = affordable < wanted
    if thinned:
        run.run(choose_programs(launch.grid, affordable, sampling.batch, sampling.seed))
    elif count == 0 or launch.total <= count:
        run.run(backwards=sampling.backwards)
        is_counted = count or may_thin  # one that no small batch launches is not known to be sampled
        most = _busiest(run) if is_counted else 0
    else:
        idle, most = _Sample(run, sampling, alike).run(count)
    result = run.result()
    return LaunchSeen(
        kernel=launch.kernel,
        grid=launch.grid,
        programs_run=result.programs_run,
        programs_idle=idle,
        most_written=most,
        thinned=thinned,
        wrote=frozenset(name for name, count in result.written.items() if count),
        may_read=result.may_read,
    )


def _busiest(run: LaunchRun) -> int:
    """Return the elements of the busiest program, of all buffers together."""
    launch = run.launch
    return sum(busiest_written(launch.grid, run.count_wrote(name)) for name in launch.stored)


def _affordable(run: LaunchRun, sampling: Sampling, wanted: int) -> int:
    """Return how many of the programs fit the time; of a kernel that is new, some are run to learn that.

    One by itself takes longer than its share of a chunk, which counts.
    """
    ready, seconds = run.ready, sampling.seconds
    for together in (1, min(ready.chunk, wanted)):
        if ready.program_s is None or (together > 1 and _is_too_long(ready.program_s, wanted, seconds)):
            some = choose_programs(run.launch.grid, together, sampling.batch, sampling.seed)
            if ready.program_s is None or len(some) * ready.program_s <= seconds:
                ready.program_s = run.time_programs(some)
    assert ready.program_s is not None
    if not _is_too_long(ready.program_s, wanted, seconds):
        return wanted
    return min(wanted, max(MIN_THINNED, int(seconds / ready.program_s)))


def _is_too_long(program_s: float, count: int, seconds: float) -> bool:
    return program_s * count > seconds


class _Sample:
    """The programs of a launch that are chosen, and those that these lead to."""

    def __init__(self, run: LaunchRun, sampling: Sampling, alike: Sequence[LaunchSeen]) -> None:
        self.launch_run, self.sampling, self.alike = run, sampling, alike
        self.grid = run.launch.grid
        self.ran: set[Program] = set()

    def run(self, count: int) -> tuple[int, int]:
        """Return how many programs are idle, and what the busiest wrote."""
        batch, seed, idle = self.sampling.batch, self.sampling.seed, 0
        self._run(choose_programs(self.grid, count, batch, seed))
        if not self.alike and batch > MIN_LANDMARK_BATCH:
            numbers, pixels = self.launch_run.ready.compared, self.sampling.operation.pixels
            self._run(choose_landmarks(self.grid, numbers, batch, pixels))
        if batch >= MIN_FOLLOWED_BATCH:
            if len(self.alike) < MANY_LAUNCHES:
                self._run(self._find_owners())
            known = self.alike[-1].programs_idle if self.alike else None
            idle = count_idle(self.grid, self._writes, seed, known)
            if idle and known is None:
                self._run(two_of_each_row(self.grid, idle))
        if idle and self.alike:
            return idle, self.alike[-1].most_written
        return idle, _busiest(self.launch_run)

    def _run(self, programs: Sequence[Program]) -> None:
        fresh = [program for program in dict.fromkeys(programs) if program not in self.ran]
        self.ran.update(fresh)
        if fresh:
            self.launch_run.run(fresh)

    def _writes(self, program: Program) -> bool:
        self._run([program])
        return any(program in each for each in self._written().values())

    def _written(self) -> dict[str, Mapping[Program, NDArray[np.int64]]]:
        """Return for each buffer what each program wrote."""
        return {name: self.launch_run.wrote(name) for name in self.launch_run.launch.stored}

    def _find_owners(self) -> list[Program]:
        """Return the programs in whose place those that ran seem to have written."""
        operation, batch = self.sampling.operation, self.sampling.batch
        _, features, *inner = operation.output_shape(batch)
        pixels, outputs = math.prod(inner), math.prod(operation.output_shape(batch))

        def pixel_of(places: NDArray[np.int64]) -> NDArray[np.int64]:
            return places // (features * pixels) * pixels + places % pixels

        owners: list[Program] = []
        for name, wrote in self._written().items():
            if self.launch_run.launch.memory.buffers[name].units == outputs:
                owners += find_owners(self.grid, wrote, outputs // features, pixel_of)
        return owners
