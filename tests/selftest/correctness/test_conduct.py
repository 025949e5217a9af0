"""Laws of what a call returned, wrote and left alone: each fault by its own name, an honest run by none."""

from typing import Any

import msgspec
import numpy as np
import pytest

from kernelgate.correctness import conduct
from kernelgate.correctness.calls import Call, Run
from kernelgate.execution.observed.launches import SeenLaunch
from kernelgate.operations.accuracy.laws import Broken
from kernelgate.operations.declaration.ways import Way
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.protocol import Ran
from tests.selftest.support.project_settings import LAWS
from tests.selftest.support.small_convolution import resize

SMALL = resize(in_size=15, out_channels=4)
BATCH = 3
SHAPE = SMALL.output_shape(BATCH)
TOTAL = int(np.prod(SHAPE))
LAUNCH = SeenLaunch(kernel="conv", programs_run=10, programs_total=10, makes_answer=True, most_written=12)
HONEST = Ran(
    returned="Tensor",
    shape=SHAPE,
    dtype="torch.float32",
    device="cuda:0",
    contiguous=True,
    launches=(LAUNCH,),
)


def make_run(offsets: np.ndarray | None = None, sampled: tuple[str, ...] = (), **changes: Any) -> Run:
    offsets = np.arange(TOTAL) if offsets is None else offsets
    return Run(
        call=Call(recipe=Recipe(family="normal", seed=0, batch=BATCH), pin=0, sampled=sampled),
        ran=msgspec.structs.replace(HONEST, **changes),
        bits=np.zeros(offsets.size, dtype=np.uint32),
        offsets=offsets,
        poison_bits=0x7FC0BEEF,
    )


def launch(**changes: Any) -> SeenLaunch:
    return msgspec.structs.replace(LAUNCH, **changes)


def broken_of(run: Run) -> list[Broken]:
    """Return everything that the laws of conduct find in a run."""
    return [
        *conduct.check_launched(run),
        *conduct.check_form(SMALL, run),
        *conduct.check_memory(run),
        *conduct.check_inputs_intact(run),
        *conduct.check_earlier_intact(run),
        *conduct.check_alone(run),
        *conduct.check_as_planned(run),
        *conduct.check_arrived(run),
        *conduct.check_all_written(SMALL, run),
        *conduct.check_enough_programs(SMALL, run, LAWS),
    ]


def test_an_honest_run_breaks_no_law() -> None:
    """The run that the planted faults start from is sound, sampled or not."""
    assert TOTAL == 3 * 4 * 3 * 3
    assert broken_of(make_run()) == []
    assert broken_of(make_run(sampled=("conv",))) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"returned": "tuple"}, "forward returned tuple"),
        ({"returned": "Parameter"}, "forward returned Parameter"),
        ({"shape": (*SHAPE[:3], SHAPE[3] - 1)}, "the output has shape"),
        ({"shape": (BATCH + 1, *SHAPE[1:])}, "the output has shape"),
        ({"dtype": "torch.float16"}, "the output is torch.float16"),
        ({"device": "cpu"}, "the output is on cpu"),
        ({"device": "cuda:1"}, "the output is on cuda:1"),
        ({"contiguous": False}, "not contiguous"),
    ],
)
def test_the_kind_of_what_is_returned_is_a_law(changes: dict[str, Any], said: str) -> None:
    """What is amiss is said, with what is allowed; it is wrong, not forbidden."""
    (broken,) = broken_of(make_run(**changes))
    assert (broken.law, broken.forbidden) == ("form", False)
    assert said in broken.detail
    assert "allowed" in broken.detail or "not contiguous" in broken.detail


@pytest.mark.parametrize("missing", [{"bits": None}, {"offsets": None}], ids=["no values", "no places"])
def test_values_that_did_not_arrive_are_not_taken_for_right(missing: dict[str, Any]) -> None:
    """An output of the right kind whose bits are missing is broken; there is nothing to compare."""
    (broken,) = conduct.check_arrived(msgspec.structs.replace(make_run(), **missing))
    assert broken.law == "form"
    assert "did not arrive" in broken.detail


