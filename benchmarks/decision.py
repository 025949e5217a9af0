"""One decision of the performance stage, as the gate makes it, on kernel files that need no other stage."""

import time

import msgspec

from kernelgate.candidate import KernelFile
from kernelgate.compile_check import Target, compile_kernels
from kernelgate.compile_stage import Kernels
from kernelgate.contestant import ContestantFault
from kernelgate.environment import describe_environment
from kernelgate.gpu import Gpu
from kernelgate.measured import Measured
from kernelgate.operations import ALEXNET_CONV1
from kernelgate.performance import Conditions, decide_look
from kernelgate.performance_stage import measure_performance
from kernelgate.settings import Settings
from kernelgate.verdict import Outcome, Rule, conclude
from kernelgate.workplace import Workplace


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


def decide(gpu: Gpu, settings: Settings, candidate: KernelFile, accepted: KernelFile) -> Decision:
    """Return the decision; the accepted kernel stands for the original too. Raises GpuError."""
    conditions = Conditions(
        operation=ALEXNET_CONV1,
        gpu=gpu,
        rule=Rule.TUNE,
        settings=settings.performance,
        record=None,
        environment=describe_environment(gpu.driver),
    )
    kernels = Kernels(candidate=candidate, accepted=accepted, original=accepted)
    workplace = Workplace(ALEXNET_CONV1, settings.limits)
    try:
        targets = [Target(capability=gpu.capability)]
        compile_kernels(workplace, dict.fromkeys((candidate, accepted), targets))
        started = time.monotonic()
        performance, attempts = measure_performance(workplace, kernels, conditions, lambda: None)
    except ContestantFault as fault:
        kept = conclude(Outcome.WRONG, fault.kind, f"{fault.contestant}: {fault.detail}")
        return Decision(outcome=kept.outcome, detail=f"{kept.reason}: {kept.detail}")
    finally:
        workplace.close()
    verdict = performance.verdict
    if verdict.outcome is Outcome.NO_BASELINE:
        verdict = decide_look(conditions, attempts[-1])
    return Decision(
        outcome=verdict.outcome,
        detail=f"{verdict.reason}: {verdict.detail}",
        told_gain=performance.candidate.gain,
        attempts=len(attempts),
        replicates=sum(map(len, attempts)),
        seconds=time.monotonic() - started,
        gpu_seconds=sum(map(_gpu_seconds, attempts)),
    )


def _gpu_seconds(measured: list[Measured]) -> float:
    return sum(sample.wall_ms for one in measured for sample in one.samples) / 1000
