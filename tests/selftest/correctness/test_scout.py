"""Of the batches that are scouted one is tried of each kind of launch plan that no planned case has."""

import itertools
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from kernelgate.compilation.recording import Recorded
from kernelgate.correctness.callers import scout as scout_module
from kernelgate.correctness.callers.scout import CPU_SECONDS, MAX_FOUND, SWITCH, WALL_SECONDS, scout
from kernelgate.correctness.case import Case
from kernelgate.correctness.planning.plan import CasePlan
from kernelgate.execution.launch_plan import LaunchPlan, Pointer, Scalar
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from tests.selftest.support.made_up_plans import (
    BIAS,
    COMPUTE,
    OUT,
    PACKED,
    PAD,
    PADDED,
    TABLE,
    make_plan,
    with_step,
    without_steps,
)

SMALL, MEASURED = 3, 256


def case(batch: int, **changes: Any) -> Case:
    return msgspec.structs.replace(Case(batch=batch, family="normal", seed=0, pin=0), **changes)


def plan_with(batch: int, switch: int = 1, bias: int = BIAS, program: str = "") -> LaunchPlan:
    """Return a plan whose launch is told its batch and a switch."""
    buffers = (Pointer(buffer=each) for each in (PADDED, PACKED, bias, TABLE, OUT))
    numbers = (Scalar(kind="i32", bits=each) for each in (batch, switch))
    changes = {"program": program} if program else {}
    return with_step(make_plan(batch=batch), COMPUTE, arguments=(*buffers, *numbers), **changes)


def scouted(
    odd: dict[int, LaunchPlan | Recorded], known: range = range(1, 8000), *planned: Case
) -> list[int]:
    """Return the batches that are tried of a file with other plans at some batches."""

    def record(found: Case) -> Recorded:
        plan = odd.get(found.batch, plan_with(found.batch))
        if isinstance(plan, Recorded):
            return plan
        return Recorded(stored=SimpleNamespace(plan=plan))  # type: ignore[arg-type]

    planner: Any = SimpleNamespace(
        expect=lambda found: SimpleNamespace(result=lambda: record(found)),
        has=lambda found: found.batch in known,
    )
    runner: Any = SimpleNamespace(calls_of=lambda found: [found])
    plan = CasePlan(
        operation=ALEXNET_CONV1,
        planned=(case(SMALL), case(MEASURED), *planned),
        pins=(0,),
        max_batch=64,
        programs=40,
        relations=(),
        scouted=tuple(case(batch) for batch in range(300, 340)),
    )
    return [each.batch for each in scout(planner, runner, plan)]


def test_a_batch_that_does_the_same_is_not_tried() -> None:
    """A size that the launch is told is no other kind of plan."""
    assert scouted({}) == []


def test_another_program_buffer_or_step_is_tried_once() -> None:
    """The first batch of each kind."""
    assert scouted({310: plan_with(310, program="a" * 64), 320: plan_with(320, program="a" * 64)}) == [310]
    assert scouted({311: plan_with(311, bias=PACKED)}) == [311]
    assert scouted({312: without_steps(plan_with(312), PAD)}) == [312]


def test_an_argument_of_few_values_is_a_switch() -> None:
    """One of many is a size."""
    assert scouted({313: plan_with(313, switch=2)}) == [313]
    assert (
        scouted({300 + number: plan_with(300 + number, switch=number) for number in range(SWITCH + 2)}) == []
    )


def test_a_kind_that_is_planned_is_not_tried_again() -> None:
    """But for one that a planned case has in another layout: there more than the batch differs."""
    odd = plan_with(310, program="a" * 64)
    assert scouted({310: odd, 500: odd}, range(1, 8000), case(500)) == []
    assert scouted({310: odd, 500: odd}, range(1, 8000), case(500, layout="offset")) == [310]


def test_what_cannot_be_planned_is_a_kind_and_what_is_not_offered_is_none() -> None:
    """A call that the file breaks is told by its case."""
    assert scouted({314: Recorded(broken=("reads-values", "seen")), 315: Recorded(refused="pruned")}) == [314]


def test_of_a_book_only_calls_that_it_has_are_looked_at() -> None:
    """The file is not run."""
    assert scouted({310: plan_with(310, bias=PACKED)}, range(1, 305)) == []


def test_so_many_are_tried_at_most() -> None:
    """A file may have a program for each batch."""
    odd = {batch: plan_with(batch, program=f"{batch:064d}") for batch in range(300, 340)}
    assert len(scouted(odd)) == MAX_FOUND


@pytest.mark.parametrize(("late_s", "found"), [(WALL_SECONDS / 10, [339]), (WALL_SECONDS, [])])
def test_a_busy_machine_scouts_as_many_batches(
    monkeypatch: pytest.MonkeyPatch, late_s: float, found: list[int]
) -> None:
    """Unless each step takes so long that the whole would take minutes."""
    clock = itertools.count(step=late_s)
    monkeypatch.setattr(scout_module.time, "monotonic", lambda: next(clock))
    assert scouted({339: plan_with(339, program="a" * 64)}) == found


def test_slow_recordings_end_the_scouting_by_the_processor_s_time() -> None:
    """How long a busy machine had it wait does not count: else a verdict would hang on the load."""
    odd = plan_with(339, program="a" * 64)
    slow = Recorded(stored=SimpleNamespace(plan=plan_with(300)), cpu_s=CPU_SECONDS)  # type: ignore[arg-type]
    assert scouted({339: odd}) == [339]
    assert scouted({300: slow, 339: odd}) == []
