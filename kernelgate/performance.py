"""The performance stage: samples and health -> contrasts, what makes them untrustworthy, and the verdict."""

import math
import statistics
from collections.abc import Callable, Iterator, Sequence

import msgspec
import torch

from kernelgate import laws
from kernelgate.baselines import Provenance, SpeedRecord, environment_drift
from kernelgate.cases import Inputs
from kernelgate.gpu import Gpu, physical_floor_ms
from kernelgate.operations import Convolution
from kernelgate.reference import truth_everywhere
from kernelgate.settings import PerformanceSettings
from kernelgate.slowdown import Slowdown, measure_slowdown
from kernelgate.timing import (
    ACCEPTED,
    ARMS,
    CANDIDATE,
    CONTROL,
    ORIGINAL,
    VENDOR,
    Measured,
    Sample,
    TimedAnswer,
)
from kernelgate.timing_inputs import make_timing_contents, make_timing_parameters
from kernelgate.verdict import Outcome, Rule, Verdict, conclude, decide

MAX_OVERHEAD_SHARE = 0.03
MAX_OVERHEAD_MS = 0.3
"""What the candidate's wall clock may show beside its event times, more than the accepted kernel's does."""

MAX_THROTTLED_SHARE = 0.1


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """The stage's result: log-ratios with intervals, typical times for orientation, and the verdict."""

    gpu: Gpu
    batch: int
    rule: str
    candidate: Slowdown
    control: Slowdown
    candidate_to_original: Slowdown
    candidate_to_vendor: Slowdown
    accepted_to_original: Slowdown
    accepted_to_vendor: Slowdown
    time_ms: dict[str, float]
    chosen: dict[str, tuple[str, ...]]
    floor_ms: float | None
    sm_clock_mhz: tuple[int, int] | None
    seconds: float
    remarks: tuple[str, ...]
    verdict: Verdict


def conclude_performance(
    operation: Convolution,
    measured: Sequence[Measured],
    gpu: Gpu,
    rule: Rule,
    settings: PerformanceSettings,
    record: SpeedRecord | None,
    environment: Provenance,
    seconds: float,
) -> Performance:
    """Return the stage's result. Without a record the verdict is NO_BASELINE, unless something worse holds."""
    replicates = [one.replicate() for one in measured]

    def contrast(arm: str, against: str) -> Slowdown:
        return measure_slowdown(replicates, arm, against)

    candidate, control = contrast(CANDIDATE, ACCEPTED), contrast(CONTROL, ACCEPTED)
    drift = environment_drift(record, contrast(ACCEPTED, ORIGINAL), environment) if record else None
    verdict = (
        find_invalid(operation, measured, gpu, settings)
        or judge_answers(operation, [one.answer for one in measured])
        or (drift and _find_drift(drift.offset, drift.changed_keys, settings))
        or decide(rule, candidate, settings, control)
    )
    if record is None and verdict.outcome not in (Outcome.INVALID, Outcome.WRONG):
        detail = f"{gpu.name} has no record; measured here: {verdict.outcome}, {verdict.detail}"
        verdict = conclude(Outcome.NO_BASELINE, "no-record", detail)
    return Performance(
        gpu=gpu,
        batch=operation.measured_batch,
        rule=rule.value,
        candidate=candidate,
        control=control,
        candidate_to_original=contrast(CANDIDATE, ORIGINAL),
        candidate_to_vendor=contrast(CANDIDATE, VENDOR),
        accepted_to_original=contrast(ACCEPTED, ORIGINAL),
        accepted_to_vendor=contrast(ACCEPTED, VENDOR),
        time_ms={arm: _typical_ms(measured, arm) for arm in ARMS},
        chosen={arm: tuple(sorted({text for one in measured for text in one.chosen[arm]})) for arm in ARMS},
        floor_ms=physical_floor_ms(operation, operation.measured_batch, gpu.name),
        sm_clock_mhz=_clock_range(measured),
        seconds=seconds,
        remarks=tuple(_remark(measured, drift is None or drift.changed_keys)),
        verdict=verdict,
    )


def propose_record(
    performance: Performance, operation: Convolution, arm: str, kernel_sha256: str, environment: Provenance
) -> SpeedRecord:
    """Return the record that the arm, candidate or accepted, would have as the accepted kernel."""
    original, vendor = (
        (performance.candidate_to_original, performance.candidate_to_vendor)
        if arm == CANDIDATE
        else (performance.accepted_to_original, performance.accepted_to_vendor)
    )
    return SpeedRecord(
        operation=operation.name,
        gpu=performance.gpu.name,
        kernel_sha256=kernel_sha256,
        batch=performance.batch,
        environment=environment,
        log_ratio_original=original.estimate,
        log_ratio_vendor=vendor.estimate,
        error_original=original.standard_error,
        error_vendor=vendor.standard_error,
        process_sd=statistics.stdev(original.replicates),
        replicates=len(original.replicates),
        time_ms=performance.time_ms,
        history=(),
    )


