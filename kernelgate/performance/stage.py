"""The performance stage at work: the stored record, the lock, the replicates, the conclusion."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import torch

from kernelgate.baselines.folder import RecordFolder
from kernelgate.baselines.kernels import Kernels
from kernelgate.baselines.records import SpeedRecord, gpu_slug
from kernelgate.baselines.store import ABSENT, BaselineError, load_speed, propose
from kernelgate.kernel_file.source import KernelFile
from kernelgate.machine.gpu import Gpu, GpuError, read_health
from kernelgate.machine.gpu_lock import locked
from kernelgate.operations import find_operation
from kernelgate.performance.conclusion import (
    Conditions,
    conclude_performance,
    contrasts,
    decide_look,
    not_measured_by,
    propose_record,
)
from kernelgate.performance.decision.log_ratio import Slowdown
from kernelgate.performance.replicates import measure_replicates
from kernelgate.performance.result import Performance
from kernelgate.performance.samples import Arm, MeasuredReplicate
from kernelgate.performance.samples_file import SamplesError, Timing, read_samples, write_samples
from kernelgate.performance.timed_answers import judge_answers
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.verdict import Outcome, Reason, Verdict

SAMPLES_NAME = "samples.jsonl"
BY_TIME = (Outcome.NO_BASELINE, Outcome.NO_REGRESSION, Outcome.REVERT, Outcome.REGRESSED)
"""What a timing that can be trusted comes to where the candidate is not kept."""


def load_record(records: RecordFolder, gpu: Gpu, accepted_sha256: str) -> SpeedRecord | None:
    """Return the accepted kernel's record on this GPU, None if there is none; raises BaselineError else.

    A record of the problem file as it was before is none.
    """
    path = records.path(gpu_slug(gpu.name))
    try:
        return load_speed(
            path,
            operation=records.name,
            gpu=gpu.name,
            kernel_sha256=accepted_sha256,
            problem=records.problem,
        )
    except BaselineError as error:
        if error.reason in ABSENT:
            return None
        raise


def measure_performance(
    sandbox: Sandbox, kernels: Kernels, conditions: Conditions, tick: Callable[[], None]
) -> tuple[Performance, list[list[MeasuredReplicate]]]:
    """Return what candidate against accepted comes to, the original as control, and all that was timed.

    What is UNSTABLE is tried again, up to the attempts of the settings; nothing else is. Raises WorkerFault
    with the failing arm's name, GpuError if the GPU is not to be had alone.
    """
    attempts: list[list[MeasuredReplicate]] = []
    remarks: tuple[str, ...] = ()
    torch.cuda.empty_cache()  # what the judge's own reference held: five arms must fit beside it
    with locked(conditions.gpu):
        while True:
            started = time.monotonic()
            attempts.append(_measure(sandbox, kernels, conditions, tick, len(attempts) + 1))
            performance = _conclude(conditions, attempts[-1], time.monotonic() - started)
            is_last = len(attempts) == conditions.settings.attempts
            if is_last or performance.verdict.outcome is not Outcome.UNSTABLE:
                break
            remarks = (f"tried again after {performance.verdict.reason}: {performance.verdict.detail}",)
    return msgspec.structs.replace(performance, remarks=(*remarks, *performance.remarks)), attempts


def _measure(
    sandbox: Sandbox, kernels: Kernels, conditions: Conditions, tick: Callable[[], None], attempt: int
) -> list[MeasuredReplicate]:
    arms: dict[str, KernelFile | None] = {
        Arm.VENDOR: None,  # the first on the GPU: where it fails, the GPU is at fault
        Arm.CANDIDATE: kernels.candidate,
        Arm.ACCEPTED: kernels.accepted,
        Arm.CONTROL: kernels.accepted,
        Arm.ORIGINAL: kernels.original,
    }

    def settle(one: MeasuredReplicate) -> MeasuredReplicate:
        tick()
        return _judge_answers(conditions, one)

    def is_decided(so_far: Sequence[MeasuredReplicate]) -> bool:
        return decide_look(conditions, so_far).outcome is not Outcome.UNSTABLE

    gpu, settings = conditions.gpu, conditions.settings
    try:
        return measure_replicates(sandbox, arms, gpu, settings, is_decided, settle, attempt)
    except WorkerFault:
        read_health(gpu, set())  # which raises GpuError: a GPU that fell off is no arm's fault
        raise


def _judge_answers(conditions: Conditions, one: MeasuredReplicate) -> MeasuredReplicate:
    """Return the replicate without its timed answers if all are right; those of a wrong one are kept."""
    with memory_named():
        if judge_answers(conditions.operation, one.answers, conditions.laws):
            return one
    torch.cuda.empty_cache()  # as before the first replicate
    return msgspec.structs.replace(one, answers=())


def _conclude(conditions: Conditions, measured: Sequence[MeasuredReplicate], seconds: float) -> Performance:
    with memory_named():
        return conclude_performance(conditions, measured, seconds)


@contextmanager
def memory_named() -> Iterator[None]:
    """Have a lack of GPU memory in the judge itself raise GpuError, which says so."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        detail = f"no GPU memory left to judge the timed answers: {error}"
        raise GpuError(detail, Reason.GPU_MEMORY) from error


def propose_speed(
    performance: Performance, kernels: Kernels, conditions: Conditions, directory: Path
) -> Path | None:
    """Write the record that would follow: of a candidate to keep, of an accepted kernel that has none."""
    verdict, records = performance.verdict, conditions.records
    lacks_record = conditions.record is None and verdict.outcome in BY_TIME
    if records is None:
        return None
    if verdict.outcome is Outcome.KEEP:
        arm, kernel = Arm.CANDIDATE, kernels.candidate
    elif kernels.accepted and (lacks_record or verdict.reason is Reason.ENVIRONMENT_CHANGED):
        arm, kernel = Arm.ACCEPTED, kernels.accepted
    else:
        return None
    return propose(
        propose_record(performance, records, arm, kernel.sha256, conditions.environment), directory
    )


def keep_samples(
    conditions: Conditions, attempts: Sequence[Sequence[MeasuredReplicate]], directory: Path
) -> Path:
    """Return samples.jsonl of the report directory, written with all that was timed."""
    timing = Timing(
        operation=conditions.operation.name,
        gpu=conditions.gpu,
        rule=conditions.rule,
        settings=conditions.settings,
        laws=conditions.laws,
        environment=conditions.environment,
        ada_path=conditions.ada_path,
    )
    return write_samples(timing, attempts, directory / SAMPLES_NAME)


def replay(file: Path) -> tuple[Verdict, list[Slowdown]]:
    """Return what the samples of a file come to, and the contrasts that say so; raises SamplesError.

    The last attempt decides, as it did. Neither the answers nor the stored record are asked again.
    """
    timing, attempts = read_samples(file)
    try:
        conditions = Conditions(
            operation=find_operation(timing.operation),
            gpu=timing.gpu,
            rule=timing.rule,
            settings=timing.settings,
            laws=timing.laws,
            record=None,
            environment=timing.environment,
        )
        contrast = contrasts(timing.settings, attempts[-1])
        verdict = decide_look(conditions, attempts[-1])
        if timing.ada_path:
            verdict = not_measured_by(timing.gpu, verdict)
        return verdict, [contrast(Arm.CANDIDATE, Arm.ACCEPTED), contrast(Arm.CONTROL, Arm.ACCEPTED)]
    except (ValueError, KeyError) as error:
        raise SamplesError(f"{file}: {error.args[0]}") from error
