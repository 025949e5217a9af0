"""The rule table at its edges and just beside them, and every flag."""

import math

import msgspec
import pytest

from kernelgate.performance.decision.doubt import Doubt
from kernelgate.performance.decision.log_ratio import Slowdown
from kernelgate.performance.decision.rule import decide
from kernelgate.settings import PerformanceSettings
from kernelgate.verdict import Outcome, Reason, Rule, Verdict
from tests.selftest.support.project_settings import PERFORMANCE

KEPT_LINE = math.log1p(-0.02)
NOISE_LINE = math.log1p(-0.01)
LOSS_LINE = math.log1p(0.01)
BESIDE = 1e-9
PASSING = {Outcome.KEEP, Outcome.SAME_CODE, Outcome.NO_REGRESSION, Outcome.NOT_MEASURED}


def make_settings(looks: tuple[int, ...] = (4,), **changes: float) -> PerformanceSettings:
    """Return the project's lines, with flags too wide to be raised unless a test narrows them."""
    values = {"max_half_width": 0.5, "max_control_offset": 0.5, "max_replicate_spread": 0.5, **changes}
    return msgspec.structs.replace(PERFORMANCE, looks=looks, **values)


def make_slowdown(low: float, high: float, replicates: tuple[float, ...] | None = None) -> Slowdown:
    estimate = (low + high) / 2
    return Slowdown(
        estimate=estimate,
        low=low,
        high=high,
        replicates=(estimate,) * 4 if replicates is None else replicates,
        confidence=0.95,
    )


QUIET = make_slowdown(-0.0001, 0.0001)


def ask(rule: Rule, low: float, high: float, replicates: tuple[float, ...] | None = None) -> Verdict:
    return decide(rule, make_slowdown(low, high, replicates), make_settings(), QUIET)


@pytest.mark.parametrize(
    ("low", "high", "outcome", "reason"),
    [
        (-0.03, KEPT_LINE, Outcome.KEEP, "proven-gain"),
        (-0.03, KEPT_LINE - BESIDE, Outcome.KEEP, "proven-gain"),
        (-0.03, KEPT_LINE + BESIDE, Outcome.KEEP, "gain-in-every-replicate"),
        (-0.03, NOISE_LINE - BESIDE, Outcome.KEEP, "gain-in-every-replicate"),
        (-0.03, NOISE_LINE, Outcome.REVERT, "gain-not-proven"),
        (-0.03, NOISE_LINE + BESIDE, Outcome.REVERT, "gain-not-proven"),
        (-0.03, LOSS_LINE - BESIDE, Outcome.REVERT, "gain-not-proven"),
        (-0.03, LOSS_LINE, Outcome.UNSTABLE, "undecided"),
        (-0.03, LOSS_LINE + BESIDE, Outcome.UNSTABLE, "undecided"),
        (KEPT_LINE, LOSS_LINE, Outcome.UNSTABLE, "undecided"),
        (KEPT_LINE - BESIDE, LOSS_LINE, Outcome.UNSTABLE, "undecided"),
        (KEPT_LINE + BESIDE, LOSS_LINE, Outcome.REVERT, "gain-too-small"),
        (KEPT_LINE + BESIDE, NOISE_LINE - BESIDE, Outcome.KEEP, "gain-in-every-replicate"),
        (KEPT_LINE + BESIDE, NOISE_LINE, Outcome.REVERT, "gain-too-small"),
        (-0.001, 0.001, Outcome.REVERT, "gain-too-small"),
        (LOSS_LINE - BESIDE, 0.03, Outcome.REVERT, "gain-too-small"),
        (LOSS_LINE, 0.03, Outcome.REVERT, "gain-too-small"),
        (LOSS_LINE + BESIDE, 0.03, Outcome.REGRESSED, "proven-slower"),
    ],
)
def test_tune_answers_each_row_at_its_edge(low: float, high: float, outcome: Outcome, reason: str) -> None:
    """Rule tune: only the ends of the interval decide, and equality belongs where the table puts it."""
    verdict = ask(Rule.TUNE, low, high)
    assert (verdict.outcome, verdict.reason) == (outcome, reason)