@pytest.mark.parametrize("sampled", [(), ("conv",)])
def test_programs_that_write_nothing_leave_all_unwritten(sampled: tuple[str, ...]) -> None:
    """Whether all of them ran or some: there is nothing to compare, and that is not held."""
    nothing = {"bits": np.zeros(0, dtype=np.uint32), "offsets": np.zeros(0, dtype=np.int64)}
    broken, *_ = broken_of(msgspec.structs.replace(make_run(sampled=sampled), **nothing))
    assert broken.law == "all-written"
    assert f"wrote any of {TOTAL}" in broken.detail


def test_an_answer_without_a_launch_is_forbidden() -> None:
    """Whoever computed it, the kernel did not."""
    (broken,) = broken_of(make_run(launches=()))
    assert (broken.law, broken.forbidden) == ("delegation", True)


def of_the_file(**changes: Any) -> Run:
    """Return a call of the file itself, whose launches nobody has seen."""
    return msgspec.structs.replace(make_run(launches=()), **{"as_planned": True, **changes})


def test_a_call_of_the_file_itself_is_held_against_its_plans() -> None:
    """Its launches are not watched: what they do not compute, the answer cannot have."""
    assert broken_of(of_the_file()) == []
    call = msgspec.structs.replace(make_run().call, way=Way.EVAL)
    (broken,) = broken_of(of_the_file(as_planned=False, call=call))
    assert (broken.law, broken.forbidden) == ("calls-differ", False)
    assert "called in eval mode" in broken.detail


def test_a_process_that_is_left_running_is_forbidden() -> None:
    """Whatever it does there, it is not the kernel's launch."""
    (broken,) = broken_of(of_the_file(left_running=True))
    assert (broken.law, broken.forbidden) == ("delegation", True)


@pytest.mark.parametrize(
    ("changes", "law"),
    [
        ({"memory": ("read 4 bytes before x",)}, "memory"),
        ({"inputs_intact": False}, "inputs-intact"),
        ({"earlier_intact": False}, "earlier-answers"),
    ],
)
def test_what_a_call_may_not_touch_is_a_law(changes: dict[str, Any], law: str) -> None:
    """Memory of others, its own inputs, and answers that were given before: wrong, each by its name."""
    (broken,) = broken_of(make_run(**changes))
    assert (broken.law, broken.forbidden) == (law, False)


def test_an_element_that_no_program_wrote_is_found() -> None:
    """After all programs nothing may be left out; the first place is named."""
    (broken,) = broken_of(make_run(np.delete(np.arange(TOTAL), [40, 41])))
    assert broken.law == "all-written"
    assert broken.detail == f"2 of {TOTAL} output elements were never written, the first out[1,0,1,1]"


@pytest.mark.parametrize("run", [9, 0])
def test_programs_that_were_left_out_excuse_what_they_would_have_written(run: int) -> None:
    """A sample says nothing about the places of others."""
    few = make_run(np.arange(9), launches=(launch(programs_run=run),))
    assert list(conduct.check_all_written(SMALL, few)) == []


def test_one_launch_that_ran_in_part_excuses_all() -> None:
    """Each launch of a call counts."""
    launches = (LAUNCH, launch(kernel="tail", programs_run=3))
    assert list(conduct.check_all_written(SMALL, make_run(np.arange(9), launches=launches))) == []


def test_images_that_were_not_asked_for_are_not_missing() -> None:
    """Of a large batch some images are compared."""
    run = make_run(np.arange(36))
    asked = msgspec.structs.replace(run, call=msgspec.structs.replace(run.call, items=(0,)))
    assert list(conduct.check_all_written(SMALL, asked)) == []
    assert list(conduct.check_all_written(SMALL, run))


