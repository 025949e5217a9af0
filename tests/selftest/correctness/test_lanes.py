"""Which lane takes which case."""

import pytest

from kernelgate.correctness.case import Case
from kernelgate.correctness.lanes import LANE_BYTES, MAX_LANES, WHOLE, Kind, WaitingCases, kind_of, lanes_of
from kernelgate.correctness.relations import RELATIONS
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from tests.selftest.support.pretended_runner import make_case

SMALL, LARGE = make_case(batch=64), make_case(batch=65)
OF_THE_FILE = make_case(relation=next(name for name, each in RELATIONS.items() if each.calls_file))


@pytest.mark.parametrize(
    ("case", "kind"), [(SMALL, Kind.SMALL), (LARGE, Kind.LARGE), (OF_THE_FILE, Kind.FILE)]
)
def test_a_case_is_known_by_what_it_needs(case: Case, kind: Kind) -> None:
    """Little memory, much of it, or a process that has imported the file."""
    assert kind_of(case, ALEXNET_CONV1) is kind


def test_a_gpu_with_no_memory_to_spare_has_one_lane_for_everything() -> None:
    """Two large batches would not fit, nor one beside many contexts."""
    assert lanes_of(-1) == lanes_of(LANE_BYTES - 1) == (WHOLE,)


@pytest.mark.parametrize("spare", [1, 2, 3, 30])
def test_lanes_beside_the_first_cost_memory_and_only_one_takes_large_batches(spare: int) -> None:
    """One calls the file; every kind of case has its lane."""
    lanes = lanes_of(spare * LANE_BYTES)
    assert len(lanes) == min(MAX_LANES, 1 + spare)
    assert [Kind.LARGE in lane for lane in lanes].count(True) == 1
    assert [Kind.FILE in lane for lane in lanes].count(True) == 1
    assert all(Kind.SMALL in lane for lane in lanes)


def test_a_lane_takes_its_own_kind_before_what_others_take_too() -> None:
    """So that the long cases begin first; within a kind the order holds."""
    waiting = WaitingCases([SMALL, make_case(seed=9), OF_THE_FILE, LARGE], ALEXNET_CONV1)
    large, of_the_file, small = lanes_of(2 * LANE_BYTES)
    assert waiting.take(large) == LARGE
    assert waiting.take(of_the_file) == OF_THE_FILE
    assert [waiting.take(large), waiting.take(small), waiting.take(small)] == [SMALL, make_case(seed=9), None]


def test_what_no_lane_at_hand_takes_goes_on_waiting() -> None:
    """A large batch is never taken by a lane that has not the memory for it."""
    waiting = WaitingCases([LARGE, OF_THE_FILE], ALEXNET_CONV1)
    assert waiting.take((Kind.SMALL,)) is None
    assert [waiting.take(WHOLE), waiting.take(WHOLE)] == [LARGE, OF_THE_FILE]
