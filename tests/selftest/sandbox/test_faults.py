"""Ways in which a worker fails: one name has one meaning, and says what it makes of a candidate."""

import pytest

from kernelgate.correctness.coverage.laws import LAWS
from kernelgate.protocol import FailureKind, decode_response
from kernelgate.sandbox.blame import blame
from kernelgate.sandbox.faults import FaultKind
from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.verdict import Outcome


def test_no_fault_has_the_name_of_a_law() -> None:
    """`memory` is the law of what a launch touches; a worker that takes too much is out of memory."""
    assert not {law.name for law in LAWS} & set(FaultKind)


def test_what_a_worker_says_of_itself_is_a_fault_by_the_same_name() -> None:
    """And it may say no more: a timer that fails, or a crash, is for the judge to see."""
    assert {kind.value for kind in FailureKind} < set(FaultKind)
    for kind in set(FaultKind) - {kind.value for kind in FailureKind}:
        with pytest.raises(ValueError, match="Invalid enum value"):
            decode_response(f'{{"type": "Failed", "kind": "{kind}", "detail": "", "line": 0}}')


@pytest.mark.parametrize("kind", FaultKind)
def test_a_fault_is_laid_to_the_candidate_only_if_it_was_its_worker(kind: FaultKind) -> None:
    """What is nobody's wrong answer stays so, whoever's worker it was."""
    fault = WorkerFault(kind, "seen doing it", "a worker")
    theirs, ours = (blame(fault, "k.py", is_candidate=which) for which in (False, True))
    nobodys = kind in ("timer", "crowded", "no-sandbox", "not-interpreted", "starved", "gate-fault")
    assert (theirs.outcome, theirs.reason) == (Outcome.INVALID, kind.value if nobodys else f"arm-{kind}")
    assert (ours.outcome, ours.reason) == (kind.reason.outcome, kind.value)
    assert not ours.outcome.passes
    assert (kind.reason.outcome is Outcome.INVALID) == nobodys
    assert (kind.reason.outcome is Outcome.FORBIDDEN) == (kind in ("prints", "other-parameters"))
