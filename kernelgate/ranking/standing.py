"""What a race comes to: the place of each kernel, with its gain and its time over the fastest one's."""

import math
import statistics
from collections.abc import Callable

from kernelgate.performance.decision.log_ratio import Slowdown, summarise
from kernelgate.performance.samples import Arm
from kernelgate.ranking.elimination import Ended, confidence_of_pair
from kernelgate.ranking.race import Race
from kernelgate.reporting.ranking.record import Estimate, Ranked, Unranked


def rank_race(race: Race, copies: dict[str, tuple[str, ...]]) -> tuple[Ranked, ...]:
    """Return the kernels that hold, the fastest first; `copies` has other files by their sha256."""
    beaten = {
        name: [by for by in race.slower.get(name, ()) if by not in race.faults]
        for name in race.kernels
        if name not in race.faults and race.seen.get(name)
    }
    places = {name: 1 + len(by) for name, by in beaten.items()}
    if not places:
        return ()
    front = [name for name in places if name in race.left] or list(places)
    best = min(front, key=lambda name: _contrast(race, name, Arm.ACCEPTED).estimate)
    to_best = {name: _contrast(race, name, best) for name in places}
    ordered = sorted(places, key=lambda name: (places[name], to_best[name].estimate))
    shared = list(places.values())
    return tuple(
        Ranked(
            place=places[name],
            tied=shared.count(places[name]) > 1,
            file=race.kernels[name].path,
            copies=copies.get(name, ()),
            sha256=name,
            configuration=_chosen(race, name),
            time_ms=typical_ms(race, name),
            gain=_gain(_contrast(race, name, Arm.ACCEPTED)),
            to_best=_estimate(to_best[name], math.exp),
            replicates=race.seen[name],
            left=_say_why(race, name, beaten[name]),
        )
        for name in ordered
    )


def list_faults(race: Race) -> tuple[Unranked, ...]:
    """Return the kernels that left the race for a fault."""
    return tuple(
        Unranked(
            file=race.kernels[name].path,
            sha256=name,
            verdict=why.outcome,
            reason=why.reason,
            detail=why.detail,
            replicates=race.seen.get(name, 0),
        )
        for name, why in race.faults.items()
    )


def describe_end(race: Race) -> str:
    """Return how the race ended, in a sentence."""
    count, noise = len(race.measured), 100 * race.settings.performance.noise_gain
    if race.ended is Ended.UNSTABLE:
        return race.doubt
    if race.ended is Ended.NONE_RIGHT:
        return "no kernel was right to the end of the race"
    if race.ended is Ended.ONE_LEFT:
        others = "every other one is proven slower" if len(race.kernels) > 1 else "no other one was timed"
        return f"{others}, in {count} replicates"
    many = f"{len(race.left)} kernels"
    if race.ended is Ended.TIE:
        return f"{many} are proven to differ by less than {noise:g} % in {count} replicates"
    return f"{many} are neither proven different nor within {noise:g} % after {count} replicates"


def typical_ms(race: Race, arm: str) -> float:
    """Return the median time of a call of the arm, over its samples."""
    samples = (sample for one in race.measured for sample in one.samples if sample.arm == arm)
    return statistics.median(statistics.fmean(sample.times_ms) for sample in samples)


def control_of(race: Race) -> Estimate | None:
    """Return the gain of the accepted kernel over itself; None where nothing was timed."""
    if len(race.measured) < race.settings.performance.looks[0]:
        return None
    return _gain(_contrast(race, Arm.CONTROL, Arm.ACCEPTED, pairs=1))


def _contrast(race: Race, name: str, other: str, pairs: int | None = None) -> Slowdown:
    values = race.differences(name, other)
    return summarise(values, confidence_of_pair(race.settings.performance, pairs or race.pairs, len(values)))


def _gain(contrast: Slowdown) -> Estimate:
    return Estimate(value=contrast.gain, low=contrast.gain_low, high=contrast.gain_high)


def _estimate(contrast: Slowdown, of: Callable[[float], float]) -> Estimate:
    return Estimate(value=of(contrast.estimate), low=of(contrast.low), high=of(contrast.high))


def _chosen(race: Race, name: str) -> str:
    return next((one.chosen[name][0] for one in reversed(race.measured) if name in one.chosen), "")


def _say_why(race: Race, name: str, by: list[str]) -> str:
    if name not in race.slower:
        return ""
    named = ", ".join(race.kernels[each].path for each in by) or "a kernel that does not hold itself"
    return f"proven slower than {named}, after {race.seen[name]} replicates"
