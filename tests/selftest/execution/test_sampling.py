"""Which programs of a grid are run, and which are run after them."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernelgate.execution.sampling import (
    MAX_LANDMARKS,
    MAX_OWNERS,
    NEIGHBOURS,
    Program,
    are_far_apart,
    choose_landmarks,
    choose_programs,
    count_idle,
    find_owners,
    two_of_each_row,
)

GRID, CORNERS = (1000, 3, 2), 8
TILES, TILE = 12_000, 64

grids = st.tuples(st.integers(1, 2000), st.integers(1, 40), st.integers(1, 8))


@given(grids, st.integers(0, 60), st.integers(1, 7394), st.integers(0, 2**31))
@settings(deadline=None)
def test_as_many_programs_are_chosen_as_are_asked_for(
    grid: Program, count: int, batch: int, seed: int
) -> None:
    """Each once, each of the grid, in order; all of them where that is no more, or none is asked for."""
    chosen = choose_programs(grid, count, batch, seed)
    total = math.prod(grid)
    assert len(chosen) == (min(count, total) if count else total)
    assert chosen == sorted(set(chosen))
    assert all(0 <= place < extent for program in chosen for place, extent in zip(program, grid, strict=True))


@given(grids, st.integers(CORNERS, 60), st.integers(0, 2**31))
@settings(deadline=None)
def test_the_corners_of_the_grid_come_first(grid: Program, count: int, seed: int) -> None:
    """Where faults of the first and the last tile live."""
    corners = set(itertools.product(*({0, extent - 1} for extent in grid)))
    assert corners <= set(choose_programs(grid, count, 256, seed))


def test_the_first_and_the_last_of_all_come_before_the_other_corners() -> None:
    """Where there is time for two only."""
    assert choose_programs(GRID, 2, 256, 1) == [(0, 0, 0), (999, 2, 1)]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_where_two_images_meet_on_the_longest_axis_a_program_runs(axis: int) -> None:
    """Whichever axis the tiles of the images lie along."""
    grid = [2, 2, 2]
    grid[axis] = 1000
    chosen = choose_programs((grid[0], grid[1], grid[2]), CORNERS + 3, 10, 7)
    assert {100, 500, 900} <= {program[axis] for program in chosen}


def test_the_same_seed_draws_the_same_programs() -> None:
    """And another seed others."""
    first, again, other = (choose_programs(GRID, 20, 256, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def pixels_of(words: NDArray[np.int64]) -> NDArray[np.int64]:
    return words


def tile(number: int) -> NDArray[np.int64]:
    """Return the pixels of one tile."""
    return np.arange(number * TILE, (number + 1) * TILE)


def owners_of(wrote: dict[Program, int], grid: Program = (TILES, 1, 1)) -> list[Program]:
    """Return who is suspected to be the owner, given which tile each program wrote."""
    written = {program: tile(number) for program, number in wrote.items()}
    return find_owners(grid, written, TILES * TILE, pixels_of)


def test_programs_at_their_places_lead_to_no_other() -> None:
    """Tiles in the order of the pixels, and one that is a tile or two off."""
    assert owners_of({(number, 0, 0): number for number in (0, 1, 5000, TILES - 1)}) == []
    assert owners_of({(5000, 0, 0): 5002, (70, 0, 0): 68}) == []


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_number_that_wrapped_leads_to_the_owner_of_the_place(axis: int) -> None:
    """On any axis; the other places of the program stay as they are."""
    grid, wrapped, owner = [2, 2, 2], [1, 1, 1], [1, 1, 1]
    grid[axis], wrapped[axis], owner[axis] = TILES, 9000, 9000 % 8192
    found = owners_of({(wrapped[0], wrapped[1], wrapped[2]): 9000 % 8192}, (grid[0], grid[1], grid[2]))
    assert tuple(owner) in found
    assert all(abs(program[axis] - owner[axis]) <= 1 for program in found)


def test_tiles_in_reversed_order_lead_to_few_programs_of_the_grid() -> None:
    """They are harmless, and never those that ran already."""
    ran = {(number, 0, 0): TILES - 1 - number for number in range(0, TILES, 600)}
    found = owners_of(ran)
    assert 0 < len(found) <= MAX_OWNERS
    assert not set(found) & set(ran)
    assert all(0 <= program[0] < TILES for program in found)


def test_a_program_that_wrote_nothing_leads_nowhere() -> None:
    """It has no place to be somebody else's."""
    assert find_owners((TILES, 1, 1), {(5, 0, 0): np.empty(0, np.int64)}, TILES * TILE, pixels_of) == []


