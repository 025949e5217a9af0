"""Which verdict follows from an error that a stage may end in: one table for all stages."""

from collections.abc import Callable
from typing import Any

from kernelgate.baselines.store import BaselineError
from kernelgate.compilation.compiler import TooManyConfigsError
from kernelgate.kernel_file.violation import UnreadableKernel, Violation
from kernelgate.machine.gpu import GpuError
from kernelgate.performance.samples import Arm
from kernelgate.pipeline.judgement import Judgement
from kernelgate.pipeline.stage import Result, StageName, Stopped
from kernelgate.sandbox.blame import blame
from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.verdict import Outcome, Verdict, conclude

RECORD_OF = {"compile": "record", "performance": "baseline"}
"""What the reason calls the stored record that a stage reads."""

Answer = tuple[Outcome, Callable[[Any, StageName], str]]
ANSWERS: dict[type[Exception], Answer] = {
    UnreadableKernel: (Outcome.FORBIDDEN, lambda error, _: f"format-{error.violation.rule}"),
    TooManyConfigsError: (Outcome.FORBIDDEN, lambda _error, _: "too-many-configs"),
    BaselineError: (Outcome.INVALID, lambda error, stage: f"{RECORD_OF[stage]}-{error.reason}"),
    GpuError: (Outcome.INVALID, lambda error, _: error.reason),
}
"""Exception class -> outcome and reason code. A worker's fault is answered by its kind, in `blame`."""

ANSWERED: tuple[type[Exception], ...] = (*ANSWERS, WorkerFault)
"""What a stage may end in. Anything else is an error of the gate's own, and is raised."""


def stop_for(error: Exception, judgement: Judgement, stage: StageName) -> Stopped:
    """Return the end of the stage that one of ANSWERED comes to."""
    if isinstance(error, WorkerFault):
        return Stopped(_verdict_on(error, judgement, stage))
    outcome, reason = next(answer for kind, answer in ANSWERS.items() if isinstance(error, kind))
    result: Result = (error.violation,) if isinstance(error, UnreadableKernel) else None
    return Stopped(conclude(outcome, reason(error, stage), str(error)), result)


def forbid(rules: str, path: str, broken: tuple[Violation, ...]) -> Stopped:
    """Return the end of a stage whose rules the file breaks; the first one names the reason."""
    named = "; ".join(str(violation) for violation in broken)
    verdict = conclude(Outcome.FORBIDDEN, f"{rules}-{broken[0].rule}", f"{path}: {named}")
    return Stopped(verdict, broken)


def _verdict_on(fault: WorkerFault, judgement: Judgement, stage: StageName) -> Verdict:
    # `correctness` runs the candidate alone. The others name a worker by its kernel's digest, or by its arm.
    kernel = judgement.kernel
    is_candidate = stage == "correctness" or fault.worker in (kernel.sha256, Arm.CANDIDATE)
    return blame(fault, kernel.path, is_candidate=is_candidate)
