"""What whole grids store is counted by one caller, for all plans that do the same."""

import msgspec

from kernelgate.correctness.callers.stores_counted import StoresCounted
from tests.selftest.support.made_up_plans import make_plan

PLAN = make_plan()
FASTER = msgspec.structs.replace(PLAN, card="sm_90")
OTHER = msgspec.structs.replace(PLAN, buffers=PLAN.buffers[:-1])


def test_the_first_caller_counts_for_all_that_come_with_such_a_plan() -> None:
    counted = StoresCounted()
    assert counted.begin(PLAN)
    assert not counted.begin(FASTER)
    assert counted.known(FASTER) is None
    counted.note(PLAN, 7)
    assert not counted.begin(PLAN)
    assert counted.known(FASTER) == 7


def test_another_plan_is_counted_by_itself() -> None:
    counted = StoresCounted()
    counted.begin(PLAN)
    counted.note(PLAN, 7)
    assert counted.begin(OTHER)
    assert counted.known(OTHER) is None


def test_what_one_caller_could_not_count_the_next_does() -> None:
    counted = StoresCounted()
    counted.begin(PLAN)
    counted.give_up(PLAN)
    assert counted.begin(FASTER)
