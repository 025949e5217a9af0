"""A decision that went but one way is refused; before that, values near its number are tried."""

from typing import Any

from kernelgate.correctness.case import Case
from kernelgate.correctness.case_runner import CaseResult
from kernelgate.correctness.coverage.both_sides import MAX_NEAR_CASES, asked_of, gather, near_cases, one_sided
from kernelgate.correctness.coverage.laws import describe_laws
from kernelgate.execution.observed.decisions import SeenDecision
from kernelgate.operations import find_operation
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1


def seen(**changes: Any) -> SeenDecision:
    usual = {"kernel": "k", "line": 7, "place": "7:4", "kind": "compares", "operation": "cmpf ogt"}
    return SeenDecision(**(usual | {"inputs": ("x",), "ones": 0, "zeros": 1} | changes))


def outcome(*decisions: SeenDecision, **changes: Any) -> CaseResult:
    case = Case(**({"batch": 3, "family": "normal", "seed": 0, "pin": 0} | changes))
    return CaseResult(case=case, decisions=decisions)


def test_a_decision_that_went_one_way_in_all_cases_is_refused_with_its_line() -> None:
    """And with what it is made of, and which way it never went."""
    finding = one_sided(gather([outcome(seen()), outcome(seen(), seed=1)]), 2)
    assert finding is not None
    assert finding.forbidden
    assert not finding.alone
    assert finding.law == "both-sides"
    for told in ("line 7", "cmpf ogt", "made of x", "all 2 cases", "never true"):
        assert told in finding.detail


def test_sides_of_several_cases_count_together() -> None:
    assert one_sided(gather([outcome(seen()), outcome(seen(ones=1, zeros=0), seed=1)]), 2) is None


def test_a_decision_is_the_same_in_every_configuration_and_specialisation() -> None:
    """A kernel without a bias has a program of its own, which no case of special values meets."""
    without_bias = seen(inputs=("x", "weight"), zeros=1)
    with_bias = seen(inputs=("x", "weight", "bias"), ones=1)
    (decided,) = gather([outcome(without_bias), outcome(with_bias, pin=1)])
    assert decided.missing == (0, 0)
    assert decided.seen.inputs == ("x", "weight", "bias")
    assert [case.pin for case in decided.cases] == [0, 1]


def test_two_decisions_of_one_line_are_two() -> None:
    """The same function, called for pixels and for filters."""
    decided = gather([outcome(seen(ones=1), seen(place="7:9", inputs=("weight",)))])
    assert len(decided) == 2
    finding = one_sided(decided, 1)
    assert finding is not None
    assert "weight" in finding.detail


def test_bits_are_missed_one_by_one() -> None:
    finding = one_sided(gather([outcome(seen(kind="bits", wanted=0xFF, ones=0x7F, zeros=0xFF))]), 1)
    assert finding is not None
    assert "0x80 were never 1" in finding.detail


def test_what_no_program_comes_to_decides_nothing() -> None:
    """Triton puts a rounding behind an argument that is off, for descriptors that the host makes."""
    assert one_sided(gather([outcome(seen(kind="bits", wanted=0xFF, ones=0, zeros=0))]), 1) is None


def test_a_kernel_that_decides_nothing_is_not_refused_and_has_no_more_cases() -> None:
    assert one_sided(gather([outcome()]), 1) is None
    assert near_cases(ALEXNET_CONV1, gather([outcome()]), 5) == ()


def test_values_near_the_number_are_tried_in_each_configuration_that_decides() -> None:
    """Even where both sides were seen: the other one by infinities alone, maybe."""
    decided = gather(
        [outcome(seen(ones=1, thresholds=("x:447a0000",))), outcome(seen(thresholds=("x:447a0000",)), pin=2)]
    )
    cases = near_cases(ALEXNET_CONV1, decided, 5)
    assert [(case.near, case.pin, case.programs) for case in cases] == [
        ("x:447a0000", 0, 0),
        ("x:447a0000", 2, 0),
    ]
    assert len({case.seed for case in cases}) == 2


def test_values_that_no_honest_kernel_can_compute_are_not_tried() -> None:
    assert near_cases(ALEXNET_CONV1, gather([outcome(seen(thresholds=("x:7f800000",)))]), 5) == ()


def test_a_kernel_of_many_numbers_has_a_bounded_number_of_cases() -> None:
    many = tuple(f"x:447a{number:04x}" for number in range(100))
    assert len(near_cases(ALEXNET_CONV1, gather([outcome(seen(thresholds=many))]), 5)) == MAX_NEAR_CASES


def test_the_law_is_broken_by_all_cases_together() -> None:
    """Its line says so, without a case to replay."""
    outcomes = [outcome(seen())]
    finding = one_sided(gather(outcomes), 1)
    line = next(
        each
        for each in describe_laws(outcomes, "interpreter", ALEXNET_CONV1, finding)
        if each.law == "both-sides"
    )
    assert (line.status, line.cases) == ("broken", 1)
    assert "Replay" not in line.note


def test_a_division_is_asked_for_both_sides_of_sums_alone() -> None:
    """A softmax divides by a sum that is never zero; a convolution divides by nothing."""
    decided = gather([outcome(seen(kind="divides", ones=0), seen(place="9:1"))])
    assert [each.seen.kind for each in asked_of(find_operation("softmax"), decided)] == ["compares"]
    assert asked_of(find_operation("alexnet_conv1"), decided) == decided
