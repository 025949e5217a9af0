"""The 1-2 % rule: where KEEP is decided."""

import math
from collections.abc import Callable, Iterator, Sequence

import msgspec

from kernelgate.performance.decision.doubt import Doubt, extremes
from kernelgate.performance.decision.log_ratio import Slowdown
from kernelgate.settings import PerformanceSettings
from kernelgate.verdict import Outcome, Reason, Rule, Verdict, conclude


def decide(
    rule: Rule,
    slowdown: Slowdown,
    settings: PerformanceSettings,
    control: Slowdown | None,
    doubts: Sequence[Doubt] = (),
) -> Verdict:
    """Return the verdict on the candidate's log-ratio to the accepted kernel.

    `control` is the accepted kernel against itself. What casts doubt on the figures, here and in `doubts`,
    makes them UNSTABLE only where it could change the verdict: where the rule says the same of every
    process alone, moved by as much as the figures may be off, it stands, and the doubt is told.
    REGRESSED is asked before REVERT, whose condition it implies: a proven loss is called one.
    """
    if control is None:
        detail = f"{_describe(slowdown)}; the accepted kernel was not timed against itself"
        return conclude(Outcome.INVALID, Reason.NO_CONTROL, detail)
    if (fault := _find_fault(slowdown, settings, control)) is not None:
        return fault
    apply = _apply_tune if rule is Rule.TUNE else _apply_guard
    found = [*doubts, *_find_noise(slowdown, settings, control)]
    return _weigh(apply, slowdown, settings, found) if found else apply(slowdown, settings)


def _weigh(
    apply: Callable[[Slowdown, PerformanceSettings], Verdict],
    slowdown: Slowdown,
    settings: PerformanceSettings,
    doubts: Sequence[Doubt],
) -> Verdict:
    """Return the rule's verdict if it stands in spite of all doubts, else UNSTABLE for the first of them."""
    verdict = apply(slowdown, settings)
    ends = extremes(slowdown, sum(doubt.shift for doubt in doubts))
    told = "; ".join(doubt.detail for doubt in doubts)
    if all(apply(end, settings).outcome is verdict.outcome for end in ends):
        detail = f"{verdict.detail}; that stands although: {told}"
        return msgspec.structs.replace(verdict, detail=detail)
    detail = f"{doubts[0].detail}; {_describe(slowdown)}"
    return conclude(Outcome.UNSTABLE, doubts[0].reason, detail)


def _find_fault(slowdown: Slowdown, settings: PerformanceSettings, control: Slowdown) -> Verdict | None:
    numbers = [*_numbers(slowdown), *_numbers(control), *settings.lines]
    if not all(math.isfinite(number) for number in numbers):
        detail = f"{_describe(slowdown)}, control {_describe(control)}: not every number is finite"
        return conclude(Outcome.INVALID, Reason.NOT_A_NUMBER, detail)
    return None


def _find_noise(slowdown: Slowdown, settings: PerformanceSettings, control: Slowdown) -> Iterator[Doubt]:
    offset = abs(control.estimate)
    checks = [
        (Reason.CONTROL_OFFSET, "accepted kernel against itself", offset, settings.max_control_offset),
        (Reason.REPLICATES_APART, "replicates apart by", slowdown.spread, settings.max_replicate_spread),
    ]
    if len(slowdown.replicates) >= settings.looks[-1]:  # before the last look more replicates narrow it
        checks.append((Reason.INTERVAL_TOO_WIDE, "half-width", slowdown.half_width, settings.max_half_width))
    for reason, name, got, allowed in checks:
        if got > allowed:
            detail = f"{name} {100 * got:.2f} %, allowed {_percent(allowed)}"
            yield Doubt(
                reason=reason, detail=detail, shift=offset if reason is Reason.CONTROL_OFFSET else 0.0
            )


def _apply_tune(slowdown: Slowdown, settings: PerformanceSettings) -> Verdict:
    gain = _describe(slowdown)
    needs = f"keep needs {_percent(settings.proven_gain)}"
    noise = _percent(settings.noise_gain)
    if _is_proven(slowdown, settings):
        return conclude(Outcome.KEEP, Reason.PROVEN_GAIN, f"{gain}; {needs}")
    if _is_in_every_replicate(slowdown, settings):
        return conclude(Outcome.KEEP, Reason.GAIN_IN_EVERY_REPLICATE, f"{gain}, over {noise} in each of them")
    if _is_slower(slowdown, settings):
        return conclude(Outcome.REGRESSED, Reason.PROVEN_SLOWER, f"{gain}; a loss over {noise} is proven")
    if slowdown.low > math.log1p(-settings.proven_gain):
        return conclude(Outcome.REVERT, Reason.GAIN_TOO_SMALL, f"{gain}; {needs}")
    if slowdown.high < math.log1p(settings.noise_gain):
        return conclude(Outcome.REVERT, Reason.GAIN_NOT_PROVEN, f"{gain}; {needs}")
    return _call_undecided(slowdown)


def _apply_guard(slowdown: Slowdown, settings: PerformanceSettings) -> Verdict:
    gain = _describe(slowdown)
    noise = _percent(settings.noise_gain)
    if _is_proven(slowdown, settings) or _is_in_every_replicate(slowdown, settings):
        return conclude(
            Outcome.NO_REGRESSION, Reason.GAIN_UNDER_GUARD, f"{gain}; no loss over {noise} was asked"
        )
    if _is_slower(slowdown, settings):
        return conclude(Outcome.REGRESSED, Reason.PROVEN_SLOWER, f"{gain}; a loss over {noise} is proven")
    if slowdown.high < math.log1p(settings.noise_gain):
        return conclude(
            Outcome.NO_REGRESSION, Reason.WITHIN_MARGIN, f"{gain}; a loss over {noise} is ruled out"
        )
    return _call_undecided(slowdown)


def _is_proven(slowdown: Slowdown, settings: PerformanceSettings) -> bool:
    return slowdown.high <= math.log1p(-settings.proven_gain)


def _is_in_every_replicate(slowdown: Slowdown, settings: PerformanceSettings) -> bool:
    line = math.log1p(-settings.noise_gain)
    return slowdown.high < line and max(slowdown.replicates) < line


def _is_slower(slowdown: Slowdown, settings: PerformanceSettings) -> bool:
    return slowdown.low > math.log1p(settings.noise_gain)


def _call_undecided(slowdown: Slowdown) -> Verdict:
    detail = f"{_describe(slowdown)}; the interval lies across the lines"
    return conclude(Outcome.UNSTABLE, Reason.UNDECIDED, detail)


def _numbers(slowdown: Slowdown) -> tuple[float, ...]:
    return (slowdown.estimate, slowdown.low, slowdown.high, *slowdown.replicates)


def _describe(slowdown: Slowdown) -> str:
    ends = f"[{100 * slowdown.gain_low:z.2f}, {100 * slowdown.gain_high:z.2f}]"
    return f"gain {100 * slowdown.gain:z.2f} % {ends} in {len(slowdown.replicates)} replicates"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:g} %"
