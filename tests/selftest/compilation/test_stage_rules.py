"""Every stage rule fires on one small change, and an honest candidate breaks none."""

from typing import Any

import msgspec
import pytest

from kernelgate.baselines.compiled import ConfigRecord, LaunchRecord
from kernelgate.compilation.machine_code.compiled_kernel import CompiledKernel
from kernelgate.compilation.stage_rules import STAGES, check_config, check_stage
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.declaration.kernel_config import KernelConfig
from tests.selftest.support.project_settings import RULES

TUNING = "final-micro-tuning"
SHA = "a" * 64
GRID = (24200, 2, 1)
OTHER_BLOCKS = {"BLOCK_M": 64, "BLOCK_N": 64, "BLOCK_K": 32}


def make_record(
    num_warps: int = 4,
    num_stages: int = 2,
    *,
    resident: int = 8,
    spills: int = 0,
    grid: Any = GRID,
    **options: Any,
) -> ConfigRecord:
    """Return a configuration of the original's blocks, compiled, with so many resident warps."""
    config = msgspec.structs.replace(
        ALEXNET_CONV1.original.config, num_warps=num_warps, num_stages=num_stages, **options
    )
    launch = LaunchRecord(
        kernel="conv",
        grid=grid,
        arguments_sha256=SHA,
        code_sha256=SHA,
        registers=200,
        stack_bytes=0,
        spill_store_bytes=spills,
        spill_load_bytes=spills,
        shared_bytes=12288,
        blocks_per_sm=resident // num_warps,
        warps_per_sm=resident,
    )
    return ConfigRecord(config=config, launches=(launch,), error="")


def make_refused(num_warps: int = 4, num_stages: int = 2) -> ConfigRecord:
    config = make_record(num_warps, num_stages).config
    return ConfigRecord(config=config, launches=(), error="out of shared memory")


def make_kernel(*records: ConfigRecord) -> CompiledKernel:
    return CompiledKernel(target="sm_89", kernel_sha256=SHA, configs=records)


def broken_rules(candidate: CompiledKernel, accepted: CompiledKernel, stage: str = TUNING) -> list[str]:
    return [violation.rule for violation in check_stage(stage, candidate, accepted, ALEXNET_CONV1, RULES)]


ORIGINAL = make_record()
ACCEPTED = make_kernel(ORIGINAL, make_record(4, 1))
HONEST = (ORIGINAL, make_record(4, 3), make_record(8, 2, resident=16))


def add(*records: ConfigRecord) -> list[str]:
    """Return what is broken by an honest candidate that has these configurations as well."""
    return broken_rules(make_kernel(*HONEST, *records), ACCEPTED)


def test_an_honest_candidate_breaks_nothing() -> None:
    """The list that the planted changes start from, and one with the accepted kernel's own stages."""
    assert add() == []
    assert add(make_record(4, 1)) == []


@pytest.mark.parametrize(("count", "fine"), [(1, False), (2, False), (3, True), (6, True), (7, False)])
def test_three_to_six_configurations_are_allowed(count: int, fine: bool) -> None:
    """Both ends of the range, and just beyond them."""
    assert broken_rules(make_kernel(*[ORIGINAL] * count), ACCEPTED) == ([] if fine else ["config-count"])


@pytest.mark.parametrize(
    "first",
    [make_record(8, 2, resident=16), make_record(4, 3)],
    ids=["other warps", "other stages"],
)
def test_the_original_must_be_among_them(first: ConfigRecord) -> None:
    """One near it is not it."""
    assert broken_rules(make_kernel(first, *HONEST[1:]), ACCEPTED) == ["original-missing"]


@pytest.mark.parametrize("stages", ALEXNET_CONV1.original.stages)
def test_either_of_the_originals_stages_will_do(stages: int) -> None:
    """The first kernel lists its blocks with both."""
    candidate = make_kernel(make_record(4, stages), *HONEST[1:])
    assert broken_rules(candidate, ACCEPTED) == []


def test_blocks_may_not_change() -> None:
    """A larger tile is another stage's work."""
    assert add(make_record(blocks=OTHER_BLOCKS)) == ["blocks-changed"]


