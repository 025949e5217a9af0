"""The performance stage at work: the stored record, the lock, the replicates, the conclusion."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import torch

from kernelgate.baselines import BaselineError, SpeedRecord, gpu_slug, load_speed, propose, record_path
from kernelgate.compile_stage import Kernels
from kernelgate.gpu import Gpu, GpuError, locked
from kernelgate.operations import Convolution
from kernelgate.performance import (
    Conditions,
    Performance,
    conclude_performance,
    decide_look,
    propose_record,
)
from kernelgate.timing import ACCEPTED, CANDIDATE, CONTROL, ORIGINAL, VENDOR, Sample, measure_replicates
from kernelgate.verdict import Outcome
from kernelgate.workplace import Workplace


def load_record(root: Path, operation: Convolution, gpu: Gpu, accepted_sha256: str) -> SpeedRecord | None:
    """Return the accepted kernel's record on this GPU, None if there is none; raises BaselineError else."""
    path = record_path(root, operation.name, gpu_slug(gpu.name))
    try:
        return load_speed(path, operation=operation.name, gpu=gpu.name, kernel_sha256=accepted_sha256)
    except BaselineError as error:
        if error.reason == "missing":
            return None
        raise


def measure_performance(
    workplace: Workplace, kernels: Kernels, conditions: Conditions, tick: Callable[[], None]
) -> tuple[Performance, list[Sample]]:
    """Return what candidate against accepted comes to, the original as control, and all that was timed.

    Raises ContestantFault with the failing arm's name, GpuError if another judge keeps the GPU.
    """
    started = time.monotonic()
    arms = {
        VENDOR: None,  # the first on the GPU: where it fails, the GPU is at fault
        CANDIDATE: kernels.candidate,
        ACCEPTED: kernels.accepted,
        CONTROL: kernels.accepted,
        ORIGINAL: kernels.original,
    }
    torch.cuda.empty_cache()  # what the judge's own reference held: five arms must fit beside it
    with locked(conditions.gpu):
        measured = measure_replicates(
            workplace,
            arms,
            conditions.gpu,
            conditions.settings,
            lambda so_far: decide_look(conditions, so_far).outcome is not Outcome.UNSTABLE,
            tick,
        )
        try:
            performance = conclude_performance(conditions, measured, time.monotonic() - started)
        except torch.OutOfMemoryError as error:
            raise GpuError(f"no GPU memory left to judge the timed answers: {error}") from error
    return performance, [sample for one in measured for sample in one.samples]


def propose_speed(
    performance: Performance, kernels: Kernels, conditions: Conditions, directory: Path
) -> Path | None:
    """Write the record that would follow: of a candidate to keep, of an accepted kernel that has none."""
    verdict = performance.verdict
    if verdict.outcome is Outcome.KEEP:
        arm, kernel = CANDIDATE, kernels.candidate
    elif verdict.outcome is Outcome.NO_BASELINE or verdict.reason == "environment-changed":
        arm, kernel = ACCEPTED, kernels.accepted
    else:
        return None
    record = propose_record(performance, conditions.operation, arm, kernel.sha256, conditions.environment)
    return propose(record, directory)


def write_samples(samples: Sequence[Sample], directory: Path) -> None:
    """Write samples.jsonl, one sample a line in the order they were taken."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "samples.jsonl").write_bytes(msgspec.json.Encoder().encode_lines(samples))
