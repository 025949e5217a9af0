"""However the planned cases are ordered or shared out, together they are the plan."""

import itertools

import pytest

from kernelgate.correctness.case import LAYOUTS, NO_RELATION, Case
from kernelgate.correctness.relations import RELATIONS
from kernelgate.operations.draws.values import FAMILIES
from tests.selftest.corpus.planted.cases import SOON, as_planned, kinds_in_turn, one_in

NUMBERS = itertools.count()


def case(batch: int = 3, family: str = "normal", programs: int = 10, **others: str) -> Case:
    return Case(batch=batch, family=family, seed=next(NUMBERS), pin=0, programs=programs, **others)


WHOLE = case(programs=0)
LAST = case(batch=7394)
PLAN = (
    WHOLE,
    case(batch=256),
    *(case(family=family) for family in FAMILIES),
    *(case(relation=relation) for relation in RELATIONS if relation != NO_RELATION),
    *(case(batch=2, layout=layout) for layout in LAYOUTS[1:]),
    LAST,
)


def test_a_fault_is_tried_on_every_planned_case() -> None:
    """The order is another, the cases are the same."""
    assert sorted(map(str, kinds_in_turn(PLAN))) == sorted(map(str, PLAN))


def test_a_fault_meets_each_kind_of_case_early() -> None:
    """The end of the domain, a relation, a layout and a family, before a second of any."""
    first = kinds_in_turn(PLAN)[:4]
    assert LAST in first
    assert {each.relation for each in first} == {NO_RELATION, SOON[0]}
    assert len({each.layout for each in first}) == 2
    assert any(each.family != "normal" for each in first)


def test_the_relations_tried_soon_are_relations() -> None:
    """One that is renamed would come last, and nobody would notice."""
    assert set(SOON) <= set(RELATIONS)


def test_what_takes_longest_is_tried_last() -> None:
    """Every program of several images."""
    assert kinds_in_turn(PLAN)[-1] is WHOLE


@pytest.mark.parametrize("share", [1, 4, len(PLAN) + 1])
def test_files_with_consecutive_numbers_share_the_whole_plan(share: int) -> None:
    """Each case goes to exactly one of them."""
    taken = [each for number in range(share) for each in one_in(share, number)(PLAN)]
    assert sorted(map(str, taken)) == sorted(map(str, PLAN))


def test_a_record_is_made_by_the_plan_itself() -> None:
    """It tells what the gate would say."""
    assert as_planned(PLAN) is PLAN
