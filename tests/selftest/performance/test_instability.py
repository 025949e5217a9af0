"""Figures that an interval would call sure, and are not."""

from collections.abc import Sequence

import pytest

from kernelgate.performance.decision.instability import find_doubts
from kernelgate.performance.decision.log_ratio import measure_slowdown
from kernelgate.performance.samples import Arm, MeasuredReplicate
from kernelgate.verdict import Outcome
from tests.selftest.support.made_up_samples import make_replicate, make_replicates
from tests.selftest.support.project_settings import PERFORMANCE


def flag_of(measured: Sequence[MeasuredReplicate]) -> str | None:
    """Return the reason of the first doubt, which is always one of instability."""
    slowdown = measure_slowdown([one.replicate() for one in measured], Arm.CANDIDATE, Arm.ACCEPTED, 0.95, 0.1)
    found = list(find_doubts(measured, slowdown, PERFORMANCE))
    assert all(doubt.reason.outcome is Outcome.UNSTABLE for doubt in found)
    return found[0].reason if found else None


@pytest.mark.parametrize("level", [-0.1, 0.0, 0.02])
def test_replicates_of_one_kind_raise_no_flag(level: float) -> None:
    """However far off they lie together, and however evenly they spread."""
    assert flag_of(make_replicates([level + error for error in (0, 1e-4, -2e-4, 3e-4)])) is None
    assert flag_of(make_replicates([level + 0.004 * step for step in range(6)])) is None


@pytest.mark.parametrize(
    ("slowdowns", "reason"),
    [
        ((0.0, 0.001, 0.008, 0.009), "two-clusters"),
        ((0.009, 0.0, 0.008, 0.001), "two-clusters"),
        ((0.0, 0.0, 0.0, 0.0, 0.0051, 0.0051), "two-clusters"),
        ((0.0, 0.0, 0.0, 0.0, 0.0049, 0.0049), None),
        ((0.0, 0.003, 0.009, 0.010), None),
        ((0.0, 0.0, 0.0, 0.009), None),
    ],
    ids=["apart", "in-any-order", "just-over", "just-under", "wide-clusters", "one-outlier"],
)
def test_processes_of_two_kinds_are_told_apart(slowdowns: tuple[float, ...], reason: str | None) -> None:
    """At least two on either side, half a percent apart and three times their own spread."""
    assert flag_of(make_replicates(slowdowns)) == reason


@pytest.mark.parametrize("arm", [Arm.CANDIDATE, Arm.ACCEPTED, Arm.CONTROL])
@pytest.mark.parametrize(("effect", "reason"), [(0.004, None), (0.006, "choices-apart")])
def test_an_autotuner_that_chooses_in_two_ways_matters_if_they_differ(
    arm: str, effect: float, reason: str | None
) -> None:
    """Users will get either."""
    measured = [
        make_replicate(index, slowdown=effect * (index == 3), chosen={arm: "other" if index == 3 else "one"})
        for index in range(4)
    ]
    assert flag_of(measured) == reason


@pytest.mark.parametrize(("clock_mhz", "reason"), [(1980, None), (1971, None), (1969, "clocks-apart")])
def test_arms_at_other_clocks_are_not_compared(clock_mhz: int, reason: str | None) -> None:
    """The control is the accepted kernel too."""
    measured = [make_replicate(index, clocks_mhz={Arm.CANDIDATE: clock_mhz}) for index in range(4)]
    assert flag_of(measured) == reason
    both = {Arm.ACCEPTED: 1900, Arm.CONTROL: 2060}
    assert flag_of([make_replicate(index, clocks_mhz=both) for index in range(4)]) is None


def test_a_clock_that_is_not_known_raises_no_flag() -> None:
    """Unknown is not unequal."""
    measured = [make_replicate(index, clocks_mhz={Arm.CANDIDATE: None}) for index in range(4)]  # type: ignore[dict-item]
    assert flag_of(measured) is None
