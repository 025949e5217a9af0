"""What makes a measurement untrustworthy: a slowed GPU, impossible times, wrong answers."""

import statistics
from collections.abc import Sequence

from scipy import stats

from kernelgate.machine.gpu import Gpu
from kernelgate.operations.declaration.operation import Operation
from kernelgate.performance.roofline import physical_floor_ms
from kernelgate.performance.samples import Arm, MeasuredReplicate, Sample
from kernelgate.settings import PerformanceSettings
from kernelgate.verdict import Outcome, Reason, Verdict, conclude


def find_invalid(
    operation: Operation,
    measured: Sequence[MeasuredReplicate],
    gpu: Gpu,
    settings: PerformanceSettings,
) -> Verdict | None:
    """Return why the measurement cannot be trusted, None if nothing speaks against it."""
    return find_throttled(measured, settings) or find_untrue_times(operation, measured, gpu, settings)


def find_untrue_times(
    operation: Operation,
    measured: Sequence[MeasuredReplicate],
    gpu: Gpu,
    settings: PerformanceSettings,
    arm: str = Arm.CANDIDATE,
) -> Verdict | None:
    """Return why the times of an arm cannot be what its calls took, None if nothing speaks against them."""
    samples = [sample for one in measured for sample in one.samples]
    return _find_impossible(operation, samples, gpu, arm) or _find_disagreeing_timer(measured, settings, arm)


def find_throttled(measured: Sequence[MeasuredReplicate], settings: PerformanceSettings) -> Verdict | None:
    """Return INVALID if the GPU was slowed in too many of its readings."""
    readings = [reading.health for one in measured for reading in one.readings]
    slowed = [health for health in readings if health.throttled]
    if len(slowed) > settings.max_throttled_share * len(readings):
        reasons = ", ".join(sorted({reason for health in slowed for reason in health.throttled or ()}))
        detail = f"{len(slowed)} of {len(readings)} readings show {reasons}"
        return conclude(Outcome.INVALID, Reason.THROTTLED, detail)
    return None


def _find_impossible(operation: Operation, samples: Sequence[Sample], gpu: Gpu, arm: str) -> Verdict | None:
    floor_ms = physical_floor_ms(operation, operation.measured_batch, gpu.name)
    fastest = min(min(sample.times_ms) for sample in samples if sample.arm == arm)
    if floor_ms is not None and fastest < floor_ms:
        detail = f"a call took {fastest:.4f} ms, the GPU's peaks allow {floor_ms:.4f} ms"
        return conclude(Outcome.INVALID, Reason.FASTER_THAN_PHYSICS, detail)
    return None


def _find_disagreeing_timer(
    measured: Sequence[MeasuredReplicate], settings: PerformanceSettings, arm: str
) -> Verdict | None:
    """Find events that do not add up with the judge's wall clock.

    Too little beside them is as bad as too much: the flush may have been left out. Averaged as the times are:
    a median would not see what is hidden in fewer than half of the samples. What is allowed grows with the
    slower of both: a call that takes twenty times as long may be off by more.
    """
    excess = statistics.fmean(_excess_ms(one, settings.trimmed_share, arm) for one in measured)
    wall_ms = max(_usual_wall_ms(measured, each) for each in (arm, Arm.ACCEPTED))
    allowed = settings.max_overhead_ms + settings.max_overhead_share * wall_ms
    if not abs(excess) <= allowed:
        detail = (
            f"wall clock less events is {excess:+.3f} ms off the accepted kernel's, allowed {allowed:.3f} ms"
        )
        return conclude(Outcome.INVALID, Reason.TIMER_DISAGREES, detail)
    return None


def _usual_wall_ms(measured: Sequence[MeasuredReplicate], arm: str) -> float:
    samples = (sample for one in measured for sample in one.samples)
    return statistics.median(sample.wall_ms for sample in samples if sample.arm == arm)


def _excess_ms(one: MeasuredReplicate, trimmed_share: float, arm: str) -> float:
    """Return the overhead of the arm's samples over the accepted kernel's, block by block."""
    blocks: dict[int, dict[str, list[float]]] = {}
    for sample in one.samples:
        blocks.setdefault(sample.block, {}).setdefault(sample.arm, []).append(sample.overhead_ms)
    contrasts = [
        statistics.fmean(arms[arm]) - statistics.fmean(arms[Arm.ACCEPTED]) for arms in blocks.values()
    ]
    return float(stats.trim_mean(contrasts, trimmed_share))
