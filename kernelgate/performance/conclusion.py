"""The performance stage's conclusion: contrasts of the arms, the verdict, and the record they make."""

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import msgspec

from kernelgate.baselines.folder import RecordFolder
from kernelgate.baselines.records import SpeedRecord
from kernelgate.machine.gpu import Gpu
from kernelgate.machine.versions import Provenance
from kernelgate.operations.declaration.operation import Operation
from kernelgate.performance.decision.drift import Drift, environment_drift, find_creep
from kernelgate.performance.decision.instability import find_doubts
from kernelgate.performance.decision.interim_looks import confidence_at
from kernelgate.performance.decision.log_ratio import Slowdown, measure_slowdown
from kernelgate.performance.decision.rule import decide
from kernelgate.performance.result import Performance
from kernelgate.performance.roofline import physical_floor_ms
from kernelgate.performance.samples import Arm, MeasuredReplicate
from kernelgate.performance.timed_answers import judge_answers
from kernelgate.performance.validity import find_invalid
from kernelgate.settings import LawLimits, PerformanceSettings
from kernelgate.verdict import Outcome, Reason, Rule, Verdict, conclude


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """Under which a candidate is timed; no record means that this GPU has none.

    `records` says where they lie, None where none are kept: then, and for a problem that has none yet, the
    rule table decides alone. With `ada_path` the kernels ran by the code
    of an RTX 4090 on another GPU.
    """

    operation: Operation
    gpu: Gpu
    rule: Rule
    settings: PerformanceSettings
    laws: LawLimits
    record: SpeedRecord | None
    environment: Provenance
    ada_path: bool = False
    records: RecordFolder | None = None


def conclude_performance(
    conditions: Conditions, measured: Sequence[MeasuredReplicate], seconds: float
) -> Performance:
    """Return the stage's result; without a record that is required it is NO_BASELINE, or something worse.

    By the code of another GPU it is NOT_MEASURED in the same way.
    """
    operation, gpu = conditions.operation, conditions.gpu
    contrast = contrasts(conditions.settings, measured)

    accepted_to_original = contrast(Arm.ACCEPTED, Arm.ORIGINAL)
    return Performance(
        gpu=gpu,
        batch=operation.measured_batch,
        rule=conditions.rule.value,
        band=(conditions.settings.noise_gain, conditions.settings.proven_gain),
        candidate=contrast(Arm.CANDIDATE, Arm.ACCEPTED),
        control=contrast(Arm.CONTROL, Arm.ACCEPTED),
        candidate_to_original=contrast(Arm.CANDIDATE, Arm.ORIGINAL),
        candidate_to_vendor=contrast(Arm.CANDIDATE, Arm.VENDOR),
        accepted_to_original=accepted_to_original,
        accepted_to_vendor=contrast(Arm.ACCEPTED, Arm.VENDOR),
        time_ms={arm: _typical_ms(measured, arm) for arm in Arm},
        chosen={arm: tuple(sorted({text for one in measured for text in one.chosen[arm]})) for arm in Arm},
        floor_ms=physical_floor_ms(operation, operation.measured_batch, gpu.name),
        sm_clock_mhz=_clock_range(measured),
        seconds=seconds,
        remarks=tuple(_remark(measured, conditions, accepted_to_original)),
        verdict=_judge(conditions, measured, accepted_to_original),
        ada_path=conditions.ada_path,
    )


def decide_look(conditions: Conditions, measured: Sequence[MeasuredReplicate]) -> Verdict:
    """Return what the replicates so far come to: what cannot be trusted first, then the rule table.

    UNSTABLE before the last look means that more replicates may decide.
    """
    contrast = contrasts(conditions.settings, measured)
    candidate, control = contrast(Arm.CANDIDATE, Arm.ACCEPTED), contrast(Arm.CONTROL, Arm.ACCEPTED)
    settings = conditions.settings
    invalid = find_invalid(conditions.operation, measured, conditions.gpu, settings)
    doubts = tuple(find_doubts(measured, candidate, settings))
    return invalid or decide(conditions.rule, candidate, settings, control, doubts)


def contrasts(
    settings: PerformanceSettings, measured: Sequence[MeasuredReplicate]
) -> Callable[[str, str], Slowdown]:
    """Return what gives the log-ratio of two arms, with the interval of the last look reached."""
    return partial(
        measure_slowdown,
        [one.replicate() for one in measured],
        confidence=confidence_at(settings, len(measured)),
        trimmed_share=settings.trimmed_share,
    )