def test_a_name_more_among_the_blocks_is_a_change() -> None:
    """A new compile-time value is not micro-tuning."""
    blocks = {**ALEXNET_CONV1.original.config.blocks, "GROUP_M": 8}
    assert add(make_record(blocks=blocks)) == ["blocks-changed"]


@pytest.mark.parametrize("option", [{"num_ctas": 2}, {"max_registers": 128}])
def test_no_other_option_may_change(option: dict[str, int]) -> None:
    """Only warps and stages are tuned here."""
    assert add(make_record(**option)) == ["option-changed"]


@pytest.mark.parametrize("grid", [(24199, 2, 1), (2, 24200, 1), (24200, 2, 2)])
def test_the_grid_may_not_change(grid: tuple[int, int, int]) -> None:
    """Nor may its axes be swapped."""
    assert add(make_record(grid=grid)) == ["grid-changed"]


@pytest.mark.parametrize("stored", [4096, 1024, None])
def test_a_program_that_stores_another_tile_is_another_grid(stored: int | None) -> None:
    """Whatever its blocks are called; one of which it cannot be told is none of the accepted kernel's."""
    (launch,) = ORIGINAL.launches
    other = msgspec.structs.replace(ORIGINAL, launches=(msgspec.structs.replace(launch, stored=stored),))
    known = msgspec.structs.replace(ORIGINAL, launches=(msgspec.structs.replace(launch, stored=2048),))
    broken = [rule for rule, _ in check_config(other, make_kernel(known), ALEXNET_CONV1, RULES)]
    assert broken == ["grid-changed"]
    assert [*check_config(known, make_kernel(known), ALEXNET_CONV1, RULES)] == []


def test_a_second_launch_changes_the_grid() -> None:
    """The work may not be split over kernels."""
    twice = msgspec.structs.replace(ORIGINAL, launches=ORIGINAL.launches * 2)
    assert add(twice) == ["grid-changed"]


def test_a_program_that_stores_another_tile_changes_the_grid() -> None:
    """Programs that share the work otherwise are other programs, in as many of them."""
    (launch,) = ORIGINAL.launches
    wider = msgspec.structs.replace(launch, stored=2048)
    assert add(msgspec.structs.replace(ORIGINAL, launches=(wider,))) == ["grid-changed"]


def test_a_configuration_that_cannot_run_is_refused() -> None:
    """Its error is in the message."""
    (violation,) = check_stage(TUNING, make_kernel(*HONEST, make_refused()), ACCEPTED, ALEXNET_CONV1, RULES)
    assert violation.rule == "config-cannot-run"
    assert "out of shared memory" in violation.message


@pytest.mark.parametrize(("resident", "fine"), [(4, False), (8, False), (9, True), (16, True)])
def test_warps_change_only_where_occupancy_suggests_it(resident: int, fine: bool) -> None:
    """More resident warps than before, not as many."""
    assert add(make_record(2, 2, resident=resident)) == ([] if fine else ["warps-without-occupancy"])


@pytest.mark.parametrize(
    ("before", "after", "fine"), [(16, 0, True), (16, 4, False), (0, 0, False), (0, 8, False)]
)
def test_or_where_they_cure_spills(before: int, after: int, fine: bool) -> None:
    """Spills that are gone count, spills that shrank do not."""
    accepted = make_kernel(make_record(spills=before))
    record = make_record(2, 2, resident=8, spills=after)
    broken = broken_rules(make_kernel(make_record(), make_record(4, 3), record), accepted)
    assert broken == ([] if fine else ["warps-without-occupancy"])


@pytest.mark.parametrize("warps", [1, 32])
def test_only_listed_numbers_of_warps_are_allowed(warps: int) -> None:
    """However many are resident."""
    assert add(make_record(warps, 2, resident=48)) == ["warps-not-allowed"]


@pytest.mark.parametrize("warps", [2, 4, 8, 16])
def test_each_listed_number_of_warps_is_allowed(warps: int) -> None:
    """Where occupancy suggests it."""
    assert add(make_record(warps, 2, resident=48)) == []