def test_only_neighbours_on_every_axis_are_not_far_apart() -> None:
    """One axis is enough to be strangers."""
    assert not are_far_apart((0, 0, 0), (NEIGHBOURS, NEIGHBOURS, NEIGHBOURS))
    assert are_far_apart((0, 0, 0), (NEIGHBOURS + 1, 0, 0))
    assert are_far_apart((0, NEIGHBOURS + 1, 3), (0, 0, 3))


@given(st.integers(2, 5000), st.integers(1, 3), st.data())
@settings(deadline=None)
def test_programs_that_write_nothing_at_the_end_of_a_grid_are_counted(
    extent: int, rows: int, data: st.DataObject
) -> None:
    """Along the longest axis, in all its rows, by asking a few of them."""
    if extent < rows:
        return
    busy = data.draw(st.integers(1, extent))
    asked: list[Program] = []

    def writes(program: Program) -> bool:
        asked.append(program)
        return program[0] < busy

    assert count_idle((extent, rows, 1), writes, seed=1) == (extent - busy) * rows
    assert len(asked) <= 2 + math.ceil(math.log2(extent)) + 6


def test_idle_programs_among_busy_ones_are_not_counted() -> None:
    """Tiles come in another order: what lies beyond the first idle program says nothing."""
    assert count_idle((1000, 1, 1), lambda program: program[0] % 3 == 0, seed=1) == 0
    assert count_idle((1000, 1, 1), lambda program: program[0] >= 500, seed=1) == 0
    assert count_idle((1000, 1, 1), lambda _: False, seed=1) == 0


def test_what_is_known_of_a_launch_like_it_saves_the_search() -> None:
    """But not where the last program writes, or the first does not."""
    asked: list[Program] = []

    def writes(program: Program) -> bool:
        asked.append(program)
        return program[0] < 500

    assert count_idle((1000, 1, 1), writes, seed=1, known=7) == 7
    assert asked == [(999, 0, 0), (0, 0, 0)]
    assert count_idle((1000, 1, 1), lambda _: True, seed=1, known=7) == 0


def test_each_row_is_seen_twice_where_it_is_busy() -> None:
    """Two programs of a row tell its whole tile from its last."""
    assert two_of_each_row((900, 2, 1), 600) == [(200, 0, 0), (400, 0, 0), (200, 1, 0), (400, 1, 0)]
    assert all(program[0] < 1000 for program in two_of_each_row((2000, 3, 5), 15_000))


@pytest.mark.parametrize(
    ("number", "program"),
    [
        (3001, (3001, 1, 0)),
        (121, (2859, 0, 0)),
        (700_000, (5468, 0, 0)),
        (1, (0, 1, 0)),
    ],
    ids=["program", "image", "pixel", "along-a-short-axis"],
)
def test_a_number_that_a_kernel_compares_with_is_looked_at(number: int, program: Program) -> None:
    """It may mean a program, an image, or a pixel of all images: 6050 tiles of 128 pixels, 256 images."""
    assert program in choose_landmarks((6050, 2, 1), [number], 256, 3025)


@given(grids, st.lists(st.integers(0, 2**31), max_size=30), st.integers(1, 7394))
@settings(deadline=None)
def test_landmarks_are_programs_of_the_grid_and_not_too_many(
    grid: Program, numbers: list[int], batch: int
) -> None:
    """Whatever the numbers are."""
    chosen = choose_landmarks(grid, numbers, batch, 3025)
    assert len(chosen) == len(set(chosen)) <= MAX_LANDMARKS
    assert all(0 <= place < extent for each in chosen for place, extent in zip(each, grid, strict=True))
