"""In which order the arms run and take their memory, and what counts of a sample."""

import itertools
import math
import random
from collections import Counter

import msgspec
import pytest

from kernelgate.performance.samples import Arm, MeasuredReplicate, Sample
from kernelgate.performance.schedule import draw_orders, draw_places


def draw_from(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - a replayable order, not a secret


@pytest.mark.parametrize("seed", range(20))
def test_every_order_is_a_palindrome_of_all_arms(seed: int) -> None:
    """Each arm runs twice a block, as early as it runs late: linear drift cancels."""
    orders = draw_orders(tuple(Arm), 24, draw_from(seed))
    assert len(orders) == 24
    for order in orders:
        assert order == order[::-1]
        assert Counter(order) == dict.fromkeys(Arm, 2)
        for arm in Arm:
            assert sum(place for place, name in enumerate(order) if name == arm) == len(order) - 1


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("blocks", [2, 24])
def test_candidate_comes_first_in_half_of_the_blocks(seed: int, blocks: int) -> None:
    """Exactly half, whatever is drawn."""
    orders = draw_orders(tuple(Arm), blocks, draw_from(seed))
    assert sum(order.index(Arm.CANDIDATE) < order.index(Arm.ACCEPTED) for order in orders) == blocks // 2


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("blocks", [2, 6])
def test_without_a_balanced_pair_every_pair_is_balanced(seed: int, blocks: int) -> None:
    """Each arm comes before each other one in exactly half of the blocks; every order is a palindrome."""
    arms = tuple(f"arm-{number}" for number in range(7))
    orders = draw_orders(arms, blocks, draw_from(seed), None)
    assert len(orders) == blocks
    assert all(order == order[::-1] and Counter(order) == dict.fromkeys(arms, 2) for order in orders)
    for one, other in itertools.combinations(arms, 2):
        assert sum(order.index(one) < order.index(other) for order in orders) == blocks // 2
    assert len({draw_orders(arms, blocks, draw_from(seed + 100 * each), None)[0] for each in range(9)}) > 1


def test_orders_are_drawn_anew() -> None:
    """Over many blocks every arm has been first, and two draws differ."""
    orders = draw_orders(tuple(Arm), 200, draw_from(1))
    assert {order[0] for order in orders} == set(Arm)
    assert orders != draw_orders(tuple(Arm), 200, draw_from(2))


@pytest.mark.parametrize("seed", range(20))
def test_every_arm_takes_every_place_once_in_as_many_blocks_as_arms(seed: int) -> None:
    """No arm has the luck of one place."""
    places = draw_places(tuple(Arm), 25, draw_from(seed))
    assert len(places) == 25
    for round_ in _rounds(places):
        for place in range(len(Arm)):
            assert sorted(order[place] for order in round_) == sorted(Arm)


def _rounds(places: list[tuple[str, ...]]) -> list[list[tuple[str, ...]]]:
    return [places[start : start + len(Arm)] for start in range(0, len(places), len(Arm))]


@pytest.mark.parametrize("blocks", [1, 4, 5, 24])
def test_as_many_places_are_drawn_as_blocks(blocks: int) -> None:
    """Also where the blocks are no multiple of the arms."""
    assert len(draw_places(tuple(Arm), blocks, draw_from(0))) == blocks


def make_sample(*times_ms: float) -> Sample:
    return Sample(
        attempt=1, replicate=0, block=0, slot=0, arm=Arm.CANDIDATE, seed=0, times_ms=times_ms, wall_ms=100.0
    )


def test_every_call_that_the_clock_covers_counts() -> None:
    """A call left out of the mean, but not of the clock, is where a candidate would hide its time."""
    assert make_sample(2.0, 8.0).ln_time == pytest.approx(math.log(5))
    assert make_sample(50.0, 2.0, 8.0).ln_time > make_sample(2.0, 8.0).ln_time


def test_work_that_is_put_off_to_a_later_call_gains_nothing() -> None:
    """Five calls that only keep their input, and a sixth that computes for all, are six honest ones."""
    honest, late = make_sample(*[2.0] * 6), make_sample(*[0.1] * 5, 11.5)
    assert late.ln_time == pytest.approx(honest.ln_time)
    assert late.overhead_ms == pytest.approx(honest.overhead_ms), "which the clock cannot see"


def test_the_overhead_counts_every_call() -> None:
    """What the events explain is no overhead."""
    assert make_sample(50.0, 2.0, 8.0).overhead_ms == pytest.approx(40.0)


def test_a_block_counts_both_samples_of_an_arm() -> None:
    """The early one and the late one, or drift would not cancel."""
    samples = [
        msgspec.structs.replace(make_sample(time_ms), block=block, arm=arm)
        for block in range(2)
        for arm, times_ms in ((Arm.CANDIDATE, (2.0, 8.0)), (Arm.ACCEPTED, (3.0, 12.0)))
        for time_ms in times_ms
    ]
    measured = MeasuredReplicate(samples=tuple(samples), chosen={}, readings=(), answers=())
    expected = {Arm.CANDIDATE: pytest.approx(math.log(4)), Arm.ACCEPTED: pytest.approx(math.log(6))}
    assert measured.replicate().blocks == (expected, expected)
