"""Which cases are planned for made-up compiles, and the bounds of the drawn ones."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernelgate.case_plan import (
    MAX_DRAWN_BATCH,
    MAX_SEED,
    MAX_WHOLE_BATCH,
    CasePlan,
    plan_for_gpu,
    plan_for_interpreter,
)
from kernelgate.cases import FAMILIES, Case, parse_case
from kernelgate.compile_check import CompiledKernel
from kernelgate.launches import ConfigRecord, LaunchRecord
from kernelgate.operations import ALEXNET_CONV1

LIGHT, HEAVY, PERSISTENT = (24200, 2, 1), (3025, 1, 1), (128, 1, 1)
SEED = 1000
SAMPLED = 10


def make_record(code: str, *grids: tuple[int, int, int], arguments: str = "0") -> ConfigRecord:
    launches = tuple(
        LaunchRecord(
            kernel="conv",
            grid=grid,
            arguments_sha256=arguments * 64,
            code_sha256=code * 64,
            registers=200,
            stack_bytes=0,
            spill_store_bytes=0,
            spill_load_bytes=0,
            shared_bytes=12288,
            blocks_per_sm=2,
            warps_per_sm=8,
        )
        for grid in grids
    )
    error = "" if grids else "out of shared memory"
    return ConfigRecord(config=ALEXNET_CONV1.original_config, launches=launches, error=error)


def make_kernel(*records: ConfigRecord) -> CompiledKernel:
    return CompiledKernel(target="sm_89", kernel_sha256="f" * 64, configs=records)


def interpret(*records: ConfigRecord) -> CasePlan:
    return plan_for_interpreter(ALEXNET_CONV1, make_kernel(*records), SAMPLED, SEED)


def on_gpu(*records: ConfigRecord) -> CasePlan:
    return plan_for_gpu(ALEXNET_CONV1, make_kernel(*records), SEED)


TWO_AND_A_TWIN = (
    make_record("a", LIGHT),
    make_record("a", LIGHT),
    make_record("b"),
    make_record("c", (12100, 2, 1)),
)


def test_every_program_runs_at_the_measured_batch() -> None:
    """On the GPU whole, in the interpreter by a sample; a twin and a failure are not run."""
    whole, *sampled = interpret(*TWO_AND_A_TWIN).planned
    assert [(case.batch, case.pin, case.programs) for case in sampled] == [
        (256, 0, SAMPLED),
        (256, 3, SAMPLED),
    ]
    planned = [case for case in on_gpu(*TWO_AND_A_TWIN).planned if case.batch == 256]
    assert [(case.pin, case.programs) for case in planned] == [(0, 0), (3, 0)]
    assert (whole.batch, whole.programs) == (1, 0)


@pytest.mark.parametrize("plan", [interpret, on_gpu])
@pytest.mark.parametrize(
    "other",
    [make_record("b", LIGHT), make_record("a", (24199, 2, 1)), make_record("a", LIGHT, arguments="1")],
    ids=["code", "grid", "arguments"],
)
def test_other_code_grid_or_arguments_are_another_program(plan: Any, other: ConfigRecord) -> None:
    """The same machine code on a grid that leaves a tile out is tried as well."""
    planned = plan(make_record("a", LIGHT), other)
    assert planned.pins == (0, 1)
    assert {case.pin for case in planned.planned if case.batch == 256} == {0, 1}


def test_one_image_whole_is_planned_first_with_the_fewest_programs() -> None:
    """The quickest whole answer comes before all samples."""
    first = interpret(*TWO_AND_A_TWIN).planned[0]
    assert (first.batch, first.pin, first.programs) == (1, 3, 0)


@pytest.mark.parametrize(
    "odd",
    [
        make_record("d", LIGHT, LIGHT),
        make_record("d", HEAVY),
        make_record("d", PERSISTENT),
        make_record("d", (1, 1, 1)),
    ],
    ids=["two launches", "heavy", "persistent", "one program"],
)
def test_where_a_sample_says_nothing_small_batches_run_whole(odd: ConfigRecord) -> None:
    """One such configuration is enough; no program of any is sampled, and no large batch is drawn."""
    plan = interpret(make_record("a", LIGHT), odd)
    assert [(case.batch, case.programs) for case in plan.planned] == [(1, 0)] * 3
    assert {case.pin for case in plan.planned} == {0, 1}
    assert plan.programs == 0
    assert 1 <= plan.max_batch <= MAX_WHOLE_BATCH


def test_a_program_at_the_limit_of_its_outputs_is_sampled() -> None:
    """290400 outputs an image over 18 programs are 16133 each, over 17 they are too many."""
    assert interpret(make_record("a", (256 * 18, 1, 1))).programs == SAMPLED
    assert interpret(make_record("a", (256 * 17, 1, 1))).programs == 0


@pytest.mark.parametrize("plan", [interpret, on_gpu])
def test_small_integers_are_always_planned_whole(plan: Any) -> None:
    """Their sums are exact: a bias that is a percent off hides behind the bound of ordinary values."""
    exact = [case for case in plan(*TWO_AND_A_TWIN).planned if case.family == "integer"]
    assert exact
    assert all(case.programs == 0 and case.batch <= 3 for case in exact)


@pytest.mark.parametrize("plan", [interpret, on_gpu])
def test_planned_cases_differ_in_their_contents(plan: Any) -> None:
    """No answer of one case is the right one for another."""
    seeds = [case.seed for case in plan(*TWO_AND_A_TWIN, make_record("e", LIGHT)).planned]
    assert len(set(seeds)) == len(seeds)


kernels = st.lists(
    st.builds(
        lambda code, grids: make_record(code, *grids),
        st.sampled_from("abcdef"),
        st.lists(st.sampled_from([LIGHT, HEAVY, PERSISTENT, (1, 1, 1), (2**30, 1, 1)]), max_size=2),
    ),
    min_size=1,
    max_size=6,
).filter(lambda records: any(record.launches for record in records))


@given(kernels, st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_drawn_cases_stay_in_their_bounds(records: list[ConfigRecord], data: st.DataObject) -> None:
    """Batches of the domain, pins that run, families and seeds that can be replayed."""
    for plan, most in ((interpret(*records), 256), (on_gpu(*records), MAX_DRAWN_BATCH)):
        assert all(records[pin].launches for pin in plan.pins)
        case = data.draw(plan.strategy())
        assert 1 <= case.batch <= min(plan.max_batch, most)
        assert case.family in FAMILIES
        assert 0 <= case.seed <= MAX_SEED
        assert case.pin in plan.pins
        assert case.programs == plan.programs
        assert parse_case(case.replay) == case


@given(kernels)
@settings(max_examples=50, deadline=None)
def test_every_program_is_planned_once(records: list[ConfigRecord]) -> None:
    """By its pin, in both places, once for ordinary values and once, on the GPU, for exact ones."""
    programs = make_kernel(*records).programs()
    gpu, cpu = on_gpu(*records), interpret(*records)
    assert len(gpu.pins) == len(cpu.pins) == len(programs)
    for family in ("normal", "integer"):
        assert [case.pin for case in gpu.planned if case.family == family] == list(gpu.pins)
    assert {case.pin for case in cpu.planned} == set(cpu.pins)
    assert cpu.planned[0] == Case(batch=1, family="integer", seed=SEED, pin=cpu.planned[0].pin, programs=0)
