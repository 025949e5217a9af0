"""Whose fault it is when a worker fails: only its own makes a candidate wrong."""

from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.verdict import Outcome, Verdict, conclude


def blame(fault: WorkerFault, candidate: str, *, is_candidate: bool) -> Verdict:
    """Return the verdict on a fault; `candidate` names the file, `is_candidate` says that it was its process.

    A timer that tells nonsense and a GPU whose memory others hold are nobody's wrong answer.
    """
    if fault.kind in ("timer", "crowded"):
        return conclude(Outcome.INVALID, fault.kind, f"{fault.worker[:16]} {fault.detail}".strip())
    if not is_candidate:
        detail = f"not the candidate but {fault.worker[:16]} failed: {fault.detail}"
        return conclude(Outcome.INVALID, f"arm-{fault.kind}", detail)
    outcome = Outcome.FORBIDDEN if fault.kind == "prints" else Outcome.WRONG
    return conclude(outcome, fault.kind, f"{candidate} {fault.kind}: {fault.detail}")
