"""Whose fault it is when a worker fails: only its own makes a candidate wrong."""

from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.verdict import Outcome, Verdict, conclude


def blame(fault: WorkerFault, candidate: str, *, is_candidate: bool) -> Verdict:
    """Return the verdict on a fault of a worker.

    `candidate` names the file, `is_candidate` says that the worker ran it.
    """
    outcome = fault.kind.outcome
    if outcome is Outcome.INVALID:
        return conclude(outcome, fault.kind.value, f"{fault.worker[:16]} {fault.detail}".strip())
    if not is_candidate:
        detail = f"not the candidate but {fault.worker[:16]} failed: {fault.detail}"
        return conclude(Outcome.INVALID, f"arm-{fault.kind}", detail)
    return conclude(outcome, fault.kind.value, f"{candidate} {fault.kind}: {fault.detail}")
