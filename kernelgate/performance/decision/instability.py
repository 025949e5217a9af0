"""What makes figures unstable that no interval shows: processes of two kinds, arms at other clocks."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from kernelgate.performance.decision.doubt import Doubt
from kernelgate.performance.decision.log_ratio import Slowdown
from kernelgate.performance.samples import Arm, MeasuredReplicate
from kernelgate.settings import PerformanceSettings
from kernelgate.verdict import Reason


def find_doubts(
    measured: Sequence[MeasuredReplicate], candidate: Slowdown, settings: PerformanceSettings
) -> Iterator[Doubt]:
    """Yield what speaks against the figures."""
    yield from find_clusters(candidate.replicates, settings)
    yield from _find_choices(measured, candidate.replicates, settings.max_choice_effect)
    yield from _find_clocks(measured, settings.max_clocks_apart)


def find_clusters(replicates: Sequence[float], settings: PerformanceSettings) -> Iterator[Doubt]:
    """Yield a doubt if processes are of two kinds."""
    ordered = np.sort(replicates)
    for cut in range(2, len(ordered) - 1):
        low, high = ordered[:cut], ordered[cut:]
        gap = high[0] - low[-1]
        spreads = (settings.cluster_gap_to_spread * np.ptp(side) for side in (low, high))
        if gap > max(settings.min_cluster_gap, *spreads):
            detail = f"{cut} of {len(ordered)} processes lie {100 * gap:.2f} % apart from the others"
            yield Doubt(reason=Reason.TWO_CLUSTERS, detail=detail)


def _find_choices(
    measured: Sequence[MeasuredReplicate], replicates: Sequence[float], allowed: float
) -> Iterator[Doubt]:
    """Find autotuners of an arm that chose in several ways, where it matters: users will get both."""
    for arm in (Arm.CANDIDATE, Arm.ACCEPTED, Arm.CONTROL):
        by_choice: dict[tuple[str, ...], list[float]] = {}
        for one, value in zip(measured, replicates, strict=True):
            by_choice.setdefault(one.chosen[arm], []).append(value)
        effects = [statistics.fmean(values) for values in by_choice.values()]
        if max(effects) - min(effects) > allowed:
            named = " or ".join(sorted("; ".join(choice) for choice in by_choice))
            apart = f"{100 * (max(effects) - min(effects)):.2f} % apart"
            yield Doubt(reason=Reason.CHOICES_APART, detail=f"the autotuner of {arm} chose {named}: {apart}")


def _find_clocks(measured: Sequence[MeasuredReplicate], allowed: float) -> Iterator[Doubt]:
    clocks = _mean_clocks(measured)
    if Arm.CANDIDATE in clocks and Arm.ACCEPTED in clocks:
        candidate, accepted = clocks[Arm.CANDIDATE], clocks[Arm.ACCEPTED]
        apart = candidate / accepted - 1
        if abs(apart) > allowed:
            both = f"{candidate:.0f} MHz under the candidate, {accepted:.0f} under the accepted"
            detail = f"the GPU ran at {both}: {100 * apart:+.2f} %"
            # A kernel that the multiprocessors bound is as much slower as they are.
            yield Doubt(reason=Reason.CLOCKS_APART, detail=detail, shift=abs(math.log(candidate / accepted)))


def _mean_clocks(measured: Sequence[MeasuredReplicate]) -> Mapping[str, float]:
    clocks: dict[str, list[int]] = {}
    for reading in (reading for one in measured for reading in one.readings):
        if reading.health.sm_clock_mhz is not None:
            arm = Arm.ACCEPTED if reading.arm == Arm.CONTROL else reading.arm
            clocks.setdefault(arm, []).append(reading.health.sm_clock_mhz)
    return {arm: statistics.fmean(values) for arm, values in clocks.items()}