@pytest.mark.parametrize(
    ("low", "high", "outcome", "reason"),
    [
        (-0.03, KEPT_LINE, Outcome.NO_REGRESSION, "gain-under-guard"),
        (-0.03, KEPT_LINE + BESIDE, Outcome.NO_REGRESSION, "gain-under-guard"),
        (-0.03, NOISE_LINE, Outcome.NO_REGRESSION, "within-margin"),
        (KEPT_LINE + BESIDE, NOISE_LINE + BESIDE, Outcome.NO_REGRESSION, "within-margin"),
        (-0.03, LOSS_LINE - BESIDE, Outcome.NO_REGRESSION, "within-margin"),
        (-0.03, LOSS_LINE, Outcome.UNSTABLE, "undecided"),
        (0.0, LOSS_LINE + BESIDE, Outcome.UNSTABLE, "undecided"),
        (LOSS_LINE, 0.03, Outcome.UNSTABLE, "undecided"),
        (LOSS_LINE + BESIDE, 0.03, Outcome.REGRESSED, "proven-slower"),
    ],
)
def test_guard_answers_each_row_at_its_edge(low: float, high: float, outcome: Outcome, reason: str) -> None:
    """Rule guard: passes what is not slower by the margin, and never asks for a gain."""
    verdict = ask(Rule.GUARD, low, high)
    assert (verdict.outcome, verdict.reason) == (outcome, reason)


@pytest.mark.parametrize("straggler", [NOISE_LINE, NOISE_LINE + BESIDE, 0.0])
def test_one_replicate_at_or_over_one_percent_costs_the_second_way_to_keep(straggler: float) -> None:
    """An interval under the noise line is not enough when one process did not show it."""
    verdict = ask(Rule.TUNE, -0.018, -0.012, (-0.016, -0.016, -0.016, straggler))
    assert (verdict.outcome, verdict.reason) == (Outcome.REVERT, "gain-too-small")


def test_replicates_do_not_matter_once_two_percent_is_proven() -> None:
    """The first row asks the interval only."""
    verdict = ask(Rule.TUNE, -0.05, -0.021, (-0.05, -0.05, -0.05, 0.0))
    assert verdict.outcome is Outcome.KEEP


def test_the_lines_come_from_the_settings() -> None:
    """With a bar of 5 % a proven gain of 3 % is reverted."""
    settings = make_settings(noise_gain=0.04, proven_gain=0.05)
    verdict = decide(Rule.TUNE, make_slowdown(-0.031, -0.030), settings, QUIET)
    assert verdict.outcome is Outcome.REVERT
    assert "keep needs 5 %" in verdict.detail


@pytest.mark.parametrize(("centre", "outcome"), [(-0.1, Outcome.KEEP), (0.1, Outcome.REGRESSED)])
def test_a_wide_interval_may_decide_before_the_last_look(centre: float, outcome: Outcome) -> None:
    """Far from the lines; more replicates would narrow it, and change nothing."""
    slowdown = make_slowdown(centre - 0.01, centre + 0.01)
    assert decide(Rule.TUNE, slowdown, make_settings((4, 6), max_half_width=0.005), QUIET).outcome is outcome
    verdict = decide(Rule.TUNE, slowdown, make_settings((4,), max_half_width=0.005), QUIET)
    assert verdict.outcome is outcome
    assert "that stands although: half-width 1.00 %, allowed 0.5 %" in verdict.detail


