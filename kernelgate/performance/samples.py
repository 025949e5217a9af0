"""What a timing leaves: samples, readings of the GPU beside them, and answers to judge, by replicate."""

import math
import statistics
from enum import StrEnum
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from kernelgate.machine.gpu import Health
from kernelgate.performance.decision.log_ratio import BlockTimes

Milliseconds = Annotated[float, msgspec.Meta(gt=0, le=1e9)]


class Arm(StrEnum):
    """One of the kernels that are timed side by side; `control` is the accepted kernel once more.

    The records below name an arm by any text: the benchmarks time others beside these.
    """

    CANDIDATE = "candidate"
    ACCEPTED = "accepted"
    CONTROL = "control"
    ORIGINAL = "original"
    VENDOR = "vendor"


class Sample(msgspec.Struct, frozen=True, kw_only=True, tag="sample", forbid_unknown_fields=True):
    """One request for timed calls, as asked and as answered; contents are made from `seed` and after."""

    attempt: int
    replicate: int
    block: int
    slot: int
    arm: str
    seed: int
    times_ms: Annotated[tuple[Milliseconds, ...], msgspec.Meta(min_length=1)]
    wall_ms: Milliseconds

    @property
    def ln_time(self) -> float:
        """Log of the mean call time: work that is put off from one call to another gains nothing by it."""
        return math.log(statistics.fmean(self.times_ms))

    @property
    def overhead_ms(self) -> float:
        """Wall-clock time of the request that the events do not explain: flushes, refills, the pipe."""
        return self.wall_ms - sum(self.times_ms)


class Reading(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the GPU was while the kernels of an arm ran, once a block."""

    block: int
    arm: str
    health: Health


class TimedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Elements of the output of a timed call of a candidate, to be judged as any other.

    `arm` is whose call it was. The seeds are those of the parameters, of the call's contents and of the
    elements' places.
    """

    arm: str = Arm.CANDIDATE
    parameters: int
    contents: int
    places: int
    bits: NDArray[np.uint32] | None


class MeasuredReplicate(msgspec.Struct, frozen=True, kw_only=True):
    """One replicate: a fresh set of processes. `chosen` names the fastest configuration of each arm."""

    samples: tuple[Sample, ...]
    chosen: dict[str, tuple[str, ...]]
    readings: tuple[Reading, ...]
    answers: tuple[TimedAnswer, ...]

    def replicate(self) -> BlockTimes:
        """Return the mean ln time of each arm in each block."""
        blocks: dict[int, dict[str, list[float]]] = {}
        for sample in self.samples:
            blocks.setdefault(sample.block, {}).setdefault(sample.arm, []).append(sample.ln_time)
        return BlockTimes(
            blocks=tuple({arm: statistics.fmean(v) for arm, v in block.items()} for block in blocks.values())
        )
