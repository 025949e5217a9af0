"""One decision of the performance stage, as the gate makes it, on kernel files that need no other stage."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from kernelgate.baselines.kernels import Kernels
from kernelgate.compilation.compiler import compile_kernels
from kernelgate.compilation.machine_code.compiled_kernel import target_at_hand
from kernelgate.kernel_file.source import KernelFile
from kernelgate.machine.gpu import Gpu, GpuError
from kernelgate.machine.versions import describe_environment
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.performance.conclusion import Conditions
from kernelgate.performance.samples import Arm, MeasuredReplicate
from kernelgate.performance.stage import measure_performance
from kernelgate.sandbox.blame import blame
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.settings import Settings
from kernelgate.verdict import Outcome, Rule


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided, after how many attempts and replicates, and what it cost.

    `seconds` is all of the stage, of every attempt; `gpu_seconds` the part in which requests of samples ran.
    """

    outcome: Outcome
    detail: str
    told_gain: float | None = None
    attempts: int = 0
    replicates: int = 0
    seconds: float = 0.0
    gpu_seconds: float = 0.0


@contextmanager
def compiled(gpu: Gpu, settings: Settings, *kernels: KernelFile) -> Iterator[Sandbox]:
    """Give a sandbox in which these kernel files are compiled for the GPU; raises WorkerFault."""
    sandbox = Sandbox(ALEXNET_CONV1, settings.limits)
    try:
        targets = [target_at_hand(gpu.capability, None)]
        compile_kernels(sandbox, dict.fromkeys(kernels, targets))
        yield sandbox
    finally:
        sandbox.close()


def decide(
    sandbox: Sandbox, gpu: Gpu, settings: Settings, candidate: KernelFile, accepted: KernelFile
) -> Decision:
    """Return the decision; the accepted kernel stands for the original too."""
    conditions = Conditions(
        operation=sandbox.operation,
        gpu=gpu,
        rule=Rule.TUNE,
        settings=settings.performance,
        laws=settings.laws,
        record=None,
        environment=describe_environment(gpu.driver),
    )
    kernels = Kernels(candidate=candidate, accepted=accepted, original=accepted)
    started = time.monotonic()
    try:
        performance, attempts = measure_performance(sandbox, kernels, conditions, lambda: None)
    except WorkerFault as fault:
        return of_fault(fault, candidate, seconds=time.monotonic() - started)
    except GpuError as error:
        return Decision(
            outcome=Outcome.INVALID,
            detail=f"{error.reason}: {error}",
            seconds=time.monotonic() - started,
        )
    verdict = performance.verdict
    return Decision(
        outcome=verdict.outcome,
        detail=f"{verdict.reason}: {verdict.detail}",
        told_gain=performance.candidate.gain,
        attempts=len(attempts),
        replicates=sum(map(len, attempts)),
        seconds=time.monotonic() - started,
        gpu_seconds=sum(map(_gpu_seconds, attempts)),
    )


def of_fault(fault: WorkerFault, candidate: KernelFile, seconds: float = 0.0) -> Decision:
    """Return the decision that a worker's failure is, in the compile or while it was timed."""
    is_candidate = fault.worker in (Arm.CANDIDATE, candidate.sha256)
    verdict = blame(fault, Path(candidate.path).name, is_candidate=is_candidate)
    return Decision(outcome=verdict.outcome, detail=f"{verdict.reason}: {verdict.detail}", seconds=seconds)


def _gpu_seconds(measured: Sequence[MeasuredReplicate]) -> float:
    return sum(sample.wall_ms for one in measured for sample in one.samples) / 1000
