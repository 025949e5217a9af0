"""Timing the arms against each other: replicate after replicate, until they decide."""

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from kernelgate.compilation.timed_plans import find_plans, name_plan
from kernelgate.execution.timed_plan import TimedPlan
from kernelgate.kernel_file.source import KernelFile
from kernelgate.machine.gpu import Gpu
from kernelgate.performance.replicate import Replicate
from kernelgate.performance.samples import MeasuredReplicate
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.settings import PerformanceSettings

VENDOR = "cuDNN, TF32 allowed"


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

    Kernel files are called by their launch plans, which the compile of each for the GPU at hand has left. The
    first replicate chooses one configuration of each file, the fastest, and the others keep to it. Raises
    WorkerFault with the arm's name in it, GpuError as soon as another program is on the GPU.
    """
    chance = random.Random()  # noqa: S311 - the order of arms, not a secret
    replicates: list[MeasuredReplicate] = []
    plans = {name: None if kernel is None else find_plans(sandbox, kernel) for name, kernel in arms.items()}
    for index in range(settings.looks[-1]):
        with ExitStack() as stack:
            crew = {name: stack.enter_context(sandbox.start_arm(each, name)) for name, each in plans.items()}
            names = {name: _name(each) for name, each in plans.items()}
            replicate = Replicate((attempt, index), sandbox, crew, names, gpu, settings, chance)
            replicates.append(replicate.measure())
        tick()
        if len(replicates) in settings.looks and is_decided(replicates):
            break
        plans = _keep_to(plans, replicate.chosen)
    return replicates


def _name(plans: tuple[TimedPlan, ...] | None) -> tuple[str, ...]:
    if plans is None:
        return (VENDOR,)
    return tuple(map(name_plan, plans))


def _keep_to(
    plans: Mapping[str, tuple[TimedPlan, ...] | None], chosen: Mapping[str, int]
) -> dict[str, tuple[TimedPlan, ...] | None]:
    """Return the plan of each arm that was chosen; arms of one file keep to the choice of the first."""
    first: dict[int, int] = {}
    for name, each in plans.items():
        first.setdefault(id(each), chosen[name])
    return {name: each and (each[first[id(each)]],) for name, each in plans.items()}