def find_invalid(
    operation: Convolution, measured: Sequence[Measured], gpu: Gpu, settings: PerformanceSettings
) -> Verdict | None:
    """Return why the measurement cannot be trusted, None if nothing speaks against it."""
    samples = [sample for one in measured for sample in one.samples]
    return (
        _find_shared(measured)
        or _find_throttled(measured)
        or _find_impossible(operation, samples, gpu)
        or _find_disagreeing_timer(samples)
    )


def judge_answers(operation: Convolution, answers: Sequence[TimedAnswer]) -> Verdict | None:
    """Return the verdict WRONG if the output of a timed call is not the right answer for its contents."""
    for answer in answers:
        if answer.bits is None:
            return conclude(Outcome.WRONG, "timed-answer", "a timed call left no output of the right size")
        contents = make_timing_contents(operation, operation.measured_batch, answer.seed)
        inputs = Inputs(contents[answer.content], *make_timing_parameters(operation, answer.seed))
        truth = truth_everywhere(operation, inputs)
        got = torch.from_numpy(answer.bits.view("float32")).cuda().reshape(truth.exact.shape)
        errors = laws.measure_errors(operation, got, truth)
        broken = next(laws.check_bound(operation, got, truth, None, -1), None) or next(
            laws.check_error_ratio(errors), None
        )
        if broken is not None:
            return conclude(Outcome.WRONG, "timed-answer", f"the output of a timed call: {broken.detail}")
    return None


def _find_shared(measured: Sequence[Measured]) -> Verdict | None:
    strangers = max((h.foreign_processes or 0 for one in measured for h in one.health), default=0)
    if strangers:
        return conclude(Outcome.INVALID, "gpu-shared", f"{strangers} other processes were on the GPU")
    return None


def _find_throttled(measured: Sequence[Measured]) -> Verdict | None:
    readings = [health for one in measured for health in one.health]
    slowed = [health for health in readings if health.throttled]
    if len(slowed) > MAX_THROTTLED_SHARE * len(readings):
        reasons = ", ".join(sorted({reason for health in slowed for reason in health.throttled}))
        detail = f"{len(slowed)} of {len(readings)} readings show {reasons}"
        return conclude(Outcome.INVALID, "throttled", detail)
    return None


def _find_impossible(operation: Convolution, samples: Sequence[Sample], gpu: Gpu) -> Verdict | None:
    floor_ms = physical_floor_ms(operation, operation.measured_batch, gpu.name)
    fastest = min(min(sample.times_ms) for sample in samples if sample.arm == CANDIDATE)
    if floor_ms is not None and fastest < floor_ms:
        detail = f"a call took {fastest:.4f} ms, the GPU's peaks allow {floor_ms:.4f} ms"
        return conclude(Outcome.INVALID, "faster-than-physics", detail)
    return None


def _find_disagreeing_timer(samples: Sequence[Sample]) -> Verdict | None:
    """The events of a candidate that tampers with them no longer add up with the judge's wall clock."""
    overheads = {
        arm: statistics.median(sample.overhead_ms for sample in samples if sample.arm == arm)
        for arm in (CANDIDATE, ACCEPTED)
    }
    wall_ms = statistics.median(sample.wall_ms for sample in samples if sample.arm == ACCEPTED)
    excess = overheads[CANDIDATE] - overheads[ACCEPTED]
    allowed = MAX_OVERHEAD_MS + MAX_OVERHEAD_SHARE * wall_ms
    if not excess <= allowed:
        detail = f"wall clock less events exceeds the accepted kernel's by {excess:.3f} ms, allowed {allowed:.3f} ms"
        return conclude(Outcome.INVALID, "timer-disagrees", detail)
    return None


def _find_drift(offset: float, changed: Sequence[str], settings: PerformanceSettings) -> Verdict | None:
    if abs(offset) <= settings.max_environment_drift:
        return None
    keys = f"; other versions of {', '.join(changed)}" if changed else "; no version differs"
    detail = f"the accepted kernel is {100 * offset:+.2f} % off its record against the original{keys}"
    return conclude(Outcome.INVALID, "environment-changed", detail)


def _remark(measured: Sequence[Measured], changed: bool | tuple[str, ...]) -> Iterator[str]:
    if isinstance(changed, tuple) and changed:
        yield f"versions differ from the record's: {', '.join(changed)}"
    for arm in (CANDIDATE, ACCEPTED):
        choices = {one.chosen[arm] for one in measured}
        if len(choices) > 1:
            yield f"the autotuner of {arm} chose {len(choices)} different configurations in {len(measured)} processes"
    if all(health.foreign_processes is None for one in measured for health in one.health):
        yield "NVML does not list the processes on this GPU: whether it was shared is unknown"


def _typical_ms(measured: Sequence[Measured], arm: str) -> float:
    return math.exp(statistics.fmean(s.ln_time for one in measured for s in one.samples if s.arm == arm))


def _clock_range(measured: Sequence[Measured]) -> tuple[int, int] | None:
    clocks = [h.sm_clock_mhz for one in measured for h in one.health if h.sm_clock_mhz is not None]
    return (min(clocks), max(clocks)) if clocks else None
