"""Who leaves a race at a look, and whether it has ended: statistics alone, no process and no GPU.

All kernels are timed beside each other. At each look every one that is proven slower than another leaves;
the others go on (O. Maron and A. Moore, "Hoeffding Races", NIPS 1993; E. Even-Dar, S. Mannor and Y. Mansour,
"Action Elimination and Stopping Conditions", JMLR 7, 2006). Each interval is Student's, of the differences
between two kernels in the same replicates. The error allowed for the whole race is divided by the number of
pairs at its start (Bonferroni), and spread over the looks as that of one pair is (`interim_looks`). So all
intervals of a race hold the truth together with the confidence of the settings.
"""

import enum
import itertools
import math
from collections.abc import Callable, Sequence

import msgspec

from kernelgate.performance.decision.interim_looks import confidence_at
from kernelgate.performance.decision.log_ratio import Slowdown, summarise
from kernelgate.settings import PerformanceSettings

Differences = Callable[[str, str], Sequence[float]]
"""Gives ln t of one kernel less that of another, for each replicate that both were in."""


class Ended(enum.StrEnum):
    """How a race ended."""

    ONE_LEFT = "one-left"
    TIE = "tie"
    UNRESOLVED = "unresolved"
    UNSTABLE = "unstable"
    NONE_RIGHT = "none-right"


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What a look shows: by whom each kernel that leaves is proven slower, and whether the race has ended."""

    slower: dict[str, tuple[str, ...]]
    ended: Ended | None


def count_pairs(entrants: int) -> int:
    """Return how many contrasts a race has: of every two kernels, and of each to the accepted one."""
    return entrants * (entrants + 1) // 2


def confidence_of_pair(settings: PerformanceSettings, pairs: int, replicates: int) -> float:
    """Return the confidence of each interval after so many replicates, so that all hold together."""
    each = 1 - (1 - settings.confidence) / pairs
    return confidence_at(msgspec.structs.replace(settings, confidence=each), replicates)


def take_look(
    left: Sequence[str], differences: Differences, pairs: int, settings: PerformanceSettings
) -> Look:
    """Return who of those that are left leaves, and how the race ended if it has."""
    if len(left) == 1:
        return Look(slower={}, ended=Ended.ONE_LEFT)
    replicates = len(differences(left[0], left[1]))
    confidence = confidence_of_pair(settings, pairs, replicates)
    found = {
        (one, other): summarise(differences(one, other), confidence)
        for one, other in itertools.combinations(left, 2)
    }
    slower = _find_slower(left, found)
    remaining = [name for name in left if name not in slower]
    among = [pair for names, pair in found.items() if set(names) <= set(remaining)]
    return Look(slower=slower, ended=_find_end(remaining, among, replicates, settings))


def _find_slower(left: Sequence[str], found: dict[tuple[str, str], Slowdown]) -> dict[str, tuple[str, ...]]:
    """Return who is proven slower, and by whom.

    Contrasts are trimmed pair by pair, so that they might run in a circle: then nobody leaves.
    """
    beaten: dict[str, list[str]] = {}
    for (one, other), pair in found.items():
        if pair.low > 0:
            beaten.setdefault(one, []).append(other)
        if pair.high < 0:
            beaten.setdefault(other, []).append(one)
    return {} if len(beaten) == len(left) else {name: tuple(by) for name, by in beaten.items()}


def _find_end(
    remaining: Sequence[str], among: Sequence[Slowdown], replicates: int, settings: PerformanceSettings
) -> Ended | None:
    if len(remaining) == 1:
        return Ended.ONE_LEFT
    noise = math.log1p(settings.noise_gain)
    if all(-noise < pair.low and pair.high < noise for pair in among):
        return Ended.TIE
    return Ended.UNRESOLVED if replicates >= settings.looks[-1] else None


def doubt_control(control: Slowdown, settings: PerformanceSettings) -> str:
    """Return why the figures are not to be trusted, empty if the accepted kernel equals itself."""
    allowed = settings.max_control_offset
    # Written so that NaN is a doubt.
    if control.low <= allowed and control.high >= -allowed:
        return ""
    ends = f"[{100 * control.low:.2f}, {100 * control.high:.2f}]"
    return f"the accepted kernel against itself is off by {ends} %, allowed {100 * allowed:g} %"
