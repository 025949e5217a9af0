"""Which configurations are dropped unseen, and which make the list of the tuned file."""

from typing import Any

import msgspec
import pytest

from kernelgate.baselines.compiled import ConfigRecord
from kernelgate.compilation.machine_code.compiled_kernel import CompiledKernel
from kernelgate.compilation.stage_rules import nearby_configs
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.declaration.kernel_config import KernelConfig
from kernelgate.tuning.options import Option, Timed, choose_configs, sort_out
from kernelgate.verdict import Outcome
from tests.selftest.support.made_up_launches import make_launch
from tests.selftest.support.project_settings import RULES

ORIGINAL = ALEXNET_CONV1.original.config


def config(warps: int = 4, stages: int = 2, **changes: Any) -> KernelConfig:
    return msgspec.structs.replace(ORIGINAL, num_warps=warps, num_stages=stages, **changes)


def record(of: KernelConfig, **changes: Any) -> ConfigRecord:
    """Return a compiled configuration; code of its own unless a test says otherwise."""
    fresh = {"code_sha256": f"{of.num_warps:032x}{of.num_stages:032x}"}
    return ConfigRecord(config=of, launches=(make_launch(**fresh | changes),), error="")


def kernel(*records: ConfigRecord) -> CompiledKernel:
    return CompiledKernel(target="sm_89", kernel_sha256="0" * 64, configs=records)


ACCEPTED = kernel(record(config(stages=1)), record(config(stages=2)))


def test_the_stage_allows_near_stages_and_four_warps() -> None:
    """The original comes first; stages move by one from those that the accepted kernel has."""
    near = nearby_configs(ALEXNET_CONV1, ACCEPTED, RULES)
    assert near[0] == ORIGINAL
    assert {(each.num_warps, each.num_stages) for each in near} == {
        (warps, stages) for warps in (2, 4, 8, 16) for stages in (1, 2, 3)
    }
    assert len(near) == len(set(map(str, near))) == 12
    assert all(each.blocks == ORIGINAL.blocks for each in near)
    deeper = nearby_configs(ALEXNET_CONV1, kernel(record(config(stages=3))), RULES)
    assert {each.num_stages for each in deeper} == {1, 2, 3, 4}
    elsewhere = record(config(stages=4, blocks={"BLOCK_M": 64, "BLOCK_N": 64, "BLOCK_K": 32}))
    assert {each.num_stages for each in nearby_configs(ALEXNET_CONV1, kernel(elsewhere), RULES)} == {1, 2}


def dropped(*records: ConfigRecord, accepted: CompiledKernel = ACCEPTED) -> list[str]:
    return [option.dropped for option in sort_out(kernel(*records), accepted, ALEXNET_CONV1, RULES)]


def test_each_that_is_dropped_has_its_reason() -> None:
    """In the order of the rules, and what is worth timing has none."""
    assert dropped(record(ORIGINAL), record(config(stages=3))) == ["", ""]
    refused = ConfigRecord(config=config(stages=3), launches=(), error="out of shared memory")
    assert dropped(record(ORIGINAL), refused) == ["", "out of shared memory"]
    assert dropped(record(ORIGINAL), record(config(stages=3), spill_store_bytes=8)) == [
        "",
        "spills 8 bytes a thread",
    ]
    (_, jumped) = dropped(record(ORIGINAL), record(config(stages=4)))
    assert jumped == "4 stages, the accepted kernel has [1, 2]: by 1 at most"


def test_the_same_code_is_timed_once() -> None:
    """The first of them, in the order of the list."""
    same = {"code_sha256": "b" * 64}
    found = dropped(
        record(ORIGINAL, **same), record(config(stages=1), **same), record(config(stages=3), **same)
    )
    assert found == ["", *[f"the same machine code as {ORIGINAL}"] * 2]


def test_warps_change_only_where_occupancy_suggests_it() -> None:
    """Against the accepted kernel, and against the file's own program of the original's warps."""
    (_, against_accepted) = dropped(record(ORIGINAL), record(config(warps=8), warps_per_sm=16))
    assert against_accepted.startswith("16 warps an SM, 16 with")
    own, more = record(ORIGINAL, warps_per_sm=24), record(config(warps=8), warps_per_sm=20)
    (_, against_own) = dropped(own, more)
    assert against_own.startswith("20 warps an SM, 24 with")
    assert dropped(own, record(config(warps=8), warps_per_sm=32)) == ["", ""]