def _judge(
    conditions: Conditions, measured: Sequence[MeasuredReplicate], accepted_to_original: Slowdown
) -> Verdict:
    """Return the verdict: what cannot be trusted, what is wrong, the rule table, the record."""
    verdict = decide_look(conditions, measured)
    if verdict.outcome is Outcome.INVALID:
        return verdict
    answers = [answer for one in measured for answer in one.answers]
    if wrong := judge_answers(conditions.operation, answers, conditions.laws):
        return wrong
    if conditions.ada_path:
        return not_measured_by(conditions.gpu, verdict)
    if verdict.outcome is Outcome.UNSTABLE:
        return verdict
    return _hold_against_record(conditions, measured, accepted_to_original, verdict)


def _hold_against_record(
    conditions: Conditions,
    measured: Sequence[MeasuredReplicate],
    accepted_to_original: Slowdown,
    verdict: Verdict,
) -> Verdict:
    if conditions.record is None:
        if conditions.records is None or not conditions.records.is_required:
            return verdict
        detail = f"{conditions.gpu.name} has no record; measured here: {verdict.outcome}, {verdict.detail}"
        return conclude(Outcome.NO_BASELINE, Reason.NO_RECORD, detail)
    drift = environment_drift(conditions.record, accepted_to_original, conditions.environment)
    if changed := _find_drift(drift, conditions.settings):
        return changed
    candidate_to_original = contrasts(conditions.settings, measured)(Arm.CANDIDATE, Arm.ORIGINAL)
    creep = find_creep(conditions.record, candidate_to_original, conditions.settings)
    return conclude(Outcome.REGRESSED, Reason.CREEP, creep) if creep and verdict.outcome.passes else verdict


def not_measured_by(gpu: Gpu, verdict: Verdict) -> Verdict:
    """Return the verdict on kernels that ran by an RTX 4090's code on another GPU; INVALID stays as it is."""
    if verdict.outcome is Outcome.INVALID:
        return verdict
    detail = f"an RTX 4090's code on {gpu.name} decides nothing for either of them: there {verdict.detail}"
    return conclude(Outcome.NOT_MEASURED, Reason.ANOTHER_GPUS_CODE, detail)


def propose_record(
    performance: Performance, records: RecordFolder, arm: str, kernel_sha256: str, environment: Provenance
) -> SpeedRecord:
    """Return the record that the arm, candidate or accepted, would have as the accepted kernel."""
    original, vendor = (
        (performance.candidate_to_original, performance.candidate_to_vendor)
        if arm == Arm.CANDIDATE
        else (performance.accepted_to_original, performance.accepted_to_vendor)
    )
    return SpeedRecord(
        operation=records.name,
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
        problem=records.problem,
    )


def _find_drift(drift: Drift, settings: PerformanceSettings) -> Verdict | None:
    if abs(drift.offset) <= settings.max_environment_drift:
        return None
    keys = (
        f"other versions of {', '.join(drift.changed_keys)}" if drift.changed_keys else "no version differs"
    )
    off = f"the accepted kernel is {100 * drift.offset:+.2f} % off its record against the original"
    return conclude(Outcome.INVALID, Reason.ENVIRONMENT_CHANGED, f"{off}; {keys}")


def _remark(
    measured: Sequence[MeasuredReplicate], conditions: Conditions, accepted_to_original: Slowdown
) -> Iterator[str]:
    if conditions.record is not None:
        drift = environment_drift(conditions.record, accepted_to_original, conditions.environment)
        if drift.is_beyond_chance:
            way = "more" if drift.offset > 0 else "less"
            took = f"the accepted kernel took {100 * abs(drift.offset):.2f} % {way} time than by its record"
            yield f"{took}, both against the original: {abs(drift.offset) / drift.error:.1f} standard errors"
        if drift.changed_keys:
            yield f"versions differ from the record's: {', '.join(drift.changed_keys)}"
    for arm in (Arm.CANDIDATE, Arm.ACCEPTED):
        choices = {one.chosen[arm] for one in measured}
        if len(choices) > 1:
            yield f"the autotuner of {arm} chose {len(choices)} ways in {len(measured)} processes"
    if all(reading.health.foreign_processes is None for one in measured for reading in one.readings):
        yield "NVML does not list the processes on this GPU: whether it was shared is unknown"


def _typical_ms(measured: Sequence[MeasuredReplicate], arm: str) -> float:
    return math.exp(statistics.fmean(s.ln_time for one in measured for s in one.samples if s.arm == arm))


def _clock_range(measured: Sequence[MeasuredReplicate]) -> tuple[int, int] | None:
    healths = (reading.health for one in measured for reading in one.readings)
    clocks = [health.sm_clock_mhz for health in healths if health.sm_clock_mhz is not None]
    return (min(clocks), max(clocks)) if clocks else None
