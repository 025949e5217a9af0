"""Log-ratios and their intervals, on made-up times."""

import math

import msgspec
import numpy as np
import pytest

from kernelgate.performance.decision.log_ratio import BlockTimes, Slowdown, measure_slowdown
from kernelgate.settings import MIN_REPLICATES

PLANTED = math.log(0.97)
PROCESS_SD = 0.0005
TRIMMED = 0.1


def make_replicate(contrasts: list[float]) -> BlockTimes:
    return BlockTimes(blocks=tuple({"candidate": 0.5 + each, "accepted": 0.5} for each in contrasts))


def measure(contrasts: list[list[float]], confidence: float = 0.95) -> Slowdown:
    return measure_slowdown(
        [make_replicate(each) for each in contrasts], "candidate", "accepted", confidence, TRIMMED
    )


def test_a_faster_arm_has_a_negative_log_ratio_and_a_positive_gain() -> None:
    """A candidate at 0.9 of the time gains 10 %."""
    slowdown = measure([[math.log(0.9)] * 4] * 4)
    assert slowdown.estimate == pytest.approx(math.log(0.9))
    assert slowdown.gain == pytest.approx(0.1)


def test_the_interval_is_students_t_over_replicate_values() -> None:
    """Four replicates at 1, 2, 3, 4 have the interval that a table of t (3.182 at 3 degrees) gives."""
    slowdown = measure([[0.01 * step] * 2 for step in (1, 2, 3, 4)])
    expected = 3.182446 * math.sqrt(5 / 3) * 0.01 / 2
    assert slowdown.estimate == pytest.approx(0.025)
    assert slowdown.half_width == pytest.approx(expected, rel=1e-6)
    assert slowdown.standard_error == pytest.approx(math.sqrt(5 / 3) * 0.01 / 2)
    assert slowdown.spread == pytest.approx(0.03)
    assert slowdown.replicates == pytest.approx((0.01, 0.02, 0.03, 0.04))


def test_more_blocks_of_the_same_processes_do_not_narrow_the_interval() -> None:
    """The process is the unit of replication: a hundred times the blocks give the same half-width."""
    values = (0.001, 0.002, 0.003, 0.005)
    few = measure([[value] * 2 for value in values])
    many = measure([[value] * 200 for value in values])
    assert many.half_width == pytest.approx(few.half_width)


def test_a_disturbed_tenth_of_the_blocks_at_each_end_is_trimmed() -> None:
    """Two wild blocks of 24 at one end, and two at the other, move nothing."""
    slowdown = measure([[0.01] * 20 + [9.0, 8.0, -9.0, -7.0]] * 4)
    assert slowdown.estimate == pytest.approx(0.01)


def test_more_wild_blocks_than_a_tenth_do_move_the_estimate() -> None:
    """Three wild blocks of 24 at one end are not hidden by the trimming."""
    assert measure([[0.01] * 21 + [9.0] * 3] * 4).estimate > 0.1


def test_drift_common_to_both_arms_cancels() -> None:
    """A machine that slows by 50 % over the run changes no contrast."""
    drift = np.linspace(0.0, 0.4, 24)
    blocks = tuple({"candidate": PLANTED + each, "accepted": each} for each in drift.tolist())
    slowdown = measure_slowdown([BlockTimes(blocks=blocks)] * 4, "candidate", "accepted", 0.95, TRIMMED)
    assert slowdown.estimate == pytest.approx(PLANTED)


def test_gain_ends_are_ordered_worst_to_best() -> None:
    """The low end of the gain comes from the high end of the log-ratio."""
    slowdown = measure([[each] * 2 for each in (-0.03, -0.02, -0.02, -0.01)])
    assert slowdown.gain_low < slowdown.gain < slowdown.gain_high
    assert slowdown.gain_low == pytest.approx(1 - math.exp(slowdown.high))
    assert slowdown.gain_high == pytest.approx(1 - math.exp(slowdown.low))


def test_higher_confidence_widens_the_interval() -> None:
    """99 % covers more than 95 %."""
    contrasts = [[each] * 2 for each in (0.01, 0.02, 0.03, 0.04)]
    assert measure(contrasts, 0.99).half_width > measure(contrasts).half_width


