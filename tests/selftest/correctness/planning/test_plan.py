"""Which cases are planned for made-up compiles, and the bounds of the drawn ones."""

import itertools
from typing import Any

import hypothesis
import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kernelgate.baselines.compiled import ConfigRecord
from kernelgate.compilation.machine_code.compiled_kernel import CompiledKernel
from kernelgate.correctness.case import CONTIGUOUS, LAYOUTS, NO_RELATION, parse_case
from kernelgate.correctness.coverage.laws import LAWS
from kernelgate.correctness.planning import plan as plan_module
from kernelgate.correctness.planning import planned_cases
from kernelgate.correctness.planning.plan import (
    MAX_DRAWN_BATCH,
    MAX_SEED,
    CasePlan,
    plan_for_gpu,
    plan_for_interpreter,
    probe_cases,
)
from kernelgate.correctness.planning.planned_cases import FEW_PROGRAMS, WHOLE_BATCH, swept_shapes
from kernelgate.correctness.planning.programs import MAX_RUN_WHOLE, samplable
from kernelgate.correctness.relations import RELATIONS
from kernelgate.execution.observed.launches import SeenLaunch
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.draws.values import FAMILIES, make_family
from tests.selftest.support.made_up_launches import make_launch
from tests.selftest.support.small_convolution import FAN_IN

LIGHT, HEAVY, PERSISTENT = (24200, 2, 1), (3025, 1, 1), (128, 1, 1)
SWEPT = 200
SEED = 1000
SAMPLED = 10
LAST = ALEXNET_CONV1.max_batch
NAMED = (37, 4099)


def make_record(code: str, *grids: tuple[int, int, int], arguments: str = "0") -> ConfigRecord:
    launches = tuple(
        make_launch(
            grid=grid,
            arguments_sha256=arguments * 64,
            code_sha256=code * 64,
            registers=200,
            shared_bytes=12288,
            blocks_per_sm=2,
            warps_per_sm=8,
        )
        for grid in grids
    )
    error = "" if grids else "out of shared memory"
    return ConfigRecord(config=ALEXNET_CONV1.original.config, launches=launches, error=error)


def make_kernel(*records: ConfigRecord) -> CompiledKernel:
    return CompiledKernel(target="sm_89", kernel_sha256="f" * 64, configs=records)


def rename_kernel(compiled: CompiledKernel, name: str) -> CompiledKernel:
    launches = tuple(msgspec.structs.replace(each, kernel=name) for each in compiled.configs[0].launches)
    return make_kernel(msgspec.structs.replace(compiled.configs[0], launches=launches))


def interpret(*records: ConfigRecord, sampled: tuple[str, ...] = ("conv",)) -> CasePlan:
    return plan_for_interpreter(ALEXNET_CONV1, make_kernel(*records), NAMED, sampled, SAMPLED, SEED)


def whole(*records: ConfigRecord) -> CasePlan:
    return interpret(*records, sampled=())


def on_gpu(*records: ConfigRecord) -> CasePlan:
    return plan_for_gpu(ALEXNET_CONV1, make_kernel(*records), NAMED, SEED, swept=SWEPT)


def seen(kernel: str, *, makes_answer: bool) -> SeenLaunch:
    return SeenLaunch(kernel=kernel, programs_run=1, programs_total=1, makes_answer=makes_answer)


TWO_AND_A_TWIN = (
    make_record("a", LIGHT),
    make_record("a", LIGHT),
    make_record("b"),
    make_record("c", (12100, 2, 1)),
)
EVERYWHERE = pytest.mark.parametrize("plan", [interpret, whole, on_gpu])


def test_each_configuration_is_probed_by_one_image_of_all_its_programs() -> None:
    """The quickest first, and exactly; a twin, and what cannot run, are not asked."""
    probes = probe_cases(make_kernel(*TWO_AND_A_TWIN), SEED)
    assert [(case.batch, case.programs, case.pin, case.seed) for case in probes] == [
        (1, 0, 3, SEED),
        (1, 0, 0, SEED + 1),
    ]
    assert all(make_family(case.family, FAN_IN).exact for case in probes)