def test_the_original_is_always_timed() -> None:
    """Even where it spills; but not where it cannot run, or launches another grid."""
    assert dropped(record(ORIGINAL, grid=(9, 9, 1)))[0].startswith("launches grids")
    assert dropped(record(ORIGINAL, spill_load_bytes=400)) == [""]
    refused = ConfigRecord(config=ORIGINAL, launches=(), error="out of shared memory")
    assert dropped(refused) == ["out of shared memory"]


def test_an_option_says_what_its_launches_use() -> None:
    """The most of what is used, the least of what is resident."""
    launches = (
        make_launch(registers=90, shared_bytes=5, warps_per_sm=20),
        make_launch(registers=40, shared_bytes=9, warps_per_sm=12, spill_load_bytes=3),
    )
    both = ConfigRecord(config=ORIGINAL, launches=launches, error="")
    (option,) = sort_out(kernel(both), ACCEPTED, ALEXNET_CONV1, RULES)
    used = option.registers, option.shared_bytes, option.spill_bytes, option.warps_per_sm
    assert used == (90, 9, 3, 12)


def option(of: KernelConfig, gain: float | None, outcome: Outcome = Outcome.KEEP, why: str = "") -> Option:
    timed = None if why else Timed(outcome=outcome, reason="r", detail="d", gain=gain)
    return Option(
        config=of, registers=1, shared_bytes=1, spill_bytes=0, warps_per_sm=1, dropped=why, timed=timed
    )


def test_what_is_kept_makes_the_list_after_the_original_fastest_first() -> None:
    """Six at most; the slowest of the kept are left out."""
    stages, warps = config(stages=3), config(warps=8)
    options = [option(ORIGINAL, 0.02), option(stages, 0.05), option(warps, 0.09)]
    assert choose_configs(options, ALEXNET_CONV1, RULES) == (ORIGINAL, warps, stages)
    many = [option(config(warps=2**n), 0.01 * n) for n in range(3, 10)]
    chosen = choose_configs([option(ORIGINAL, 0.0, Outcome.REVERT), *many], ALEXNET_CONV1, RULES)
    assert [each.num_warps for each in chosen] == [4, 512, 256, 128, 64, 32]


def test_the_list_is_filled_up_to_three() -> None:
    """With the fastest of the rest, then with the original's own twins."""
    stages, warps, twin = config(stages=3), config(warps=8), config(stages=1)
    rest = [option(ORIGINAL, 0.0, Outcome.REVERT), option(stages, 0.05)]
    slow = [option(warps, -0.2, Outcome.REGRESSED), option(config(warps=16), -0.1, Outcome.REGRESSED)]
    assert choose_configs([*rest, *slow], ALEXNET_CONV1, RULES) == (ORIGINAL, stages, config(warps=16))
    with_twin = [*rest, option(twin, None, why="the same machine code")]
    assert choose_configs(with_twin, ALEXNET_CONV1, RULES) == (ORIGINAL, stages, twin)
    assert choose_configs(rest, ALEXNET_CONV1, RULES) == (ORIGINAL, stages)


@pytest.mark.parametrize("outcome", [Outcome.REVERT, Outcome.REGRESSED, Outcome.UNSTABLE, Outcome.INVALID])
def test_without_a_proven_gain_there_is_no_list(outcome: Outcome) -> None:
    """Revert, whatever the estimate says; a wrong one is never listed."""
    options = [option(ORIGINAL, 0.0, Outcome.REVERT), option(config(stages=3), 0.3, outcome)]
    assert choose_configs(options, ALEXNET_CONV1, RULES) == ()


@pytest.mark.parametrize(
    ("gain", "outcome"),
    [(None, Outcome.WRONG), (0.5, Outcome.WRONG), (0.5, Outcome.FORBIDDEN), (0.5, Outcome.INVALID)],
)
def test_what_is_wrong_fills_no_list(gain: float | None, outcome: Outcome) -> None:
    """However fast it is."""
    bad = option(config(warps=8), gain, outcome)
    options = [option(ORIGINAL, 0.0, Outcome.REVERT), bad, option(config(stages=3), 0.1)]
    assert choose_configs(options, ALEXNET_CONV1, RULES) == (ORIGINAL, config(stages=3))
