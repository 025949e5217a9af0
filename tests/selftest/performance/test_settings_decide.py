"""Each bound of the performance settings decides: set otherwise, it changes a verdict."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from kernelgate.performance.conclusion import conclude_performance
from kernelgate.performance.samples import Arm, MeasuredReplicate
from kernelgate.settings import PerformanceSettings
from kernelgate.verdict import Rule, Verdict
from tests.selftest.support.made_up_records import make_record
from tests.selftest.support.made_up_samples import CONDITIONS, make_replicate, make_replicates
from tests.selftest.support.project_settings import PERFORMANCE

GAIN = (-0.03, -0.031, -0.029, -0.03)
HOW_MUCH_IS_TIMED = {
    *("attempts", "blocks", "blocks_per_layout", "layouts_per_yardstick", "launches", "judged_elements"),
}
"""The tests of replicates and of samples' files time so much as these say."""

Measured = Sequence[MeasuredReplicate]


def edit(measured: Measured, arm: Arm, change: Callable[[Any], dict[str, Any]]) -> Measured:
    """Return the replicates with fields of an arm's samples changed."""
    return [
        msgspec.structs.replace(
            one,
            samples=tuple(
                msgspec.structs.replace(each, **change(each)) if each.arm == arm else each
                for each in one.samples
            ),
        )
        for one in measured
    ]


def slowed(measured: Measured, arm: Arm, log_ratio: float) -> Measured:
    factor = math.exp(log_ratio)
    return edit(
        measured,
        arm,
        lambda each: {
            "times_ms": tuple(factor * time_ms for time_ms in each.times_ms),
            "wall_ms": each.overhead_ms + factor * sum(each.times_ms),
        },
    )


def throttled(measured: Measured) -> Measured:
    """Return the replicates with the first reading of each slowed by heat."""
    return [
        msgspec.structs.replace(
            one,
            readings=(
                msgspec.structs.replace(
                    one.readings[0],
                    health=msgspec.structs.replace(one.readings[0].health, throttled=("heat",)),
                ),
                *one.readings[1:],
            ),
        )
        for one in measured
    ]


TWO_CHOICES = [
    make_replicate(index, -0.023 if index == 3 else -0.03, chosen={Arm.CANDIDATE: "ab"[index == 3]})
    for index in range(4)
]
OTHER_CLOCKS = [
    make_replicate(index, each, clocks_mhz={Arm.CANDIDATE: 1960}) for index, each in enumerate(GAIN)
]
WAITING = edit(make_replicates(GAIN), Arm.CANDIDATE, lambda each: {"wall_ms": each.wall_ms + 0.5})
ODD_BLOCK = edit(
    make_replicates(GAIN),
    Arm.CANDIDATE,
    lambda each: {"times_ms": (2.0, 2.0, 2.0)} if each.block == 0 else {},
)

TABLE: dict[str, tuple[Any, Measured]] = {
    "looks": ((4, 5), make_replicates(GAIN)),
    "confidence": (0.99, make_replicates(GAIN)),
    "boundary_shape": (0.5, make_replicates(GAIN)),
    "trimmed_share": (0.25, ODD_BLOCK),
    "noise_gain": (0.015, make_replicates([-0.013, -0.0131, -0.0129, -0.013])),
    "proven_gain": (0.04, make_replicates(GAIN)),
    "max_half_width": (0.0001, make_replicates((GAIN * 3)[:10])),
    "max_control_offset": (0.003, slowed(make_replicates(GAIN), Arm.CONTROL, 0.004)),
    "max_replicate_spread": (0.001, make_replicates(GAIN)),
    "max_environment_drift": (0.005, slowed(make_replicates(GAIN), Arm.ORIGINAL, -0.01)),
    "max_creep": (0.005, slowed(make_replicates([0.0] * 4), Arm.ORIGINAL, -0.01)),
    "max_choice_effect": (0.01, TWO_CHOICES),
    "max_clocks_apart": (0.02, OTHER_CLOCKS),
    "min_cluster_gap": (0.02, make_replicates([-0.03, -0.03, -0.04, -0.04])),
    "cluster_gap_to_spread": (4.0, make_replicates([-0.03, -0.033, -0.043, -0.046])),
    "max_throttled_share": (0.5, throttled(make_replicates(GAIN))),
    "max_overhead_ms": (0.6, WAITING),
    "max_overhead_share": (0.05, WAITING),
}
"""Another value of each, and a measurement on which the two disagree."""


def judge(measured: Measured, settings: PerformanceSettings, rule: Rule) -> Verdict:
    record = make_record(log_ratio_original=0.0, error_original=1e-6)
    conditions = msgspec.structs.replace(CONDITIONS, settings=settings, record=record, rule=rule)
    return conclude_performance(conditions, measured, 1.0).verdict


@pytest.mark.parametrize("key", TABLE)
def test_a_bound_set_otherwise_changes_the_verdict(key: str) -> None:
    """So the table is read where the verdict is made."""
    value, measured = TABLE[key]
    changed = msgspec.structs.replace(PERFORMANCE, **{key: value})
    rule = Rule.GUARD if key == "max_creep" else Rule.TUNE
    assert judge(measured, changed, rule) != judge(measured, PERFORMANCE, rule)


def test_no_setting_is_left_out() -> None:
    """A new one needs a line in the table."""
    assert {*TABLE} | HOW_MUCH_IS_TIMED == {*PerformanceSettings.__struct_fields__}