@pytest.mark.parametrize("rule", list(Rule))
@pytest.mark.parametrize(
    ("reason", "centre", "width", "spread", "offset"),
    [
        ("interval-too-wide", KEPT_LINE, 0.011, 0.0, 0.0),
        ("interval-too-wide", LOSS_LINE, 0.006, 0.0, 0.0),
        ("replicates-apart", KEPT_LINE, 0.001, 0.022, 0.0),
        ("replicates-apart", LOSS_LINE + 0.009, 0.001, 0.02 + BESIDE, 0.0),
        ("control-offset", NOISE_LINE - 0.004, 0.001, 0.0, 0.005 + BESIDE),
        ("control-offset", NOISE_LINE - 0.004, 0.001, 0.0, -0.005 - BESIDE),
        ("control-offset", LOSS_LINE + 0.004, 0.001, 0.0, 0.005 + BESIDE),
    ],
)
def test_a_doubt_that_could_change_the_verdict_comes_before_every_row(
    rule: Rule, reason: str, centre: float, width: float, spread: float, offset: float
) -> None:
    """Near a line of the rule, neither a gain nor a loss is answered, nor that there is neither."""
    if rule is Rule.GUARD and centre < 0:
        centre += LOSS_LINE - (NOISE_LINE if reason == "control-offset" else KEPT_LINE)  # its only line
    settings = make_settings(max_half_width=0.005, max_control_offset=0.005, max_replicate_spread=0.02)
    replicates = (centre - spread / 2, centre, centre, centre + spread / 2)
    slowdown = make_slowdown(centre - width, centre + width, replicates)
    verdict = decide(rule, slowdown, settings, make_slowdown(offset - 0.001, offset + 0.001))
    assert (verdict.outcome, verdict.reason) == (Outcome.UNSTABLE, reason)


def test_just_under_every_flag_the_rows_decide() -> None:
    """Flags are raised over their lines, not near them."""
    settings = make_settings(max_half_width=0.005, max_control_offset=0.005, max_replicate_spread=0.02)
    slowdown = make_slowdown(-0.105 + BESIDE, -0.095 - BESIDE, (-0.11 + BESIDE, -0.1, -0.1, -0.09 - BESIDE))
    control = make_slowdown(0.004, 0.006 - BESIDE)
    assert decide(Rule.TUNE, slowdown, settings, control).outcome is Outcome.KEEP


def test_a_control_off_zero_counts_however_wide_it_is() -> None:
    """The control's estimate binds, and its replicates are no excuse."""
    settings = make_settings(max_control_offset=0.005)
    control = make_slowdown(-0.1, 0.12)
    assert decide(Rule.TUNE, make_slowdown(-0.02, -0.011), settings, control).reason == "control-offset"


@pytest.mark.parametrize("rule", list(Rule))
def test_without_a_control_nothing_passes(rule: Rule) -> None:
    """A skipped A/A is never a pass."""
    verdict = decide(rule, make_slowdown(-0.1, -0.09), make_settings(), None)
    assert (verdict.outcome, verdict.reason) == (Outcome.INVALID, "no-control")


@pytest.mark.parametrize("rule", list(Rule))
@pytest.mark.parametrize(
    "broken",
    [
        {"estimate": math.nan},
        {"low": math.nan},
        {"high": math.nan},
        {"replicates": (-0.1, -0.1, -0.1, math.nan)},
        {"low": -math.inf},
        {"high": math.inf},
        {"low": -math.inf, "estimate": -math.inf, "high": -math.inf},
    ],
)
def test_a_number_that_is_none_never_passes(rule: Rule, broken: dict[str, float]) -> None:
    """NaN or an infinity anywhere, in the candidate's or the control's slowdown, is INVALID."""
    sound = make_slowdown(-0.101, -0.099)
    unsound = msgspec.structs.replace(sound, **broken)
    for slowdown, control in ((unsound, QUIET), (sound, unsound)):
        verdict = decide(rule, slowdown, make_settings(), control)
        assert (verdict.outcome, verdict.reason) == (Outcome.INVALID, "not-a-number")


@pytest.mark.parametrize("field", ["noise_gain", "proven_gain", "max_half_width", "max_control_offset"])
def test_a_line_that_is_no_number_never_passes(field: str) -> None:
    """A NaN in the settings cannot switch a flag or a row off."""
    settings = make_settings(**{field: math.nan})
    assert decide(Rule.TUNE, make_slowdown(-0.1, -0.09), settings, QUIET).outcome is Outcome.INVALID