def test_a_kernel_is_sampled_if_every_one_of_its_launches_makes_the_answer() -> None:
    """One launch that another reads from needs all its programs, which must be few at the measured batch."""
    few, many = (make_kernel(make_record("a", (count, 1, 1))) for count in (MAX_RUN_WHOLE, MAX_RUN_WHOLE + 1))
    few, many = (rename_kernel(each, "prepare") for each in (few, many))
    launches = [
        seen("prepare", makes_answer=False),
        seen("conv", makes_answer=True),
        seen("twice", makes_answer=True),
        seen("twice", makes_answer=False),
        seen("conv", makes_answer=True),
    ]
    assert samplable(launches, few) == ("conv",)
    assert samplable(launches[-1:], few) == samplable(launches[-1:], many) == ("conv",)
    assert samplable(launches, many) == samplable(launches[:1], few) == samplable([], many) == ()


@pytest.mark.parametrize(("plan", "programs"), [(interpret, SAMPLED), (on_gpu, 0)])
def test_every_program_runs_at_the_measured_batch(plan: Any, programs: int) -> None:
    """On the GPU whole, in the interpreter by a sample; a twin and a failure are not. Once sums are exact."""
    planned = [case for case in plan(*TWO_AND_A_TWIN).planned if case.batch == 256]
    assert {case.programs for case in planned} == {programs}
    assert sorted(case.pin for case in planned if case.family == "normal") == [0, 3]
    assert sum(case.family == "integer" for case in planned) == 1


@EVERYWHERE
@pytest.mark.parametrize(
    "other",
    [make_record("b", LIGHT), make_record("a", (24199, 2, 1)), make_record("a", LIGHT, arguments="1")],
    ids=["code", "grid", "arguments"],
)
def test_other_code_grid_or_arguments_are_another_program(plan: Any, other: ConfigRecord) -> None:
    """The same machine code on a grid that leaves a tile out is tried as well."""
    planned = plan(make_record("a", LIGHT), other)
    assert set(planned.pins) == {0, 1}
    largest = max(case.batch for case in planned.planned if case.batch <= 256)
    assert {case.pin for case in planned.planned if case.batch in (1, largest)} == {0, 1}


@EVERYWHERE
def test_every_family_and_layout_has_a_case_of_its_own(plan: Any) -> None:
    """No law is tried by luck."""
    planned = plan(*TWO_AND_A_TWIN).planned
    assert {case.family for case in planned} == set(FAMILIES)
    # A finding must be the layout's own: nothing else is unusual about its case.
    plain = [case for case in planned if (case.family, case.relation) == ("normal", NO_RELATION)]
    assert {case.layout for case in plain} == set(LAYOUTS)


OF_THE_FILE = {"new-contents", "two-models", "ways"}


@pytest.mark.parametrize(
    ("plan", "left_out"), [(interpret, OF_THE_FILE), (whole, OF_THE_FILE), (on_gpu, set())]
)
def test_every_relation_has_a_case_of_its_own(plan: Any, left_out: set[str]) -> None:
    """But those of what a model remembers: a launch plan remembers nothing, and is all that is drawn."""
    wanted = set(RELATIONS) - left_out
    planned = plan(*TWO_AND_A_TWIN)
    assert {case.relation for case in planned.planned} == wanted
    assert set(planned.relations) == set(RELATIONS) - OF_THE_FILE
    plain = [case for case in planned.planned if (case.family, case.layout) == ("normal", CONTIGUOUS)]
    assert {case.relation for case in plain} == wanted


@pytest.mark.parametrize("seed", range(20))
def test_a_batch_of_every_stratum_is_drawn(seed: int) -> None:
    """By the seed, so that no file knows it; where samples are slow, none over the largest allowed."""
    drawn = [*planned_cases._drawn_batches(LAST, seed)]
    assert all(
        first <= batch <= last for batch, (first, last) in zip(drawn, planned_cases.strata(LAST), strict=True)
    )
    assert drawn != [*planned_cases._drawn_batches(LAST, seed + 1)]
    assert max(planned_cases._drawn_batches(40, seed)) <= 40
    assert {case.batch for case in on_gpu(*TWO_AND_A_TWIN).planned} >= {LAST}
    assert sum(1024 < case.batch < LAST for case in on_gpu(*TWO_AND_A_TWIN).planned) >= 3


@pytest.mark.parametrize("name", [name for name in RELATIONS if name != NO_RELATION])
def test_every_relation_is_planned_judged_and_reported(name: str) -> None:
    """One entry is all that a relation needs: what says nothing, or can break nothing, is none."""
    relation = RELATIONS[name]
    (planned, *_) = (case for case in on_gpu(*TWO_AND_A_TWIN).planned if case.relation == name)
    tried = [law for law in LAWS if law.name == name and law.is_tried_by(planned, LAST)]
    assert [law.says for law in tried] == [relation.says]
    assert relation.says
    assert relation.source is not None or relation.owns_values_from is not None


