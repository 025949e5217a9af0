"""Looking several times errs no more often than looking once would, for noise of several kinds."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from kernelgate.performance.decision.interim_looks import (
    confidence_at,
    confidences,
    stay_probability,
)
from kernelgate.performance.decision.log_ratio import BlockTimes, Slowdown, measure_slowdown
from kernelgate.performance.decision.rule import decide
from kernelgate.settings import load_settings
from kernelgate.verdict import Outcome, Rule

SETTINGS = load_settings(Path(__file__).parents[3] / "pyproject.toml").performance
LOOKS, CONFIDENCE, SHAPE = SETTINGS.looks, SETTINGS.confidence, SETTINGS.boundary_shape
RUNS = 40_000
Draw = Callable[[np.random.Generator, tuple[int, int]], NDArray[np.float64]]

NOISES: dict[str, Draw] = {
    "gaussian": lambda chance, shape: chance.normal(0, 1, shape),
    "heavy-tailed": lambda chance, shape: chance.standard_t(3, shape),
}


def misses(draw: Draw, looks: tuple[int, ...], levels: tuple[float, ...]) -> float:
    """Return the share of runs in which the interval of any look misses the truth, which is 0."""
    drawn = draw(np.random.default_rng(1), (RUNS, looks[-1]))
    missed = np.zeros(RUNS, dtype=np.bool_)
    for look, level in zip(looks, levels, strict=True):
        so_far = drawn[:, :look]
        error = so_far.std(axis=1, ddof=1) / np.sqrt(look)
        missed |= np.abs(so_far.mean(axis=1)) > stats.t.ppf((1 + level) / 2, look - 1) * error
    return float(missed.mean())


@pytest.mark.parametrize("noise", NOISES)
def test_all_looks_together_err_at_most_as_often_as_is_allowed(noise: str) -> None:
    """Simulated, since Student's quantiles stand for normal ones; half a percent is the simulation's own."""
    assert misses(NOISES[noise], LOOKS, confidences(LOOKS, CONFIDENCE, SHAPE)) <= 1 - CONFIDENCE + 0.005


@pytest.mark.parametrize("rule", list(Rule))
def test_processes_in_two_clusters_are_no_loss_and_no_gain(rule: Rule) -> None:
    """Four processes may all fall into one; then no interval knows of the other, and is as far as that off.

    Clusters 1.5 % apart still lead to no false call, since the lines lie further out.
    """
    chance, calls = np.random.default_rng(2), Counter[Outcome]()
    for _ in range(2000):
        drawn = chance.choice([-0.0075, 0.0075], LOOKS[-1]) + chance.normal(0, 0.0005, LOOKS[-1])
        calls[decide_in_looks(rule, drawn)] += 1
    wrong = Outcome.KEEP, Outcome.REGRESSED
    assert sum(calls[outcome] for outcome in wrong) == 0, calls


def decide_in_looks(rule: Rule, drawn: NDArray[np.float64]) -> Outcome:
    """Return the verdict of the first look that decides."""
    for look in LOOKS:
        candidate, control = (slowdown_of(each[:look]) for each in (drawn, np.zeros(LOOKS[-1])))
        outcome = decide(rule, candidate, SETTINGS, control).outcome
        if outcome is not Outcome.UNSTABLE:
            return outcome
    return Outcome.UNSTABLE


def slowdown_of(values: NDArray[np.float64]) -> Slowdown:
    replicates = [BlockTimes(blocks=({"a": float(v), "b": 0.0},) * 2) for v in values]
    return measure_slowdown(replicates, "a", "b", confidence_at(SETTINGS, len(values)), 0.1)


def test_looking_again_without_a_boundary_would_err_more_often() -> None:
    """What the boundary is for."""
    assert misses(NOISES["gaussian"], LOOKS, (CONFIDENCE,) * 4) > 1.5 * (1 - CONFIDENCE)


def test_the_boundary_is_that_of_the_literature() -> None:
    """Five looks at equal shares: 2.1 times t^-1/4 (Jennison and Turnbull, table 2.9, D = 0.25: 2.136)."""
    levels = confidences((2, 4, 6, 8, 10), CONFIDENCE, 0.25)
    scales = [stats.norm.ppf((1 + level) / 2) * (k / 5) ** 0.25 for k, level in enumerate(levels, 1)]
    assert scales == pytest.approx([2.136] * 5, abs=0.001)


def test_one_look_is_a_plain_interval() -> None:
    """And Brownian motion stays where a normal distribution says."""
    assert confidences((6,), CONFIDENCE, SHAPE) == pytest.approx((CONFIDENCE,))
    assert stay_probability(np.array([1.96]), np.array([1.0])) == pytest.approx(0.95, abs=1e-4)


@pytest.mark.parametrize(("replicates", "place"), [(4, 0), (5, 0), (6, 1), (9, 2), (10, 3), (12, 3), (3, 0)])
def test_an_interval_has_the_confidence_of_the_last_look_reached(replicates: int, place: int) -> None:
    """Earlier looks ask for more."""
    assert confidence_at(SETTINGS, replicates) == confidences(LOOKS, CONFIDENCE, SHAPE)[place]
    assert list(confidences(LOOKS, CONFIDENCE, SHAPE)) == sorted(
        confidences(LOOKS, CONFIDENCE, SHAPE), reverse=True
    )
