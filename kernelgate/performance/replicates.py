"""Timing the arms against each other: replicate after replicate, until they decide."""

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from kernelgate.compilation.timed_plans import find_plans
from kernelgate.execution.timed_plan import TimedPlan
from kernelgate.kernel_file.source import KernelFile
from kernelgate.machine.gpu import Gpu
from kernelgate.performance.replicate import Replicate
from kernelgate.performance.samples import MeasuredReplicate
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.worker_process import Worker
from kernelgate.settings import PerformanceSettings


def measure_replicates(
    sandbox: Sandbox,
    arms: Mapping[str, KernelFile | None],
    gpu: Gpu,
    settings: PerformanceSettings,
    is_decided: Callable[[Sequence[MeasuredReplicate]], bool],
    tick: Callable[[], None],
    attempt: int = 1,
) -> list[MeasuredReplicate]:
    """Return the replicates up to the look at which they decide, or to the last; None is the vendor's arm.

    Kernel files are called by their launch plans, which the compile of each for the GPU at hand has left.
    Raises WorkerFault with the arm's name in it, GpuError as soon as another program is on the GPU.

    The processes of the next replicate start while this one is measured; they touch the GPU when their turn
    comes.
    """
    chance = random.Random()  # noqa: S311 - the order of arms, not a secret
    replicates: list[MeasuredReplicate] = []
    plans = {name: None if kernel is None else find_plans(sandbox, kernel) for name, kernel in arms.items()}
    with ExitStack() as stack:
        following = _start_crew(sandbox, plans, stack)
        for index in range(settings.looks[-1]):
            crew = following
            if index + 1 < settings.looks[-1]:
                following = _start_crew(sandbox, plans, stack)
            place = attempt, index
            replicate = Replicate(place, sandbox, crew, gpu, settings, chance)
            replicates.append(replicate.measure())
            for worker in crew.values():
                worker.close()
            tick()
            if len(replicates) in settings.looks and is_decided(replicates):
                break
    return replicates


def _start_crew(
    sandbox: Sandbox, plans: Mapping[str, tuple[TimedPlan, ...] | None], stack: ExitStack
) -> dict[str, Worker]:
    return {name: stack.enter_context(sandbox.start_arm(each, name)) for name, each in plans.items()}
