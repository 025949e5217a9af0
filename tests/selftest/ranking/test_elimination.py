"""The fastest stays, what is slower leaves, ties are ties: on made-up differences, and by simulation."""

import math
from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from kernelgate.performance.decision.log_ratio import Slowdown, summarise
from kernelgate.ranking.elimination import (
    Differences,
    Ended,
    confidence_of_pair,
    count_pairs,
    doubt_control,
    take_look,
)
from tests.selftest.support.project_settings import PERFORMANCE

LOOKS = PERFORMANCE.looks
NOISE = 0.0004
"""Standard deviation of ln t of a kernel in a replicate, beside what is common to all kernels of it."""

FAMILY, RACES = 6, 250
NAMES = tuple("abcdef")


def differ(times: dict[str, NDArray[np.float64]]) -> Differences:
    return lambda one, other: [float(each) for each in times[one] - times[other]]


def run_race(drawn: NDArray[np.float64]) -> tuple[Ended, list[str], int]:
    """Return how a race over all looks ended, who was left, and after how many replicates.

    A row is a replicate, a column the kernel of that name.
    """
    left = list(NAMES[: drawn.shape[1]])
    for look in LOOKS:
        times = {name: drawn[:look, place] for place, name in enumerate(NAMES[: drawn.shape[1]])}
        seen = take_look(left, differ(times), count_pairs(drawn.shape[1]), PERFORMANCE)
        left = [name for name in left if name not in seen.slower]
        if seen.ended is not None:
            return seen.ended, left, look
    raise AssertionError("the last look ends every race")


def simulate(slower: tuple[float, ...], seed: int, noise: float = NOISE) -> Counter[tuple[Ended, bool]]:
    """Return how often races ended how, and with the truly fastest, `a`, still in them."""
    chance, seen = np.random.default_rng(seed), Counter[tuple[Ended, bool]]()
    for _ in range(RACES):
        common = chance.normal(0, 0.002, (LOOKS[-1], 1))  # of a replicate, the same for all
        ended, left, _ = run_race(common + np.array(slower) + chance.normal(0, noise, (LOOKS[-1], FAMILY)))
        seen[ended, "a" in left] += 1
    return seen


GAPS = {
    "0.05 %": (0.0, *(0.0005,) * 5),
    "0.1 %": (0.0, *(0.001,) * 5),
    "0.5 %": (0.0, *(0.005,) * 5),
    "2 %": (0.0, *(0.02,) * 5),
    "a ladder": (0.0, 0.0002, 0.001, 0.003, 0.01, 0.03),
}


@pytest.mark.parametrize("gap", GAPS)
def test_the_truly_fastest_seldom_leaves(gap: str) -> None:
    """In 5 % of races at most, whatever the others are slower by."""
    seen = simulate(GAPS[gap], seed=len(gap))
    lost = sum(count for (_, is_in), count in seen.items() if not is_in)
    assert lost <= 0.05 * RACES, seen


@pytest.mark.parametrize("gap", ["0.5 %", "2 %"])
def test_a_gap_over_the_noise_of_replicates_names_one(gap: str) -> None:
    """It is the fastest, in nearly all races."""
    seen = simulate(GAPS[gap], seed=3)
    assert seen[Ended.ONE_LEFT, True] >= 0.95 * RACES, seen


def test_kernels_of_the_same_speed_tie() -> None:
    """At noise as it is measured; in few races one of them leaves by chance."""
    chance, ended, whole = np.random.default_rng(4), Counter[Ended](), 0
    for _ in range(RACES):
        how, left, _ = run_race(chance.normal(0, NOISE, (LOOKS[-1], FAMILY)))
        ended[how] += 1
        whole += len(left) == FAMILY
    assert ended[Ended.TIE] >= 0.99 * RACES, ended
    assert whole >= 0.95 * RACES


def test_without_the_family_the_fastest_would_leave_more_often() -> None:
    """What Bonferroni's division is for: equal kernels, each pair at 95 %."""
    chance, lost = np.random.default_rng(5), 0
    for _ in range(RACES):
        drawn, left = chance.normal(0, NOISE, (LOOKS[-1], FAMILY)), list(NAMES)
        for look in LOOKS:
            times = {name: drawn[:look, place] for place, name in enumerate(NAMES)}
            gone = take_look(left, differ(times), 1, PERFORMANCE).slower
            left = [name for name in left if name not in gone]
        lost += len(left) < FAMILY
    assert lost > 0.15 * RACES


def test_noise_that_hides_every_line_is_not_resolved() -> None:
    """Nothing is made up at the last look: those left are named, not ranked."""
    seen = simulate((0.0,) * FAMILY, seed=6, noise=0.02)
    assert seen[Ended.UNRESOLVED, True] >= 0.9 * RACES, seen