@pytest.mark.parametrize("outcome", list(Outcome))
def test_an_outcome_passes_by_the_table_and_has_a_next_step(outcome: Outcome) -> None:
    """Four outcomes exit 0, and each one says what to do."""
    assert outcome.passes == (outcome in PASSING)
    assert outcome.next_step.endswith(".")


def test_the_detail_has_the_gain_its_interval_and_the_bar() -> None:
    """The sentence is the one a person needs to check the verdict."""
    verdict = ask(Rule.TUNE, math.log(1 - 0.0899), math.log(1 - 0.0885))
    assert verdict.detail == "gain 8.92 % [8.85, 8.99] in 4 replicates; keep needs 2 %"


def test_a_flag_says_what_it_got_and_what_is_allowed() -> None:
    """The numbers of the flag stand before the gain that it casts doubt on."""
    settings = make_settings(max_half_width=0.005)
    verdict = decide(Rule.TUNE, make_slowdown(-0.02, 0.02), settings, QUIET)
    assert verdict.detail.startswith("half-width 2.00 %, allowed 0.5 %; gain 0.00 % [")


def test_a_verdict_survives_json() -> None:
    """What the report holds is read back equal."""
    verdict = ask(Rule.TUNE, -0.1, -0.09)
    assert msgspec.json.decode(msgspec.json.encode(verdict), type=Verdict) == verdict


SHAKY: tuple[tuple[str, float, float], ...] = (
    ("replicates apart by 6.00 %", 0.06, 0.0),
    ("accepted kernel against itself 0.60 %", 0.0, 0.006),
)


@pytest.mark.parametrize(("told", "spread", "offset"), SHAKY)
@pytest.mark.parametrize(
    ("rule", "centre", "outcome"),
    [
        (Rule.TUNE, math.log1p(-0.83), Outcome.KEEP),
        (Rule.GUARD, math.log1p(-0.83), Outcome.NO_REGRESSION),
        (Rule.TUNE, 0.3, Outcome.REGRESSED),
        (Rule.GUARD, 0.3, Outcome.REGRESSED),
    ],
)
def test_a_doubt_that_changes_nothing_is_told_beside_the_verdict(
    rule: Rule, centre: float, outcome: Outcome, told: str, spread: float, offset: float
) -> None:
    """A kernel that is 83 % faster, whose processes differ by 6 %: each of them would be kept."""
    settings = make_settings(max_control_offset=0.005, max_replicate_spread=0.02)
    replicates = (centre - spread / 2, centre, centre, centre + spread / 2)
    slowdown = make_slowdown(centre - 0.04, centre + 0.04, replicates)
    verdict = decide(rule, slowdown, settings, make_slowdown(offset, offset))
    assert verdict.outcome is outcome
    assert f"that stands although: {told}" in verdict.detail


def test_one_process_on_the_other_side_of_a_line_is_enough_to_doubt() -> None:
    """The interval alone would keep it."""
    settings = make_settings(max_replicate_spread=0.02)
    slowdown = make_slowdown(-0.2, -0.03, (-0.15, -0.15, -0.15, -0.009))
    verdict = decide(Rule.TUNE, slowdown, settings, QUIET)
    assert (verdict.outcome, verdict.reason) == (Outcome.UNSTABLE, "replicates-apart")


@pytest.mark.parametrize(("shift", "outcome"), [(0.02, Outcome.KEEP), (0.09, Outcome.UNSTABLE)])
def test_doubts_from_elsewhere_count_alike(shift: float, outcome: Outcome) -> None:
    """Such as clocks apart, by which all figures may be off; several add up."""
    doubt = Doubt(reason=Reason.CLOCKS_APART, detail="clocks apart", shift=shift / 2)
    verdict = decide(Rule.TUNE, make_slowdown(-0.101, -0.1), make_settings(), QUIET, (doubt, doubt))
    assert verdict.outcome is outcome
