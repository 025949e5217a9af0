"""Replicates of a timing that never took place, by what each arm took in each of them."""

import math
from collections.abc import Mapping, Sequence

from kernelgate.machine.gpu import Gpu, Health
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.performance.conclusion import Conditions
from kernelgate.performance.samples import Arm, MeasuredReplicate, Reading, Sample
from kernelgate.verdict import Rule
from tests.selftest.support.made_up_records import ENVIRONMENT
from tests.selftest.support.project_settings import LAWS, PERFORMANCE

BLOCKS = 4
CONDITIONS = Conditions(
    operation=ALEXNET_CONV1,
    gpu=Gpu(name="NVIDIA H200", uuid="GPU-0", capability=90, driver="580", l2_bytes=50 * 2**20),
    rule=Rule.TUNE,
    settings=PERFORMANCE,
    laws=LAWS,
    record=None,
    environment=ENVIRONMENT,
)


def make_replicate(
    index: int,
    slowdown: float = 0.0,
    attempt: int = 1,
    chosen: Mapping[str, str] | None = None,
    clocks_mhz: Mapping[str, int] | None = None,
) -> MeasuredReplicate:
    """Return a replicate in which the candidate is slower than every other arm by that log-ratio."""
    samples = [
        Sample(
            attempt=attempt,
            replicate=index,
            block=block,
            slot=slot,
            arm=arm,
            seed=0,
            times_ms=(time_ms := 2.0 * math.exp(slowdown * (arm == Arm.CANDIDATE)),) * 3,
            wall_ms=3 * time_ms + 1.0,
        )
        for block in range(BLOCKS)
        for slot, arm in enumerate((*Arm, *reversed(Arm)))
    ]
    readings = [
        Reading(block=block, arm=arm, health=_health((clocks_mhz or {}).get(arm, 1980)))
        for block, arm in enumerate(Arm)
    ]
    return MeasuredReplicate(
        samples=tuple(samples),
        chosen={arm: ((chosen or {}).get(arm, "one"),) for arm in Arm},
        readings=tuple(readings),
        answers=(),
    )


def make_replicates(slowdowns: Sequence[float], attempt: int = 1) -> list[MeasuredReplicate]:
    """Return one replicate for each log-ratio."""
    return [make_replicate(index, each, attempt) for index, each in enumerate(slowdowns)]


def _health(clock_mhz: int) -> Health:
    return Health(sm_clock_mhz=clock_mhz, temperature_c=50, throttled=(), foreign_processes=0)