def test_warps_are_held_against_the_accepted_configuration_that_has_the_most() -> None:
    """The weakest of the accepted kernel's configurations is no yardstick."""
    accepted = make_kernel(ORIGINAL, make_record(8, 2, resident=24))
    assert broken_rules(make_kernel(*HONEST, make_record(16, 2, resident=16)), accepted) == [
        "warps-without-occupancy"
    ]


@pytest.mark.parametrize(
    ("known", "stages", "broken"),
    [
        (2, 3, []),
        (2, 4, ["stages-jumped"]),
        (3, 4, []),
        (2, 5, ["stages-not-allowed", "stages-jumped"]),
        (4, 5, ["stages-not-allowed"]),
        (4, 1, []),
    ],
)
def test_stages_change_by_one_within_two_to_four(known: int, stages: int, broken: list[str]) -> None:
    """From where the accepted kernel stands; the original's own values stay allowed."""
    accepted = make_kernel(make_record(4, known))
    candidate = make_kernel(make_record(), make_record(), make_record(4, stages))
    assert broken_rules(candidate, accepted) == broken


def test_a_bar_that_cannot_be_read_is_no_pass() -> None:
    """Where the accepted kernel runs none of these blocks, warps and stages are held against nothing."""
    accepted = make_kernel(make_record(blocks=OTHER_BLOCKS))
    assert "accepted-without-blocks" in broken_rules(make_kernel(*HONEST), accepted)


def test_stage_open_allows_all_of_that() -> None:
    """Any number of any configurations, on any grid, some of which cannot run."""
    strange = make_record(1, 7, blocks=OTHER_BLOCKS, num_ctas=2, max_registers=64, grid=(1, 1, 1))
    assert broken_rules(make_kernel(strange, make_refused()), ACCEPTED, "open") == []


@pytest.mark.parametrize("stage", STAGES)
def test_a_kernel_that_never_runs_is_refused_in_every_stage(stage: str) -> None:
    """Something must be launched."""
    assert "nothing-runs" in broken_rules(make_kernel(make_refused()), ACCEPTED, stage)
    assert "nothing-runs" in broken_rules(make_kernel(), ACCEPTED, stage)


@pytest.mark.parametrize("stage", ["", "Open", "final"])
def test_an_unknown_stage_is_an_error(stage: str) -> None:
    """A name that is misspelt does not mean no rules."""
    with pytest.raises(ValueError, match=r"unknown stage.*known: final-micro-tuning, open"):
        check_stage(stage, make_kernel(*HONEST), ACCEPTED, ALEXNET_CONV1, RULES)


def test_a_configuration_is_compared_by_value() -> None:
    """The order in which blocks are written does not matter."""
    blocks = dict(reversed(ALEXNET_CONV1.original.config.blocks.items()))
    assert KernelConfig(blocks=blocks, num_warps=4, num_stages=2) == ALEXNET_CONV1.original.config
    assert add(make_record(blocks=blocks)) == []


SIX = (*HONEST, make_record(16, 2, resident=16), make_record(4, 4), make_record(8, 3, resident=16))


@pytest.mark.parametrize(
    ("key", "value", "candidate"),
    [
        ("min_configs", 4, HONEST),
        ("max_configs", 5, SIX),
        ("warps", (2, 4, 16), HONEST),
        ("stages", (2, 4), HONEST),
        ("max_stages_step", 2, SIX),
    ],
)
def test_a_rule_set_otherwise_changes_what_is_broken(
    key: str, value: Any, candidate: tuple[ConfigRecord, ...]
) -> None:
    """So the settings decide, each of them."""
    changed = msgspec.structs.replace(RULES, **{key: value})
    by_project, otherwise = (
        check_stage(TUNING, make_kernel(*candidate), ACCEPTED, ALEXNET_CONV1, rules)
        for rules in (RULES, changed)
    )
    assert by_project != otherwise


def test_no_rule_is_left_out() -> None:
    """A new one needs a case above."""
    assert {*RULES.__struct_fields__} == {
        *("min_configs", "max_configs", "warps", "stages", "max_stages_step")
    }
