"""Which verdict follows from an error that a stage may end in: one table for all stages."""

from collections.abc import Callable
from typing import Any

import msgspec

from kernelgate.baselines.store import BaselineError
from kernelgate.compilation.compiler import TooManyConfigsError
from kernelgate.compilation.recording import UnplannedError
from kernelgate.errors import InputsError
from kernelgate.kernel_file.violation import UnreadableKernel, Violation
from kernelgate.machine.gpu import GpuError
from kernelgate.next_steps import MEND, MEND_WHAT
from kernelgate.operations.problem.problem import ProblemError
from kernelgate.performance.samples import Arm
from kernelgate.pipeline.judgement import Judgement
from kernelgate.pipeline.stage import Result, StageName, Stopped
from kernelgate.plan_book.book import BookError
from kernelgate.sandbox.blame import blame
from kernelgate.sandbox.confinement import NoSandboxError
from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.verdict import Outcome, Reason, Verdict, conclude

RECORD_OF = {"compile": "record", "performance": "baseline"}
"""What the reason calls the stored record that a stage reads."""

ANSWERS: dict[type[Exception], Callable[[Any, StageName], Reason]] = {
    UnreadableKernel: lambda error, _: Reason.of(f"format-{error.violation.rule}"),
    TooManyConfigsError: lambda _error, _: Reason.TOO_MANY_CONFIGS,
    BaselineError: lambda error, stage: Reason.of(f"{RECORD_OF[stage]}-{error.reason}"),
    GpuError: lambda error, _: error.reason,
    BookError: lambda _error, _: Reason.PLAN_BOOK,
    InputsError: lambda _error, _: Reason.GATE_FAULT,
    ProblemError: lambda error, _: Reason.of(f"problem-{error.kind}"),
    NoSandboxError: lambda _error, _: Reason.NO_SANDBOX,
}
"""Exception class -> reason, which has its outcome. A worker's fault is answered by its kind, in `blame`."""

ANSWERED: tuple[type[Exception], ...] = (*ANSWERS, WorkerFault, UnplannedError)
"""What a stage may end in. Anything else is an error of the gate's own, and is raised."""


def stop_for(error: Exception, judgement: Judgement, stage: StageName) -> Stopped:
    """Return the end of the stage that one of ANSWERED comes to."""
    if isinstance(error, WorkerFault):
        return Stopped(_verdict_on(error, judgement, stage))
    if isinstance(error, UnplannedError):
        return Stopped(_verdict_on_unplanned(error, judgement))
    reason = next(answer for kind, answer in ANSWERS.items() if isinstance(error, kind))(error, stage)
    result: Result = (error.violation,) if isinstance(error, UnreadableKernel) else None
    return Stopped(conclude(reason.outcome, reason, str(error)), result)


def forbid(rules: str, path: str, broken: tuple[Violation, ...], why: str = "") -> Stopped:
    """Return the end of a stage whose rules the file breaks; the first one names the reason."""
    named = "; ".join([*map(str, broken), *([why] if why else [])])
    verdict = conclude(Outcome.FORBIDDEN, Reason.of(f"{rules}-{broken[0].rule}"), f"{path}: {named}")
    return Stopped(verdict, broken)


def _verdict_on_unplanned(error: UnplannedError, judgement: Judgement) -> Verdict:
    kernel = judgement.kernel
    if error.kernel_sha256 != kernel.sha256:
        detail = f"not the candidate but {error.kernel_sha256[:16]} cannot be planned: {error}"
        return conclude(Outcome.INVALID, Reason.ARM_UNPLANNED, detail)
    reason = Reason.of(error.reason)
    return conclude(reason.outcome, reason, f"{kernel.path}: {error}")


def _verdict_on(fault: WorkerFault, judgement: Judgement, stage: StageName) -> Verdict:
    # `correctness` runs the candidate alone. The others name a worker by its kernel's digest, or by its arm.
    kernel = judgement.kernel
    is_candidate = stage == "correctness" or fault.worker in (kernel.sha256, Arm.CANDIDATE)
    verdict = blame(fault, kernel.path, is_candidate=is_candidate)
    if stage != "correctness" and verdict.next_step == MEND:  # there is no case to see alone
        return msgspec.structs.replace(verdict, next_step=MEND_WHAT)
    return verdict