@pytest.mark.parametrize(("covered", "whole"), [(None, True), (108, True), (107, False)])
def test_a_tile_that_no_program_of_the_grid_writes_is_missing(covered: int | None, *, whole: bool) -> None:
    """Whatever sample of them was run; where the stores alone do not tell, nothing is said."""
    run = make_run(np.arange(12), ("conv",), launches=(launch(programs_run=2, programs_total=9),))
    run = msgspec.structs.replace(run, ran=msgspec.structs.replace(run.ran, covered=covered))
    broken = list(conduct.check_covered(SMALL, run))
    assert [each.law for each in broken] == ([] if whole else ["all-written"])
    assert whole or "1 of 108 output elements" in broken[0].detail


@pytest.mark.parametrize(("programs", "enough"), [(9, True), (8, False), (1000, True)])
def test_too_few_programs_cannot_have_written_everything(programs: int, enough: bool) -> None:
    """Nine of twelve elements each are the 108 of the output; a sample shows how busy one is."""
    run = make_run(np.arange(12), ("conv",), launches=(launch(programs_run=2, programs_total=programs),))
    broken = list(conduct.check_enough_programs(SMALL, run, LAWS))
    assert [each.law for each in broken] == ([] if enough else ["all-written"])
    assert enough or "8 programs write 96 of 108 elements" in broken[0].detail


def test_idle_programs_at_the_end_of_a_grid_write_nothing() -> None:
    """Of twelve that are launched, three idle ones leave just enough, four too few."""
    for idle, enough in ((3, True), (4, False)):
        made = launch(programs_run=2, programs_total=12, programs_idle=idle)
        run = make_run(np.arange(12), ("conv",), launches=(made,))
        assert bool(list(conduct.check_enough_programs(SMALL, run, LAWS))) is not enough


def test_launches_share_the_output_between_them() -> None:
    """Two kernels of half of it each are enough together, and one of them is not."""
    halves = (launch(programs_total=5), launch(kernel="rest", programs_total=4))
    both = make_run(np.arange(12), ("conv", "rest"), launches=halves)
    assert list(conduct.check_enough_programs(SMALL, both, LAWS)) == []
    alone = make_run(np.arange(12), ("conv",), launches=halves[:1])
    assert list(conduct.check_enough_programs(SMALL, alone, LAWS))


def test_a_kernel_that_small_batches_do_not_launch_counts_too() -> None:
    """It makes a part of the answer, and was not there when it was decided what is sampled."""
    full = launch(kernel="full", programs_run=5, programs_total=5)
    run = make_run(np.arange(12), ("conv",), launches=(full, launch(programs_run=2, programs_total=4)))
    assert list(conduct.check_enough_programs(SMALL, run, LAWS)) == []


def test_a_launch_that_was_not_sampled_is_not_counted() -> None:
    """All its programs ran: what they left out is known without counting."""
    helper = launch(kernel="prepare", programs_total=1, makes_answer=False, most_written=0)
    assert list(conduct.check_enough_programs(SMALL, make_run(launches=(helper,)), LAWS)) == []


def test_a_wider_margin_lets_fewer_programs_pass() -> None:
    """So the settings decide how much less to do the busiest of a sample may have had."""
    run = make_run(
        np.arange(12), ("conv",), launches=(launch(programs_run=2, programs_total=4, most_written=25),)
    )
    wider = msgspec.structs.replace(LAWS, busiest_margin=1.09)
    assert list(conduct.check_enough_programs(SMALL, run, LAWS))
    assert not list(conduct.check_enough_programs(SMALL, run, wider))


def test_a_thinned_launch_is_not_counted() -> None:
    """The few of its programs that ran may all stand at an edge."""
    run = make_run(np.arange(12), ("conv",), launches=(launch(programs_run=2, thinned=True),))
    assert list(conduct.check_enough_programs(SMALL, run, LAWS)) == []
