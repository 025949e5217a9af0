"""Rules that call a kernel faster or slower: the gate's own, and those of four well-known tools.

The tools' rules are built from their documents, for one benchmark: the times of the candidate's calls against
those of the accepted kernel's, taken one after the other from the same processes, in the same GPU time.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from scipy import stats

from benchmarks.pool import Floats
from kernelgate.performance.decision.instability import find_clusters
from kernelgate.performance.decision.interim_looks import confidence_at
from kernelgate.performance.decision.log_ratio import summarise
from kernelgate.performance.decision.rule import decide
from kernelgate.settings import PerformanceSettings
from kernelgate.verdict import Outcome, Rule

Call = Literal["faster", "slower", "same", "unstable"]
PeerRule = Callable[[Floats, Floats], Call]

CALLS: dict[Outcome, Call] = {
    Outcome.KEEP: "faster",
    Outcome.REGRESSED: "slower",
    Outcome.REVERT: "same",
    Outcome.NO_REGRESSION: "same",
}
RESAMPLES = 2000


def call_in_looks(
    candidate: Sequence[float], control: Sequence[float], settings: PerformanceSettings, rule: Rule
) -> tuple[Call, int]:
    """Return what the gate says of contrasts in this order, and after how many replicates.

    What is undecided where the contrasts end is unstable, after as many as there are.
    """
    for look in settings.looks:
        if look > len(candidate):
            return "unstable", len(candidate)
        level = confidence_at(settings, look)
        slowdown, against_itself = (summarise(each[:look], level) for each in (candidate, control))
        doubts = tuple(find_clusters(slowdown.replicates, settings))
        outcome = decide(rule, slowdown, settings, against_itself, doubts).outcome
        if outcome in CALLS:
            return CALLS[outcome], look
    return "unstable", settings.looks[-1]


def by_statistic(statistic: Callable[[Floats], float], line: float) -> PeerRule:
    """Return pytest-benchmark's rule, `--benchmark-compare-fail=STATISTIC:LINE`: a ratio over a line.

    The tool itself fails on a loss only; a gain is called alike here. Its documents give no default line:
    their example is `min:5%`.
    """

    def rule(candidate: Floats, accepted: Floats) -> Call:
        return _side(statistic(candidate) / statistic(accepted) - 1, line)

    return rule


def by_ranks(alpha: float, line: float) -> PeerRule:
    """Return benchstat's rule: a Mann-Whitney U test of the runs, alpha 0.05 by default, no line.

    A run is the mean of a sample's calls; the change is that of the medians.
    """

    def rule(candidate: Floats, accepted: Floats) -> Call:
        ours, theirs = candidate.mean(axis=1), accepted.mean(axis=1)
        if stats.mannwhitneyu(ours, theirs).pvalue >= alpha:
            return "same"
        return _side(float(np.median(ours) / np.median(theirs)) - 1, line)

    return rule


def by_bootstrap(significance: float, noise: float, seed: int = 0) -> PeerRule:
    """Return Criterion.rs's rule: a bootstrapped t-test, 0.05 by default, and a noise threshold, 1 %.

    A significant change whose interval, 95 %, lies beyond the threshold is called.
    """

    def rule(candidate: Floats, accepted: Floats) -> Call:
        chance = np.random.default_rng(seed)
        ours, theirs = candidate.mean(axis=1), accepted.mean(axis=1)
        both = np.concatenate([ours, theirs])
        seen = abs(_t(ours[None], theirs[None])[0])
        mixed = chance.choice(both, (RESAMPLES, both.size))
        if np.mean(np.abs(_t(mixed[:, : ours.size], mixed[:, ours.size :])) >= seen) >= significance:
            return "same"
        drawn = [chance.choice(each, (RESAMPLES, each.size)).mean(axis=1) for each in (ours, theirs)]
        low, high = np.quantile(drawn[0] / drawn[1] - 1, (0.025, 0.975))
        if low > noise:
            return "slower"
        return "faster" if high < -noise else "same"

    return rule


def by_noise(line: float) -> PeerRule:
    """Return nvbench's rule (`nvbench_compare.py`): a change of the means over the smaller of both noises.

    Noise is the relative standard deviation of the calls.
    """

    def rule(candidate: Floats, accepted: Floats) -> Call:
        noise = min(float(each.std(ddof=1) / each.mean()) for each in (candidate, accepted))
        return _side(float(candidate.mean() / accepted.mean()) - 1, max(noise, line))

    return rule


def _side(change: float, line: float) -> Call:
    if abs(change) <= line:
        return "same"
    return "slower" if change > 0 else "faster"


def _t(ours: Floats, theirs: Floats) -> Floats:
    error = np.sqrt(ours.var(axis=1, ddof=1) / ours.shape[1] + theirs.var(axis=1, ddof=1) / theirs.shape[1])
    with np.errstate(divide="ignore", invalid="ignore"):  # calls that all took the same
        difference: Floats = (ours.mean(axis=1) - theirs.mean(axis=1)) / error
    return difference


PEERS: dict[str, PeerRule] = {
    "pytest-benchmark, min:5%": by_statistic(lambda calls: float(calls.min()), 0.05),
    "pytest-benchmark, min:1%": by_statistic(lambda calls: float(calls.min()), 0.01),
    "pytest-benchmark, mean:1%": by_statistic(lambda calls: float(calls.mean()), 0.01),
    "pytest-benchmark, median:1%": by_statistic(lambda calls: float(np.median(calls)), 0.01),
    "benchstat, alpha 0.05": by_ranks(0.05, 0.0),
    "benchstat, alpha 0.05 and 1 %": by_ranks(0.05, 0.01),
    "Criterion.rs, defaults": by_bootstrap(0.05, 0.01),
    "Criterion.rs, noise threshold 0.5 %": by_bootstrap(0.05, 0.005),
    "nvbench, defaults": by_noise(0.0),
    "nvbench, and 1 %": by_noise(0.01),
}
"""At their defaults, and as they would be set to find 2 % and leave noise alone."""
