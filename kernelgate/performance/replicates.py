"""Timing the arms against each other: replicate after replicate, until they decide."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from kernelgate.compilation.timed_plans import find_plans, name_plan
from kernelgate.execution.timed_plan import TimedPlan
from kernelgate.kernel_file.source import KernelFile
from kernelgate.machine.gpu import Gpu
from kernelgate.performance.replicate import Crew, Replicate
from kernelgate.performance.samples import MeasuredReplicate
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.worker_process import Worker
from kernelgate.settings import PerformanceSettings

Plans = dict[str, tuple[TimedPlan, ...] | None]
"""The plans of each arm; None is the vendor's."""


def measure_replicates(
    sandbox: Sandbox,
    arms: Mapping[str, KernelFile | None],
    gpu: Gpu,
    settings: PerformanceSettings,
    is_decided: Callable[[Sequence[MeasuredReplicate]], bool],
    settle: Callable[[MeasuredReplicate], MeasuredReplicate],
    attempt: int = 1,
) -> list[MeasuredReplicate]:
    """Return the replicates up to the look at which they decide, or to the last; None is the vendor's arm.

    Kernel files are called by their launch plans, which the compile of each for the GPU at hand has left. The
    first replicate chooses one configuration of each file, the fastest, and the others keep to it. Each
    replicate is settled while the next processes get ready, on another thread: whatever that does on the GPU,
    nothing is timed meanwhile. What it returns stands for the replicate. Raises WorkerFault with the arm's
    name in it, GpuError as soon as another program is on the GPU.
    """
    chance = random.Random()  # noqa: S311 - the order of arms, not a secret
    replicates: list[MeasuredReplicate] = []
    plans = plans_of(sandbox, arms)
    with ThreadPoolExecutor(1) as beside:
        settled: list[Future[MeasuredReplicate]] = []
        for index in range(settings.looks[-1]):
            with open_crew(sandbox, plans) as crew:
                replicate = Replicate((attempt, index), sandbox, crew, gpu, settings, chance)
                replicate.prepare()
                if settled:
                    settled[-1].result()
                replicates.append(replicate.measure())
                settled.append(beside.submit(settle, replicates[-1]))
            if len(replicates) in settings.looks and is_decided(replicates):
                break
            plans = keep_to(plans, replicate.chosen)
        return [each.result() for each in settled]


def plans_of(sandbox: Sandbox, arms: Mapping[str, KernelFile | None]) -> Plans:
    """Return the plans of each arm that the compile has left, None for the vendor's."""
    return {name: None if kernel is None else find_plans(sandbox, kernel) for name, kernel in arms.items()}


@contextmanager
def open_crew(sandbox: Sandbox, plans: Plans) -> Iterator[Crew]:
    """Give a fresh process of each arm; all of them are ended at once."""
    workers: dict[str, Worker] = {}
    try:
        for name, each in plans.items():
            workers[name] = sandbox.start_arm(each, name)
        yield Crew(workers, {name: _name(sandbox, each) for name, each in plans.items()})
    finally:
        with ThreadPoolExecutor(len(plans)) as together:
            for ended in [together.submit(worker.close) for worker in workers.values()]:
                ended.result()


def _name(sandbox: Sandbox, plans: tuple[TimedPlan, ...] | None) -> tuple[str, ...]:
    if plans is None:
        return (sandbox.operation.reference.vendor_name,)
    return tuple(map(name_plan, plans))


def keep_to(plans: Plans, chosen: Mapping[str, int]) -> Plans:
    """Return the plan of each arm that was chosen; arms of one file keep to the choice of the first."""
    first: dict[int, int] = {}
    for name, each in plans.items():
        first.setdefault(id(each), chosen[name])
    return {name: each and (each[first[id(each)]],) for name, each in plans.items()}