def series(**means: float) -> Differences:
    """Return the differences of kernels that take so much longer, with a little noise of their own."""
    chance = np.random.default_rng(7)
    return differ({name: mean + chance.normal(0, 1e-5, 4) for name, mean in means.items()})


def test_who_leaves_is_named_with_all_that_are_proven_faster() -> None:
    """Those that are neither faster nor slower than each other go on."""
    look = take_look("abcd", series(a=0.0, b=0.0, c=0.01, d=0.03), count_pairs(4), PERFORMANCE)
    assert {name: set(by) for name, by in look.slower.items()} == {"c": {"a", "b"}, "d": {"a", "b", "c"}}
    assert look.ended is Ended.TIE


@pytest.mark.parametrize(
    ("low", "high", "ended"),
    [
        (-0.0099, 0.0099, Ended.TIE),
        (-0.00998, 0.00998, None),
        (-0.001, 0.00998, None),
        (-0.00998, 0.001, None),
    ],
)
def test_a_tie_lies_within_the_line_of_noise(low: float, high: float, ended: Ended | None) -> None:
    """With both ends of its interval; ln 1.01 is 0.00995."""
    spread = np.array([-1.0, 1.0, -1.0, 1.0])
    half_width = summarise(spread.tolist(), confidence_of_pair(PERFORMANCE, 1, 4)).half_width
    drawn = (low + high) / 2 + spread * (high - low) / 2 / half_width
    for one, other in ("ab", "ba"):
        look = take_look((one, other), differ({"a": drawn, "b": 0 * drawn}), 1, PERFORMANCE)
        assert (look.slower, look.ended) == ({}, ended)


def test_one_kernel_alone_is_the_fastest() -> None:
    """There is nobody to prove it against."""
    assert take_look("a", series(a=0.0), 1, PERFORMANCE).ended is Ended.ONE_LEFT


def test_contrasts_that_run_in_a_circle_put_nobody_out() -> None:
    """Trimmed means may, pair by pair: somebody is always left."""
    ring = {("a", "b"): 1.0, ("b", "c"): 1.0, ("a", "c"): -1.0}

    def differences(one: str, other: str) -> list[float]:
        return [ring[one, other] + each for each in (0.0, 1e-6, 2e-6, 3e-6)]

    assert take_look("abc", differences, 3, PERFORMANCE).slower == {}


def test_a_number_that_is_none_proves_nothing() -> None:
    """NaN compares false with every line."""
    look = take_look("ab", lambda *_: [math.nan] * LOOKS[-1], 1, PERFORMANCE)
    assert (look.slower, look.ended) == ({}, Ended.UNRESOLVED)


@pytest.mark.parametrize("pairs", [1, 21, 136])
def test_all_looks_of_all_pairs_share_the_error(pairs: int) -> None:
    """Simulated: all looks of one pair err a share of the whole, by normal quantiles."""
    chance, runs = np.random.default_rng(8), 60_000
    sums = np.cumsum(chance.normal(0, 1, (runs, LOOKS[-1])), axis=1)
    missed = np.zeros(runs, dtype=np.bool_)
    for look in LOOKS:
        edge = stats.norm.ppf((1 + confidence_of_pair(PERFORMANCE, pairs, look)) / 2)
        missed |= np.abs(sums[:, look - 1]) > edge * math.sqrt(look)
    allowed = (1 - PERFORMANCE.confidence) / pairs
    assert missed.mean() <= allowed + 4 * math.sqrt(allowed / runs)
    assert missed.mean() >= allowed - 4 * math.sqrt(allowed / runs)


@pytest.mark.parametrize(("entrants", "pairs"), [(1, 1), (2, 3), (6, 21), (16, 136)])
def test_pairs_are_of_all_kernels_and_the_accepted_one(entrants: int, pairs: int) -> None:
    """Each gain is an interval of the family too."""
    assert count_pairs(entrants) == pairs


@pytest.mark.parametrize(
    ("low", "high", "is_off"),
    [(-0.006, 0.006, False), (-0.001, 0.001, False), (0.004, 0.006, False), (0.006, 0.007, True),
     (-0.007, -0.006, True), (math.nan, math.nan, True)],
)  # fmt: skip
def test_a_control_that_is_off_by_its_whole_interval_is_a_doubt(
    low: float, high: float, is_off: bool
) -> None:
    """Allowed are 0.5 %."""
    assert PERFORMANCE.max_control_offset == 0.005
    control = Slowdown(estimate=(low + high) / 2, low=low, high=high, replicates=(0.0,) * 4, confidence=0.9)
    assert bool(doubt_control(control, PERFORMANCE)) is is_off
