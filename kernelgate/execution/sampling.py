"""Which programs of a grid are run where running all would take hours."""

import itertools
import math
import random
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

Program = tuple[int, int, int]


def choose_programs(grid: Program, count: int, batch: int, seed: int) -> list[Program]:
    """Return the programs to run, in order; all of them where `count` is 0 or covers the grid.

    First and last of all; first and last along each axis, whatever the order of tiles; those that straddle
    two items if tiles follow the items along the longest axis; then random ones: as many as asked for.
    """
    total = grid[0] * grid[1] * grid[2]
    if count == 0 or total <= count:
        return [(x, y, z) for x in range(grid[0]) for y in range(grid[1]) for z in range(grid[2])]
    chance = random.Random(seed)  # noqa: S311 - a replayable sample, not a secret
    ends_x, ends_y, ends_z = (sorted({0, extent - 1}) for extent in grid)
    chosen = dict.fromkeys([(0, 0, 0), (grid[0] - 1, grid[1] - 1, grid[2] - 1)])
    chosen |= dict.fromkeys((x, y, z) for x in ends_x for y in ends_y for z in ends_z)
    axis = max(range(3), key=lambda a: grid[a])
    for item in sorted({1, batch // 2, batch - 1} - {0, batch}):
        place = [chance.randrange(extent) for extent in grid]
        place[axis] = grid[axis] * item // batch
        chosen[place[0], place[1], place[2]] = None
    while len(chosen) < count:
        chosen[chance.randrange(grid[0]), chance.randrange(grid[1]), chance.randrange(grid[2])] = None
    return sorted(list(chosen)[:count])


MAX_LANDMARKS = 40


def choose_landmarks(grid: Program, numbers: Iterable[int], items: int, pixels: int) -> list[Program]:
    """Return the programs that stand where a kernel may mean a number that it compares with, or next to that.

    That is the program of that number along an axis, or the one along the longest axis whose tile holds the
    item, or the pixel of all items, that it names.
    """
    longest = max(range(3), key=lambda axis: grid[axis])
    extents = [*enumerate(grid), (longest, items), (longest, items * pixels)]
    corners = (0, 0, 0), (grid[0] - 1, grid[1] - 1, grid[2] - 1)
    found = {
        _at(corner, axis, near * grid[axis] // extent): None
        for by, number in itertools.product((0, 1, -1), numbers)
        for axis, extent in extents
        for corner in corners
        if 0 <= (near := number + by) < extent
    }
    return list(found)[:MAX_LANDMARKS]


SUSPICIOUS = 2
"""Tiles by which a program may stand off its place, where tiles follow the items."""

MAX_OWNERS = 18
NEIGHBOURS = 16
PixelOf = Callable[[NDArray[np.int64]], NDArray[np.int64]]


def find_owners(
    grid: Program, wrote: Mapping[Program, NDArray[np.int64]], pixels_in_all: int, pixel_of: PixelOf
) -> list[Program]:
    """Return the programs whose place others seem to have written, if tiles follow the items on one axis.

    A number that wrapped sends a program to the place of another, where it writes what is right there; only
    the owner's run shows that both write it, and that some place is left out. Where tiles come in another
    order the programs returned are harmless: each writes its own.
    """
    axis = max(range(3), key=lambda a: grid[a])
    owners: dict[Program, None] = {}
    for program, offsets in wrote.items():
        expected = np.unique(pixel_of(offsets) * grid[axis] // pixels_in_all)
        for place in (int(expected[0]), int(expected[-1])) if expected.size else ():
            if abs(place - program[axis]) > SUSPICIOUS:
                near = range(max(0, place - 1), min(grid[axis], place + 2))
                owners |= dict.fromkeys(_at(program, axis, each) for each in near)
    return [owner for owner in owners if owner not in wrote][:MAX_OWNERS]


IDLE_PROBES = 6
MAX_ROWS = 8


def count_idle(grid: Program, writes: Callable[[Program], bool], seed: int, known: int | None = None) -> int:
    """Return how many programs write nothing, as far as they are the last ones along the longest axis.

    A grid may well be too long; but what its idle programs do not write, others must. Where a program beyond
    the first idle one writes after all, tiles come in another order, and none is called idle. `known` is the
    count of a launch like it: it stands if here too the first program writes and the last does not.
    """
    axis = max(range(3), key=lambda a: grid[a])
    corner = (grid[0] - 1, grid[1] - 1, grid[2] - 1)
    busy, idle = 0, grid[axis] - 1
    if writes(corner) or not writes(_at(corner, axis, busy)):
        return 0
    if known is not None:
        return known
    while idle - busy > 1:
        middle = (busy + idle) // 2
        busy, idle = (middle, idle) if writes(_at(corner, axis, middle)) else (busy, middle)
    chance = random.Random(seed)  # noqa: S311 - a replayable sample, not a secret
    for _ in range(IDLE_PROBES):
        somewhere = chance.randrange(grid[0]), chance.randrange(grid[1]), chance.randrange(grid[2])
        if writes(_at(somewhere, axis, chance.randrange(idle, grid[axis]))):
            return 0
    return (grid[axis] - idle) * math.prod(grid) // grid[axis]


def two_of_each_row(grid: Program, idle: int) -> list[Program]:
    """Return two programs in each row along the longest axis that are none of the idle ones at its end."""
    axis = max(range(3), key=lambda a: grid[a])
    x, y, z = (range(extent) if a != axis else range(1) for a, extent in enumerate(grid))
    busy = grid[axis] - idle * grid[axis] // math.prod(grid)
    starts = itertools.islice(itertools.product(x, y, z), MAX_ROWS)
    return [_at(start, axis, busy * third // 3) for start in starts for third in (1, 2)]


def busiest_written(grid: Program, wrote: Mapping[Program, int]) -> int:
    """Return what the busiest wrote, of these counts: a mean over the grid's rows if all are seen."""
    axis = max(range(3), key=lambda a: grid[a])
    rows: dict[Program, list[int]] = {}
    for program, count in wrote.items():
        rows.setdefault(_at(program, axis, 0), []).append(count)
    all_seen = len(rows) * grid[axis] == math.prod(grid)
    # Of a row that is seen once, it may be the last tile, which is no whole one.
    if all_seen and all(len(sizes) > 1 for sizes in rows.values()):
        return math.ceil(sum(map(max, rows.values())) / len(rows))
    return max((max(sizes) for sizes in rows.values()), default=0)


def are_far_apart(first: Program, second: Program) -> bool:
    """Whether two programs are no neighbours: only those may share a tile's edge."""
    return any(abs(a - b) > NEIGHBOURS for a, b in zip(first, second, strict=True))


def _at(program: Program, axis: int, place: int) -> Program:
    changed = list(program)
    changed[axis] = place
    return changed[0], changed[1], changed[2]