def test_the_interval_covers_a_planted_log_ratio_at_its_confidence() -> None:
    """With Gaussian process noise the truth lies inside 95 % of the intervals, within 4 binomial errors."""
    random = np.random.default_rng(20240501)
    runs, covered = 1000, 0
    for _ in range(runs):
        processes = PLANTED + PROCESS_SD * random.standard_normal(4)
        blocks = processes[:, None] + 1e-4 * random.standard_normal((4, 10))
        slowdown = measure(blocks.tolist())
        covered += slowdown.low <= PLANTED <= slowdown.high
    assert abs(covered / runs - 0.95) < 4 * math.sqrt(0.95 * 0.05 / runs)


@pytest.mark.parametrize("count", [0, 1, MIN_REPLICATES - 1])
def test_too_few_replicates_are_refused(count: int) -> None:
    """Under four fresh processes there is no interval, and the message has both numbers."""
    with pytest.raises(ValueError, match=f"too few replicates: got {count}, needs 4"):
        measure([[0.0, 0.0]] * count)


def test_a_slowdown_of_too_few_replicates_cannot_be_built() -> None:
    """Nothing that reads a slowdown meets an empty list, of which every replicate is under any line."""
    with pytest.raises(ValueError, match="too few replicates: got 0"):
        Slowdown(estimate=0.0, low=0.0, high=0.0, replicates=(), confidence=0.95)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308, 50.1])
def test_a_time_that_no_clock_gives_is_refused(value: float) -> None:
    """NaN, infinities and absurd times never become part of a mean."""
    with pytest.raises(ValueError, match=r"block 1, candidate: ln\(time in ms\)"):
        BlockTimes(blocks=({"candidate": 0.0}, {"candidate": value}))


def test_one_block_is_refused() -> None:
    """A single block has no drift-free mean."""
    with pytest.raises(ValueError, match="too few blocks: got 1, needs 2"):
        make_replicate([0.0])


def test_the_first_block_must_have_every_arm() -> None:
    """It says which were measured."""
    with pytest.raises(ValueError, match="block 1 has the arms"):
        BlockTimes(blocks=({"candidate": 0.0}, {"candidate": 0.0, "accepted": 0.0}))


def test_only_blocks_that_timed_both_arms_count() -> None:
    """Another would pair times of different moments; one block alone says too little."""
    blocks = [{"candidate": 1.0, "accepted": 0.5}, {"candidate": 7.0}, {"candidate": 1.0, "accepted": 0.25}]
    assert BlockTimes(blocks=tuple(blocks)).contrasts("candidate", "accepted") == [0.5, 0.75]
    with pytest.raises(ValueError, match="too few blocks with candidate and accepted: got 1, needs 2"):
        BlockTimes(blocks=tuple(blocks[:2])).contrasts("candidate", "accepted")


@pytest.mark.parametrize(("arm", "against"), [("vendor", "accepted"), ("candidate", "vendor")])
def test_an_arm_that_was_not_measured_is_named(arm: str, against: str) -> None:
    """Asking for an unmeasured arm says which, and which there are."""
    with pytest.raises(ValueError, match="arm 'vendor' was not measured; measured"):
        measure_slowdown([make_replicate([0.0, 0.0])] * 4, arm, against, 0.95, TRIMMED)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, math.nan])
def test_a_confidence_outside_zero_to_one_is_refused(confidence: float) -> None:
    """95 is not 0.95."""
    with pytest.raises(ValueError, match="confidence"):
        measure([[0.0, 0.0]] * 4, confidence)


def test_an_interval_that_misses_its_estimate_is_refused() -> None:
    """A forged interval is not a slowdown."""
    with pytest.raises(ValueError, match="outside its interval"):
        Slowdown(estimate=0.0, low=-0.2, high=-0.1, replicates=(0.0,) * 4, confidence=0.95)


def test_a_gain_beyond_every_number_is_infinite() -> None:
    """A log-ratio that overflows is reported, not raised."""
    slowdown = Slowdown(estimate=1e4, low=1e4, high=1e4, replicates=(1e4,) * 4, confidence=0.95)
    assert slowdown.gain == -math.inf


def test_records_survive_json() -> None:
    """What is written into a report is read back equal."""
    replicate = make_replicate([0.01, 0.02])
    slowdown = measure([[0.01, 0.02]] * 4)
    assert msgspec.json.decode(msgspec.json.encode(replicate), type=BlockTimes) == replicate
    assert msgspec.json.decode(msgspec.json.encode(slowdown), type=Slowdown) == slowdown