@pytest.mark.parametrize("plan", [interpret, on_gpu])
def test_the_end_of_the_domain_and_the_batches_that_the_source_names_are_tried(plan: Any) -> None:
    """A fault that waits for a batch says which."""
    batches = {case.batch for case in plan(*TWO_AND_A_TWIN).planned}
    assert {LAST, *NAMED, 1, 2, 3} <= batches


def test_a_few_images_are_interpreted_whole() -> None:
    """And what would compare nothing in a sample; more images are sampled."""
    planned = interpret(*TWO_AND_A_TWIN).planned
    assert {case.batch <= WHOLE_BATCH for case in planned if not case.programs} == {True}
    assert {case.programs for case in planned if case.batch > WHOLE_BATCH} == {SAMPLED}
    drawn = interpret(*TWO_AND_A_TWIN).strategy().filter(lambda case: case.relation == "shuffled-batch")
    largest = hypothesis.find(drawn, lambda case: case.batch == WHOLE_BATCH, settings=settings(database=None))
    assert largest.programs == 0


def test_new_contents_are_also_written_into_an_x_with_other_strides() -> None:
    """A copy that makes such an x contiguous may be kept too long."""
    planned = on_gpu(*TWO_AND_A_TWIN).planned
    strided = [case.relation for case in planned if case.layout == LAYOUTS[-1]]
    assert strided == [NO_RELATION, "new-contents"]


@EVERYWHERE
def test_the_configurations_take_turns(plan: Any) -> None:
    """Layouts, families and relations are not the first configuration's alone."""
    planned = plan(*TWO_AND_A_TWIN).planned
    assert {case.pin for case in planned if case.layout != CONTIGUOUS} == {0, 3}
    assert {case.pin for case in planned if case.relation != NO_RELATION} == {0, 3}


def test_where_nothing_can_be_sampled_small_batches_run_whole() -> None:
    """No program of any is sampled, and no large batch is planned or drawn."""
    plan = whole(*TWO_AND_A_TWIN)
    assert {case.programs for case in plan.planned} == {plan.programs} == {0}
    assert {case.batch for case in plan.planned} == {1, 2, 3, WHOLE_BATCH}
    assert plan.max_batch == 3
    assert plan.sampled == ()


@pytest.mark.parametrize(
    ("grid", "largest"), [((256 * 18, 1, 1), LAST), ((256 * 17, 1, 1), 245), (PERSISTENT, 7), ((1, 1, 1), 1)]
)
def test_heavy_programs_keep_the_batches_small(grid: tuple[int, int, int], largest: int) -> None:
    """290400 outputs an image over 18 programs are 16133 each, over 17 they are too many."""
    plan = interpret(make_record("a", LIGHT), make_record("d", grid))
    assert max(case.batch for case in plan.planned) == largest
    assert plan.max_batch == min(largest, 256)


@EVERYWHERE
def test_exact_sums_are_planned_of_few_items_and_of_many(plan: Any) -> None:
    """A bias that is a percent off hides behind the bound of ordinary values; so does one item of many."""
    families = {name for name in FAMILIES if make_family(name, FAN_IN).exact}
    exact = [case for case in plan(*TWO_AND_A_TWIN).planned if case.family in families]
    assert {case.family for case in exact if case.batch <= 32} == families
    assert {256, *NAMED} <= {case.batch for case in exact} or plan is whole


@EVERYWHERE
def test_planned_cases_differ_in_their_contents(plan: Any) -> None:
    """No answer of one case, or of the probe, is the right one for another."""
    seeds = [case.seed for case in plan(*TWO_AND_A_TWIN, make_record("e", LIGHT)).planned]
    assert len({SEED, *seeds}) == len(seeds) + 1


kernels = st.lists(
    st.builds(
        lambda code, grids: make_record(code, *grids),
        st.sampled_from("abcdef"),
        st.lists(st.sampled_from([LIGHT, HEAVY, PERSISTENT, (1, 1, 1), (2**30, 1, 1)]), max_size=2),
    ),
    min_size=1,
    max_size=6,
).filter(lambda records: any(record.launches for record in records))


def test_batches_are_drawn_log_uniformly() -> None:
    """As many of few images as of many, up to the largest, and any between."""
    batches: list[int] = []

    @given(plan_module._log_uniform(256), st.integers(0, 2**31))  # the same example is not drawn twice
    @settings(max_examples=400, database=None, derandomize=True, phases=[Phase.generate])
    def draw(batch: int, _number: int) -> None:
        batches.append(batch)

    draw()
    assert all(1 <= batch <= 256 for batch in batches)
    for first, last in ((8, 15), (16, 31), (32, 63), (64, 127), (128, 255)):
        assert sum(first <= batch <= last for batch in batches) > len(batches) / 20


