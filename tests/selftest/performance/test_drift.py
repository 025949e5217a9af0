"""How far today lies off the record, and how far many small losses have led."""

import math

import msgspec
import pytest

from kernelgate.baselines.records import Accepted
from kernelgate.performance.decision.drift import Drift, environment_drift, find_creep
from kernelgate.performance.decision.log_ratio import Slowdown
from tests.selftest.support.made_up_records import ENVIRONMENT, make_record
from tests.selftest.support.project_settings import PERFORMANCE


def make_now(estimate: float, half_spread: float = 0.0) -> Slowdown:
    replicates = (estimate - half_spread, estimate + half_spread) * 2
    return Slowdown(estimate=estimate, low=-1.0, high=1.0, replicates=replicates, confidence=0.95)


def accepted_at(log_ratio: float | None, error: float | None = 0.0004) -> Accepted:
    return Accepted(
        date="2026-01-31",
        reason="faster",
        kernel_sha256="b" * 64,
        log_ratio_original=log_ratio,
        error_original=error,
    )


def test_drift_is_todays_ratio_less_the_records_with_errors_in_quadrature() -> None:
    """The offset is positive when the accepted kernel is slower than its record."""
    now = make_now(-0.05 + 0.01, half_spread=0.0006)
    drift = environment_drift(make_record(), now, ENVIRONMENT)
    assert drift.offset == pytest.approx(0.01)
    assert drift.error == pytest.approx(math.hypot(0.0004, 0.0006 / math.sqrt(3)))
    assert drift.changed_keys == ()


def test_drift_names_the_keys_that_differ() -> None:
    """A person sees which part of the machine to look at."""
    other = msgspec.structs.replace(ENVIRONMENT, driver="580.65", triton="3.7.0")
    drift = environment_drift(make_record(), make_now(0.0), other)
    assert drift.changed_keys == ("triton", "driver")


@pytest.mark.parametrize(
    ("offset", "error", "beyond"),
    [
        (0.0, 0.001, False),
        (0.00299, 0.001, False),
        (0.00301, 0.001, True),
        (-0.00301, 0.001, True),
        (math.nan, 0.01, True),
        (0.0, math.nan, True),
    ],
)
def test_three_errors_are_beyond_chance(offset: float, error: float, beyond: bool) -> None:
    """In either direction, and a NaN is never within it."""
    assert Drift(offset=offset, error=error, changed_keys=()).is_beyond_chance is beyond


@pytest.mark.parametrize(
    ("ratio", "creeps"),
    [(-0.05, False), (-0.031, False), (-0.030, False), (-0.0299, False), (-0.0291, True), (0.0, True)],
)
def test_a_loss_over_two_percent_against_the_record_is_creep(ratio: float, creeps: bool) -> None:
    """Beyond the error of both: ln 1.02 is 0.0198, the error here 0.0004."""
    said = find_creep(make_record(), make_now(ratio), PERFORMANCE)
    assert bool(said) is creeps
    if creeps:
        assert f"{100 * math.expm1(ratio + 0.05):.2f} % slower than the best" in said


def test_losses_that_each_passed_are_added_up() -> None:
    """What counts is the best kernel that was ever accepted, not the last."""
    crept = make_record(
        log_ratio_original=-0.035,
        history=(accepted_at(-0.02), accepted_at(-0.05), accepted_at(-0.042), accepted_at(-0.035)),
    )
    assert find_creep(make_record(log_ratio_original=-0.035), make_now(-0.028), PERFORMANCE) == ""
    assert find_creep(crept, make_now(-0.028), PERFORMANCE) != ""
    assert find_creep(crept, make_now(-0.033), PERFORMANCE) == ""


def test_a_history_without_speeds_says_nothing() -> None:
    """Lines of before they were kept."""
    record = make_record(history=(accepted_at(None, None), accepted_at(-1.0, None)))
    assert find_creep(record, make_now(-0.04), PERFORMANCE) == ""


def test_an_error_makes_a_loss_less_sure() -> None:
    """The same loss, measured badly, is not called."""
    assert find_creep(make_record(), make_now(-0.028, half_spread=0.006), PERFORMANCE) == ""
