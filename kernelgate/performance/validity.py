"""What makes a measurement untrustworthy: a slowed GPU, impossible times, wrong answers."""

import statistics
from collections.abc import Sequence

from scipy import stats

from kernelgate.machine.gpu import Gpu
from kernelgate.operations.convolution import Convolution
from kernelgate.performance.decision.log_ratio import TRIMMED_SHARE
from kernelgate.performance.roofline import physical_floor_ms
from kernelgate.performance.samples import (
    ACCEPTED,
    CANDIDATE,
    MeasuredReplicate,
    Sample,
)
from kernelgate.verdict import Outcome, Reason, Verdict, conclude

MAX_OVERHEAD_SHARE = 0.002
MAX_OVERHEAD_MS = 0.08
"""What the candidate's wall clock may show beside its event times, more than the accepted kernel's does.

Of groups of four replicates of identical arms on six H200s none was off by more than 0.06 ms.
"""

MAX_THROTTLED_SHARE = 0.1


def find_invalid(operation: Convolution, measured: Sequence[MeasuredReplicate], gpu: Gpu) -> Verdict | None:
    """Return why the measurement cannot be trusted, None if nothing speaks against it."""
    samples = [sample for one in measured for sample in one.samples]
    return (
        _find_throttled(measured)
        or _find_impossible(operation, samples, gpu)
        or _find_disagreeing_timer(measured)
    )


def _find_throttled(measured: Sequence[MeasuredReplicate]) -> Verdict | None:
    readings = [reading.health for one in measured for reading in one.readings]
    slowed = [health for health in readings if health.throttled]
    if len(slowed) > MAX_THROTTLED_SHARE * len(readings):
        reasons = ", ".join(sorted({reason for health in slowed for reason in health.throttled or ()}))
        detail = f"{len(slowed)} of {len(readings)} readings show {reasons}"
        return conclude(Outcome.INVALID, Reason.THROTTLED, detail)
    return None


def _find_impossible(operation: Convolution, samples: Sequence[Sample], gpu: Gpu) -> Verdict | None:
    floor_ms = physical_floor_ms(operation, operation.measured_batch, gpu.name)
    fastest = min(min(sample.times_ms) for sample in samples if sample.arm == CANDIDATE)
    if floor_ms is not None and fastest < floor_ms:
        detail = f"a call took {fastest:.4f} ms, the GPU's peaks allow {floor_ms:.4f} ms"
        return conclude(Outcome.INVALID, Reason.FASTER_THAN_PHYSICS, detail)
    return None


def _find_disagreeing_timer(measured: Sequence[MeasuredReplicate]) -> Verdict | None:
    """Find events that do not add up with the judge's wall clock: a candidate may have tampered with them.

    Too little beside them is as bad as too much: the flush may have been left out. Averaged as the times are:
    a median would not see what is hidden in fewer than half of the samples.
    """
    excess = statistics.fmean(_excess_ms(one) for one in measured)
    samples = (sample for one in measured for sample in one.samples)
    wall_ms = statistics.median(sample.wall_ms for sample in samples if sample.arm == ACCEPTED)
    allowed = MAX_OVERHEAD_MS + MAX_OVERHEAD_SHARE * wall_ms
    if not abs(excess) <= allowed:
        detail = (
            f"wall clock less events is {excess:+.3f} ms off the accepted kernel's, allowed {allowed:.3f} ms"
        )
        return conclude(Outcome.INVALID, Reason.TIMER_DISAGREES, detail)
    return None


def _excess_ms(one: MeasuredReplicate) -> float:
    """Return the overhead of the candidate's samples over the accepted kernel's, block by block."""
    blocks: dict[int, dict[str, list[float]]] = {}
    for sample in one.samples:
        blocks.setdefault(sample.block, {}).setdefault(sample.arm, []).append(sample.overhead_ms)
    contrasts = [
        statistics.fmean(arms[CANDIDATE]) - statistics.fmean(arms[ACCEPTED]) for arms in blocks.values()
    ]
    return float(stats.trim_mean(contrasts, TRIMMED_SHARE))