@given(kernels, st.sampled_from([interpret, whole, on_gpu]), st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_drawn_cases_stay_in_their_bounds(
    records: list[ConfigRecord], make_plan: Any, data: st.DataObject
) -> None:
    """Batches of the domain, pins that run, layouts and relations of the plan; all can be replayed."""
    plan = make_plan(*records)
    assert all(records[pin].launches for pin in plan.pins)
    case = data.draw(plan.strategy())
    assert 1 <= case.batch <= plan.max_batch <= (MAX_DRAWN_BATCH if make_plan is on_gpu else 256)
    assert case.relation in plan.relations
    assert 0 <= case.seed <= MAX_SEED
    assert case.pin in plan.pins
    few = min(plan.programs, FEW_PROGRAMS) if RELATIONS[case.relation].many_calls else plan.programs
    assert case.programs == (0 if case.batch <= WHOLE_BATCH else few)
    assert parse_case(case.replay) == case


@given(kernels, st.sampled_from([interpret, whole, on_gpu]))
@settings(max_examples=50, deadline=None)
def test_every_program_is_planned_and_no_case_leaves_the_domain(
    records: list[ConfigRecord], make_plan: Any
) -> None:
    """Once for each program, by a pin that runs it."""
    plan = make_plan(*records)
    assert len(plan.pins) == len(make_kernel(*records).programs())
    assert {case.pin for case in plan.planned} == set(plan.pins)
    assert all(1 <= case.batch <= LAST for case in plan.planned)


@EVERYWHERE
def test_a_failure_shrinks_to_the_simplest_case(plan: Any) -> None:
    """One image of normal values as they usually lie, in one call."""
    simplest = hypothesis.find(
        plan(*TWO_AND_A_TWIN).strategy(), lambda _: True, settings=settings(database=None)
    )
    assert (simplest.batch, simplest.family, simplest.seed, simplest.programs) == (1, "normal", 0, 0)
    assert (simplest.layout, simplest.relation) == (CONTIGUOUS, NO_RELATION)


def test_a_gpu_sweeps_over_values_at_the_end() -> None:
    """Of every family, on few images, with all configurations in turn, and other contents in each case."""
    plan = on_gpu(*TWO_AND_A_TWIN)
    swept = plan.planned[-SWEPT:]
    assert {case.family for case in swept} == set(FAMILIES)
    assert {case.batch for case in swept} == {1, 2, 3, 4}
    assert {case.pin for case in swept} == set(plan.pins)
    assert len({case.seed for case in plan.planned}) == len(plan.planned)
    unswept = plan_for_gpu(ALEXNET_CONV1, make_kernel(*TWO_AND_A_TWIN), NAMED, SEED)
    assert unswept.planned == plan.planned[:-SWEPT]
    assert {(case.batch, case.pin) for case in swept} <= {
        (shape.batch, shape.pin) for shape in swept_shapes(plan.pins)
    }


@pytest.mark.parametrize("largest", [1, 32, 33, 64, 65, 1000, LAST, 2**20])
def test_strata_are_doublings_without_gap_or_overlap(largest: int) -> None:
    """From 33 to the largest batch of an operation, wherever that is."""
    found = list(planned_cases.strata(largest))
    batches = [batch for first, last in found for batch in (first, last)]
    assert batches == sorted(batches)
    assert all(last + 1 == first for (_, last), (first, _) in itertools.pairwise(found))
    assert all(last <= 2 * first for first, last in found)
    if largest < 33:
        assert found == []
    else:
        assert (found[0][0], found[-1][1]) == (33, largest)


def test_a_kernel_is_not_tried_on_families_that_its_operation_excludes() -> None:
    """What the reference itself is not for is neither planned, nor swept, nor drawn."""
    without = msgspec.structs.replace(ALEXNET_CONV1, without=("huge", "special"))
    assert planned_cases.families_of(without) == [
        family for family in FAMILIES if family not in ("huge", "special")
    ]
    make = planned_cases.CaseMaker(without, (0,), itertools.count(), 64)
    planned = [
        *planned_cases.everything(make, ("none",), ()),
        *planned_cases.everything_whole(make, ("none",)),
    ]
    planned += planned_cases.sweep(without, 200, (0,), itertools.count())
    families = {case.family for case in planned}
    assert families == set(planned_cases.families_of(without))
