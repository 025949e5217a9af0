"""In which order the arms are timed and take their memory."""

import random
from collections.abc import Iterator

import msgspec

from kernelgate.performance.samples import Arm

YARDSTICKS = frozenset({Arm.ORIGINAL, Arm.VENDOR})
"""Arms that say how good the kernels are, and not which of them is the faster."""


class Design(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the arms: the timed answers of those `judged` are.

    The two that are `balanced` come first equally often; None balances every pair.
    """

    judged: frozenset[str]
    balanced: tuple[str, str] | None = None


DUEL = Design(judged=frozenset({Arm.CANDIDATE}), balanced=(Arm.CANDIDATE, Arm.ACCEPTED))
"""One candidate against the accepted kernel."""


def timed_arms(arms: tuple[str, ...], layout: int, layouts_per_yardstick: int) -> tuple[str, ...]:
    """Return the arms that are timed while tensors lie as in this layout: all in one of so many."""
    is_whole = layout % layouts_per_yardstick == 0
    return tuple(arm for arm in arms if is_whole or arm not in YARDSTICKS)


def draw_orders(
    arms: tuple[str, ...],
    blocks: int,
    chance: random.Random,
    balanced: tuple[str, str] | None = DUEL.balanced,
) -> list[tuple[str, ...]]:
    """Return a palindrome of the arms for each block: ABBA or BAAB for every pair, so linear drift cancels.

    The first of the balanced pair comes before the second in exactly half of the blocks; without one that
    holds for every pair.
    """
    if balanced is None:
        orders = _draw_mirrored(arms, blocks, chance)
    else:
        orders = list(_draw_paired(arms, blocks, chance, balanced))
    return [(*order, *reversed(order)) for order in orders]


def _draw_mirrored(arms: tuple[str, ...], blocks: int, chance: random.Random) -> list[list[str]]:
    """Return orders of which half are the other half backwards, so that every pair is balanced."""
    orders = [chance.sample(arms, len(arms)) for _ in range(blocks // 2)]
    orders += [order[::-1] for order in orders]
    chance.shuffle(orders)
    return orders


def _draw_paired(
    arms: tuple[str, ...], blocks: int, chance: random.Random, pair: tuple[str, str]
) -> Iterator[list[str]]:
    """Yield orders in half of which the first of the pair comes before the second."""
    firsts = [True, False] * (blocks // 2)
    chance.shuffle(firsts)
    for is_first in firsts:
        order = list(arms)
        chance.shuffle(order)
        here, there = (order.index(arm) for arm in pair)
        if (here < there) != is_first:
            order[here], order[there] = order[there], order[here]
        yield order


def draw_places(arms: tuple[str, ...], times: int, chance: random.Random) -> list[tuple[str, ...]]:
    """Return the orders in which the arms take their GPU memory: every arm in every place, by turns."""
    places: list[tuple[str, ...]] = []
    while len(places) < times:
        order = list(arms)
        chance.shuffle(order)
        places += [(*order[shift:], *order[:shift]) for shift in range(len(order))]
    return places[:times]
