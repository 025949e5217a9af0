"""Whose fault it is when a worker fails: only its own makes a candidate wrong."""

from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.verdict import Outcome, Reason, Verdict, conclude


def blame(fault: WorkerFault, candidate: str, *, is_candidate: bool) -> Verdict:
    """Return the verdict on a fault of a worker.

    `candidate` names the file, `is_candidate` says that the worker ran it. A timer that tells nonsense, a
    GPU whose memory others hold and a system that confines nothing are nobody's wrong answer.
    """
    reason = fault.kind.reason
    if reason.outcome is Outcome.INVALID:
        return conclude(Outcome.INVALID, reason, f"{fault.worker[:16]} {fault.detail}".strip())
    if not is_candidate:
        detail = f"not the candidate but {fault.worker[:16]} failed: {fault.detail}"
        return conclude(Outcome.INVALID, Reason.of(f"arm-{reason}"), detail)
    return conclude(reason.outcome, reason, f"{candidate} {reason}: {fault.detail}")
