"""What makes figures unstable that no interval shows: processes of two kinds, arms at other clocks."""

import statistics
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from kernelgate.performance.decision.log_ratio import Slowdown
from kernelgate.performance.samples import ACCEPTED, CANDIDATE, CONTROL, MeasuredReplicate
from kernelgate.verdict import Outcome, Reason, Verdict, conclude

MAX_CHOICE_EFFECT = 0.005
MAX_CLOCKS_APART = 0.005
MIN_GAP = 0.005
GAP_TO_SPREAD = 3.0
"""Two clusters: the gap between them is over half a percent, and three times as wide as either of them."""


def find_flag(measured: Sequence[MeasuredReplicate], candidate: Slowdown) -> Verdict | None:
    """Return UNSTABLE and why, None if nothing speaks against the figures."""
    found = [
        *find_clusters(candidate.replicates),
        *_find_choices(measured, candidate.replicates),
        *_find_clocks(measured),
    ]
    return conclude(Outcome.UNSTABLE, *found[0]) if found else None


def find_clusters(replicates: Sequence[float]) -> Iterator[tuple[Reason, str]]:
    """Yield a reason and its detail if processes are of two kinds."""
    ordered = np.sort(replicates)
    for cut in range(2, len(ordered) - 1):
        low, high = ordered[:cut], ordered[cut:]
        gap = high[0] - low[-1]
        if gap > max(MIN_GAP, GAP_TO_SPREAD * np.ptp(low), GAP_TO_SPREAD * np.ptp(high)):
            yield (
                Reason.TWO_CLUSTERS,
                f"{cut} of {len(ordered)} processes lie {100 * gap:.2f} % apart from the others",
            )


def _find_choices(
    measured: Sequence[MeasuredReplicate], replicates: Sequence[float]
) -> Iterator[tuple[Reason, str]]:
    """Find autotuners of an arm that chose in several ways, where it matters: users will get both."""
    for arm in (CANDIDATE, ACCEPTED, CONTROL):
        by_choice: dict[tuple[str, ...], list[float]] = {}
        for one, value in zip(measured, replicates, strict=True):
            by_choice.setdefault(one.chosen[arm], []).append(value)
        effects = [statistics.fmean(values) for values in by_choice.values()]
        if max(effects) - min(effects) > MAX_CHOICE_EFFECT:
            named = " or ".join(sorted("; ".join(choice) for choice in by_choice))
            apart = f"{100 * (max(effects) - min(effects)):.2f} % apart"
            yield Reason.CHOICES_APART, f"the autotuner of {arm} chose {named}: {apart}"


def _find_clocks(measured: Sequence[MeasuredReplicate]) -> Iterator[tuple[Reason, str]]:
    clocks = _mean_clocks(measured)
    if CANDIDATE in clocks and ACCEPTED in clocks:
        apart = clocks[CANDIDATE] / clocks[ACCEPTED] - 1
        if abs(apart) > MAX_CLOCKS_APART:
            both = (
                f"{clocks[CANDIDATE]:.0f} MHz under the candidate, {clocks[ACCEPTED]:.0f} under the accepted"
            )
            yield Reason.CLOCKS_APART, f"the GPU ran at {both}: {100 * apart:+.2f} %"


def _mean_clocks(measured: Sequence[MeasuredReplicate]) -> Mapping[str, float]:
    clocks: dict[str, list[int]] = {}
    for reading in (reading for one in measured for reading in one.readings):
        if reading.health.sm_clock_mhz is not None:
            arm = ACCEPTED if reading.arm == CONTROL else reading.arm
            clocks.setdefault(arm, []).append(reading.health.sm_clock_mhz)
    return {arm: statistics.fmean(values) for arm, values in clocks.items()}
