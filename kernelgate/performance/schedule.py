"""In which order the arms are timed and take their memory."""

import random

from kernelgate.performance.samples import Arm

YARDSTICKS = frozenset({Arm.ORIGINAL, Arm.VENDOR})
"""Arms that say how good the kernels are, and not which of them is the faster."""


def timed_arms(arms: tuple[str, ...], layout: int, layouts_per_yardstick: int) -> tuple[str, ...]:
    """Return the arms that are timed while tensors lie as in this layout: all in one of so many."""
    is_whole = layout % layouts_per_yardstick == 0
    return tuple(arm for arm in arms if is_whole or arm not in YARDSTICKS)


def draw_orders(arms: tuple[str, ...], blocks: int, chance: random.Random) -> list[tuple[str, ...]]:
    """Return a palindrome of the arms for each block: ABBA or BAAB for every pair, so linear drift cancels.

    Candidate comes before accepted in exactly half of the blocks.
    """
    first = [True, False] * (blocks // 2)
    chance.shuffle(first)
    orders = []
    for candidate_first in first:
        order = list(arms)
        chance.shuffle(order)
        here, there = order.index(Arm.CANDIDATE), order.index(Arm.ACCEPTED)
        if (here < there) != candidate_first:
            order[here], order[there] = order[there], order[here]
        orders.append((*order, *reversed(order)))
    return orders


def draw_places(arms: tuple[str, ...], times: int, chance: random.Random) -> list[tuple[str, ...]]:
    """Return the orders in which the arms take their GPU memory: every arm in every place, by turns."""
    places: list[tuple[str, ...]] = []
    while len(places) < times:
        order = list(arms)
        chance.shuffle(order)
        places += [(*order[shift:], *order[:shift]) for shift in range(len(order))]
    return places[:times]
