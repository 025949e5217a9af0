"""What is said of two compiles: worse spills and occupancy, twins, and whether the programs are the same."""

from typing import Any

import msgspec
import pytest

from kernelgate.baselines.compiled import ConfigRecord
from kernelgate.compilation.compare import describe_changes, describe_twins
from kernelgate.compilation.machine_code.compiled_kernel import CompiledKernel
from kernelgate.operations.declaration.kernel_config import KernelConfig
from tests.selftest.support.made_up_launches import make_launch

LAUNCH = make_launch(
    registers=200,
    shared_bytes=12288,
    blocks_per_sm=2,
    warps_per_sm=8,
)


def make_record(num_warps: int = 4, num_stages: int = 2, **changes: Any) -> ConfigRecord:
    config = KernelConfig(blocks={"M": 32, "N": 64}, num_warps=num_warps, num_stages=num_stages)
    return ConfigRecord(config=config, launches=(msgspec.structs.replace(LAUNCH, **changes),), error="")


def make_refused(num_warps: int = 4) -> ConfigRecord:
    return ConfigRecord(config=make_record(num_warps).config, launches=(), error="out of shared memory")


def make_kernel(*records: ConfigRecord) -> CompiledKernel:
    return CompiledKernel(target="sm_89", kernel_sha256="f" * 64, configs=records)


def test_the_same_compile_has_no_changes() -> None:
    """Nothing is said where nothing grew."""
    kernel = make_kernel(make_record(), make_record(8, warps_per_sm=16), make_refused(2))
    assert describe_changes(kernel, kernel) == ()


def test_spills_that_grew_are_told_with_both_numbers() -> None:
    """Stores and loads together."""
    after = make_record(spill_store_bytes=8, spill_load_bytes=12)
    before = make_record(spill_store_bytes=4)
    (line,) = describe_changes(make_kernel(after), make_kernel(before))
    assert line == "32/64, 4 warps, 2 stages: spills 20 bytes a thread, the accepted kernel's 4"
    assert describe_changes(make_kernel(before), make_kernel(after)) == ()


def test_occupancy_that_fell_is_told_with_both_numbers() -> None:
    """Fewer warps are told, more are not."""
    (line,) = describe_changes(make_kernel(make_record(warps_per_sm=4)), make_kernel(make_record()))
    assert line == "32/64, 4 warps, 2 stages: 4 warps an SM, the accepted kernel's 8"
    assert describe_changes(make_kernel(make_record()), make_kernel(make_record(warps_per_sm=4))) == ()


def test_both_kinds_are_told_of_one_configuration() -> None:
    """One does not hide the other."""
    after = make_record(spill_load_bytes=4, warps_per_sm=4)
    assert len(describe_changes(make_kernel(after), make_kernel(make_record()))) == 2


def test_a_new_configuration_is_held_against_the_best_accepted_one() -> None:
    """Twelve warps were reached before: eight are a loss, and twelve are none."""
    accepted = make_kernel(make_record(), make_record(2, warps_per_sm=12))
    (line,) = describe_changes(make_kernel(make_record(8)), accepted)
    assert line.endswith("8 warps an SM, the accepted kernel's 12")
    assert describe_changes(make_kernel(make_record(8, warps_per_sm=12)), accepted) == ()


def test_the_launch_with_the_fewest_warps_stands_for_its_configuration() -> None:
    """Of two launches the worse one tells, and their spills add up."""
    both = (LAUNCH, msgspec.structs.replace(LAUNCH, warps_per_sm=4, spill_load_bytes=4))
    record = msgspec.structs.replace(make_record(), launches=both)
    lines = describe_changes(make_kernel(record), make_kernel(make_record()))
    assert [line.partition(": ")[2] for line in lines] == [
        "spills 4 bytes a thread, the accepted kernel's 0",
        "4 warps an SM, the accepted kernel's 8",
    ]


@pytest.mark.parametrize("accepted", [(), (make_refused(),)], ids=["none", "none that runs"])
def test_without_an_accepted_configuration_nothing_is_told(accepted: tuple[ConfigRecord, ...]) -> None:
    """There is nothing to compare with."""
    assert describe_changes(make_kernel(make_record()), make_kernel(*accepted)) == ()


def test_a_configuration_that_cannot_run_is_not_compared() -> None:
    """It has no spills and no occupancy."""
    assert describe_changes(make_kernel(make_refused()), make_kernel(make_record())) == ()


def test_a_twin_is_told_with_the_first_of_its_code() -> None:
    """Of three configurations of one program, two are twins of the first."""
    kernel = make_kernel(
        make_record(4, 1), make_record(4, 2), make_record(8, code_sha256="b" * 64), make_record(4, 3)
    )
    assert describe_twins(kernel) == (
        "32/64, 4 warps, 2 stages: the same machine code as 32/64, 4 warps, 1 stages",
        "32/64, 4 warps, 3 stages: the same machine code as 32/64, 4 warps, 1 stages",
    )


def test_configurations_that_cannot_run_are_no_twins() -> None:
    """Two failures have no code in common."""
    assert describe_twins(make_kernel(make_refused(2), make_refused(4))) == ()


def test_two_launches_are_no_twin_of_one() -> None:
    """The list of launches is compared as a whole."""
    twice = msgspec.structs.replace(make_record(8), launches=(LAUNCH, LAUNCH))
    assert describe_twins(make_kernel(make_record(), twice)) == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"code_sha256": "b" * 64},
        {"grid": (24199, 2, 1)},
        {"arguments_sha256": "1" * 64},
    ],
)
def test_code_grid_and_arguments_make_a_program(changes: dict[str, Any]) -> None:
    """A change of any is another program."""
    assert make_kernel(make_record(**changes)).programs() != make_kernel(make_record()).programs()


@pytest.mark.parametrize(
    "changes",
    [{"kernel": "renamed"}, {"registers": 201}, {"products": ("tf32",)}, {"narrow": ("fma.rn.f16",)}],
)
def test_names_and_usage_do_not(changes: dict[str, Any]) -> None:
    """They follow from the code or from nothing."""
    assert make_kernel(make_record(**changes)).programs() == make_kernel(make_record()).programs()


def test_order_twins_and_failures_change_no_programs() -> None:
    """What the GPU may be asked to run is a set."""
    one, other = make_record(), make_record(8, code_sha256="b" * 64)
    expected = make_kernel(one, other).programs()
    assert make_kernel(other, make_refused(2), one, make_record(4, 3)).programs() == expected
    assert make_kernel(one).programs() != expected


def test_the_order_of_launches_counts() -> None:
    """One launch reads what another wrote."""
    second = msgspec.structs.replace(LAUNCH, code_sha256="b" * 64)
    there = msgspec.structs.replace(make_record(), launches=(LAUNCH, second))
    back = msgspec.structs.replace(make_record(), launches=(second, LAUNCH))
    assert make_kernel(there).programs() != make_kernel(back).programs()


def test_a_kernel_that_never_runs_has_no_programs() -> None:
    """So that two such are not called the same code by mistake of the caller: the set is empty."""
    assert make_kernel(make_refused()).programs() == frozenset()
