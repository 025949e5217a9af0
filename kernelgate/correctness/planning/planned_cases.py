"""The cases that every kernel must pass: each family, layout and relation has one of its own."""

import itertools
import random
from collections.abc import Iterator, Sequence

import msgspec

from kernelgate.correctness.case import CONTIGUOUS, LAYOUTS, NO_RELATION, Case
from kernelgate.correctness.relations import RELATIONS
from kernelgate.operations.convolution import Convolution
from kernelgate.operations.values import FAMILIES

MAX_SWEPT_BATCH = 4

SMALL_BATCHES = (2, 3, 5, 1, 17, 32, 4)
"""Odd and even, and multiples of 16, of which the JIT makes programs of their own."""

WHOLE_BATCH = 5
"""Up to so many images are interpreted whole, in some tenths of a second."""

STRATA = ((33, 64), (65, 128), (129, 255), (257, 512), (513, 1024), (1025, 2048), (2049, 4096), (4097, 7393))
"""A batch of each is drawn: what is wrong in a range of batches alone is wrong for users of those."""

FEW_PROGRAMS = 2
"""Enough for each launch of an autotuner that tries all of its configurations."""


class CaseMaker:
    """Makes planned cases: each has a seed of its own, and the configurations take turns."""

    def __init__(
        self, pins: Sequence[int], seeds: Iterator[int], largest_batch: int, programs: int = 0
    ) -> None:
        self.turn, self.seeds = itertools.cycle(pins), seeds
        self.largest_batch, self.programs = largest_batch, programs

    def __call__(
        self,
        batch: int,
        family: str = "normal",
        *,
        layout: str = CONTIGUOUS,
        relation: str = NO_RELATION,
    ) -> Case:
        """Return a case of this batch, or of the largest that is allowed."""
        case = Case(
            batch=min(batch, self.largest_batch),
            family=family,
            seed=next(self.seeds),
            pin=next(self.turn),
            programs=self.programs,
            layout=layout,
            relation=relation,
        )
        return fitted(case)


def fitted(case: Case) -> Case:
    """Return the case with all programs of a few images, and fewer of many if it makes many calls.

    One whose calls share no sampled program is made one of a few images.
    """
    relation, changes = RELATIONS[case.relation], {}
    if relation.needs_whole and case.programs:
        changes["batch"] = min(case.batch, WHOLE_BATCH)
    if changes.get("batch", case.batch) <= WHOLE_BATCH:
        changes["programs"] = 0
    elif relation.many_calls:
        changes["programs"] = min(case.programs, FEW_PROGRAMS)
    return msgspec.structs.replace(case, **changes)


def everything(
    operation: Convolution, make: CaseMaker, relations: Sequence[str], named: Sequence[int]
) -> Iterator[Case]:
    """Yield a case for each family, relation, layout and named batch, and for the largest batch."""
    yield from (make(batch, family) for batch, family in zip(itertools.cycle(SMALL_BATCHES), FAMILIES))
    yield from (make(3, relation=relation) for relation in _all_but_none(relations))
    yield from (make(2, layout=layout) for layout in LAYOUTS[1:])
    also_strided = (relation for relation in relations if RELATIONS[relation].also_strided)
    yield from (make(2, layout=LAYOUTS[-1], relation=relation) for relation in also_strided)
    # Where sums are exact, the least that is amiss in one image shows.
    within = dict.fromkeys(min(batch, make.largest_batch) for batch in named)
    yield from (make(batch, "integer") for batch in within)
    drawn = _drawn_batches(make.largest_batch, next(make.seeds))
    yield from (make(batch, family) for batch, family in zip(drawn, itertools.cycle(("integer", "normal"))))
    yield make(operation.max_batch)


def everything_whole(make: CaseMaker, relations: Sequence[str]) -> Iterator[Case]:
    """Yield what a run of all programs has the time for: a few images each."""
    yield make(WHOLE_BATCH)
    yield from (make(batch, family) for batch, family in zip(itertools.cycle((2, 1, 3)), FAMILIES))
    yield from (make(3, relation=relation) for relation in _all_but_none(relations))
    yield from (make(2, layout=layout) for layout in LAYOUTS[1:])


def _all_but_none(relations: Sequence[str]) -> list[str]:
    """Return the relations without the one that asks nothing."""
    return [relation for relation in relations if relation != NO_RELATION]


def swept_shapes(pins: Sequence[int]) -> Iterator[Case]:
    """Yield a plain case of each batch and configuration that a sweep may meet."""
    for batch, pin in itertools.product(range(1, MAX_SWEPT_BATCH + 1), pins):
        yield Case(batch=batch, family="normal", seed=0, pin=pin)


def sweep(count: int, pins: Sequence[int], seeds: Iterator[int]) -> Iterator[Case]:
    """Yield so many cases of one to four images, each of a family that is drawn."""
    chance = random.Random(next(seeds))  # noqa: S311 - replayable, not secret
    families, turn = list(FAMILIES), itertools.cycle(pins)
    for _ in range(count):
        batch, family = chance.randint(1, MAX_SWEPT_BATCH), chance.choice(families)
        yield Case(batch=batch, family=family, seed=next(seeds), pin=next(turn))


def _drawn_batches(largest: int, seed: int) -> Iterator[int]:
    """Yield a batch of each stratum, log-uniformly, up to the largest that is allowed."""
    chance = random.Random(seed)  # noqa: S311 - replayable, not secret
    drawn = (int(first * ((last + 1) / first) ** chance.random()) for first, last in STRATA)
    yield from dict.fromkeys(min(batch, largest) for batch in drawn)


def each_pinned(
    batch: int, family: str, pins: Sequence[int], programs: int, seeds: Iterator[int]
) -> Iterator[Case]:
    """Yield such a case in each configuration."""
    for pin in pins:
        yield Case(batch=batch, family=family, seed=next(seeds), pin=pin, programs=programs)
