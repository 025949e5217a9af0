"""The cases that every kernel must pass: each family, layout and relation has one of its own."""

import itertools
import random
from collections.abc import Iterator, Sequence

import msgspec

from kernelgate.correctness.case import CONTIGUOUS, NO_RELATION, Case, layouts_for
from kernelgate.correctness.relations import RELATIONS
from kernelgate.operations.declaration.error_model import Multilinear
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.values import FAMILIES, MEASURED_FAMILIES

MAX_SWEPT_BATCH = 4

SMALL_BATCHES = (2, 3, 5, 1, 17, 32, 4)
"""Odd and even, and multiples of 16, of which the JIT makes programs of their own."""

WHOLE_BATCH = 5
"""Up to so many pictures are interpreted whole, in some tenths of a second."""

FIRST_STRATUM = 33
"""From here on a batch of each doubling is drawn: a fault in a range of batches is one for users of those."""

FEW_PROGRAMS = 2
"""Enough for each launch of an autotuner that tries all of its configurations."""


class CaseMaker:
    """Makes planned cases: each has a seed of its own, and the configurations take turns."""

    def __init__(
        self,
        operation: Operation,
        pins: Sequence[int],
        seeds: Iterator[int],
        largest_batch: int,
        programs: int = 0,
    ) -> None:
        self.operation, self.turn, self.seeds = operation, itertools.cycle(pins), seeds
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
        return fitted(self.operation, case)


def fitted(operation: Operation, case: Case) -> Case:
    """Return the case with all programs of a small batch, and fewer of a large one if it makes many calls.

    One whose calls share no sampled program is made one of a small batch.
    """
    relation, changes = RELATIONS[case.relation], {}
    whole = WHOLE_BATCH * operation.granule
    if relation.needs_whole and case.programs:
        changes["batch"] = min(case.batch, whole)
    if changes.get("batch", case.batch) <= whole:
        changes["programs"] = 0
    elif relation.many_calls:
        changes["programs"] = min(case.programs, FEW_PROGRAMS)
    return msgspec.structs.replace(case, **changes)


def everything(make: CaseMaker, relations: Sequence[str], named: Sequence[int]) -> Iterator[Case]:
    """Yield a case for each family, relation, layout and named batch, and for the largest batch."""
    layouts = layouts_for(make.operation)
    yield from (
        make(batch, family)
        for batch, family in zip(itertools.cycle(SMALL_BATCHES), families_of(make.operation))
    )
    yield from (make(3, relation=relation) for relation in _all_but_none(relations))
    yield from (make(2, layout=layout) for layout in layouts[1:])
    also_strided = (relation for relation in relations if RELATIONS[relation].also_strided)
    yield from (make(2, layout=layouts[-1], relation=relation) for relation in also_strided)
    # Where sums are exact, the least that is amiss in one item shows.
    within = dict.fromkeys(min(batch, make.largest_batch) for batch in named)
    yield from (make(batch, "integer") for batch in within)
    drawn = _drawn_batches(make.largest_batch, next(make.seeds))
    yield from (make(batch, family) for batch, family in zip(drawn, itertools.cycle(("integer", "normal"))))
    yield make(make.operation.max_batch)


def everything_whole(make: CaseMaker, relations: Sequence[str]) -> Iterator[Case]:
    """Yield what a run of all programs has the time for: a small batch each."""
    yield make(WHOLE_BATCH)
    families = families_of(make.operation)
    yield from (make(batch, family) for batch, family in zip(itertools.cycle((2, 1, 3)), families))
    yield from (make(3, relation=relation) for relation in _all_but_none(relations))
    yield from (make(2, layout=layout) for layout in layouts_for(make.operation)[1:])


def _all_but_none(relations: Sequence[str]) -> list[str]:
    """Return the relations without the one that asks nothing."""
    return [relation for relation in relations if relation != NO_RELATION]


def swept_shapes(pins: Sequence[int]) -> Iterator[Case]:
    """Yield a plain case of each batch and configuration that a sweep may meet."""
    for batch, pin in itertools.product(range(1, MAX_SWEPT_BATCH + 1), pins):
        yield Case(batch=batch, family="normal", seed=0, pin=pin)


def sweep(operation: Operation, count: int, pins: Sequence[int], seeds: Iterator[int]) -> Iterator[Case]:
    """Yield so many cases of batches from one to four, each of a family that is drawn."""
    chance = random.Random(next(seeds))  # noqa: S311 - replayable, not secret
    families, turn = families_of(operation), itertools.cycle(pins)
    for _ in range(count):
        batch, family = chance.randint(1, min(MAX_SWEPT_BATCH, operation.max_batch)), chance.choice(families)
        yield Case(batch=batch, family=family, seed=next(seeds), pin=next(turn))


def _drawn_batches(largest: int, seed: int) -> Iterator[int]:
    """Yield a batch of each stratum up to the largest that is allowed, log-uniformly."""
    chance = random.Random(seed)  # noqa: S311 - replayable, not secret
    for first, last in strata(largest):
        yield int(first * ((last + 1) / first) ** chance.random())


def strata(largest: int) -> Iterator[tuple[int, int]]:
    """Yield the first and the last batch of each doubling."""
    first = FIRST_STRATUM
    while first <= largest:
        yield first, min(2 * (first - 1), largest)
        first = 2 * (first - 1) + 1


def families_of(operation: Operation) -> list[str]:
    """Return the families of values that an operation is tried on, the simplest first."""
    also = () if isinstance(operation.error_model, Multilinear) else MEASURED_FAMILIES
    return [family for family in (*FAMILIES, *also) if family not in operation.without]


def each_pinned(
    batch: int, family: str, pins: Sequence[int], programs: int, seeds: Iterator[int]
) -> Iterator[Case]:
    """Yield such a case in each configuration."""
    for pin in pins:
        yield Case(batch=batch, family=family, seed=next(seeds), pin=pin, programs=programs)
