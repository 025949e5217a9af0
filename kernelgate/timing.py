"""Timing the arms against each other: replicate after replicate, until they decide."""

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from kernelgate.candidate import KernelFile
from kernelgate.contestant import Contestant
from kernelgate.gpu import Gpu
from kernelgate.measured import Measured
from kernelgate.replicate import Replicate
from kernelgate.settings import PerformanceSettings
from kernelgate.workplace import Workplace


def measure_replicates(
    workplace: Workplace,
    arms: Mapping[str, KernelFile | None],
    gpu: Gpu,
    settings: PerformanceSettings,
    is_decided: Callable[[Sequence[Measured]], bool],
    tick: Callable[[], None],
    attempt: int = 1,
) -> list[Measured]:
    """Return the replicates up to the look at which they decide, or to the last; None is the vendor's arm.

    Raises ContestantFault with the arm's name in it, GpuError as soon as another program is on the GPU.

    The processes of the next replicate import torch and the kernel file, on the CPU only, while this one is
    measured; they touch the GPU when their turn comes.
    """
    chance = random.Random()  # noqa: S311 - the order of arms, not a secret
    replicates: list[Measured] = []
    with ExitStack() as stack:
        following = _start_crew(workplace, arms, stack)
        for index in range(settings.looks[-1]):
            crew = following
            if index + 1 < settings.looks[-1]:
                following = _start_crew(workplace, arms, stack)
            place = attempt, index
            replicate = Replicate(place, workplace, crew, gpu, settings, chance)
            replicates.append(replicate.measure())
            for contestant in crew.values():
                contestant.close()
            tick()
            if len(replicates) in settings.looks and is_decided(replicates):
                break
    return replicates


def _start_crew(
    workplace: Workplace, arms: Mapping[str, KernelFile | None], stack: ExitStack
) -> dict[str, Contestant]:
    crew = {}
    for name, kernel in arms.items():
        crew[name] = stack.enter_context(workplace.start("gpu", kernel, name))
    return crew
