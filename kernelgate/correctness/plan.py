"""Which cases a kernel is tried on: those that every kernel must pass, and where others are drawn from.

What must be found is planned: every configuration, family, layout and relation has a case of its own, so
that no law is tried by luck. What is drawn beyond that looks for what nobody thought of.
"""

import itertools
import math
import random
from collections.abc import Iterator, Sequence

import msgspec
from hypothesis import strategies

from kernelgate import protocol
from kernelgate.baselines.compiled import ConfigRecord
from kernelgate.compilation.compiler import CompiledKernel, Launched, launched
from kernelgate.correctness.case import CONTIGUOUS, LAYOUTS, NO_RELATION, Case
from kernelgate.correctness.relations import RELATIONS
from kernelgate.operations.convolution import Convolution
from kernelgate.operations.values import FAMILIES

MAX_SEED = 2**31 - 1
MAX_OUTPUTS_A_PROGRAM = 16_384
"""A program of more outputs than this takes the interpreter over a second: then batches must be small."""

MAX_DRAWN_BATCH = 64
MAX_SWEPT_BATCH = 4
DRAWN_SHAPES = 12
"""Of those that a book holds plans of, beside the planned ones; recording them all would take minutes."""

SMALL_BATCHES = (2, 3, 5, 1, 17, 32, 4)
"""Odd and even, and multiples of 16, of which the JIT makes programs of their own."""

WHOLE_BATCH = 5
"""Up to so many images are interpreted whole, in some tenths of a second."""

MAX_RUN_WHOLE = 2000
"""Programs of launches that prepare something, such as filters: about a second."""

STRATA = ((33, 64), (65, 128), (129, 255), (257, 512), (513, 1024), (1025, 2048), (2049, 4096), (4097, 7393))
"""A batch of each is drawn: what is wrong in a range of batches alone is wrong for users of those."""

STEPS_OF_DOUBLING = 8

FEW_PROGRAMS = 2
"""Enough for each launch of an autotuner that tries all of its configurations."""

PROBE_FAMILY = "integer"
"""Its sums are exact, so that a fault far below the bound of real values shows."""


class CasePlan(msgspec.Struct, frozen=True, kw_only=True):
    """`planned` come first; then, if it `draws`, other batches up to `max_batch` and the `pins`.

    `sampled` names the kernels of which `programs` are run in a case that samples. Where launch plans are
    those of a book, cases are `drawn_from` these, with other values.
    """

    planned: tuple[Case, ...]
    draws: bool = True
    pins: tuple[int, ...]
    max_batch: int
    programs: int
    relations: tuple[str, ...]
    sampled: tuple[str, ...] = ()
    drawn_from: tuple[Case, ...] = ()

    def strategy(self) -> strategies.SearchStrategy[Case]:
        """Return the strategy of further cases; it shrinks to one image of normal values."""
        if self.drawn_from:
            return strategies.builds(
                _with_values,
                strategies.sampled_from(self.drawn_from),
                strategies.sampled_from(list(FAMILIES)),
                strategies.integers(0, MAX_SEED),
            )
        return strategies.builds(
            Case,
            batch=_log_uniform(self.max_batch),
            family=strategies.sampled_from(list(FAMILIES)),
            seed=strategies.integers(0, MAX_SEED),
            pin=strategies.sampled_from(self.pins),
            programs=strategies.just(self.programs),
            layout=strategies.sampled_from(LAYOUTS),
            relation=strategies.sampled_from(self.relations),
        ).map(fitted)


def _with_values(case: Case, family: str, seed: int) -> Case:
    return msgspec.structs.replace(case, family=family, seed=seed)


def draw_shapes(plan: CasePlan, seed: int) -> Iterator[Case]:
    """Yield plain cases of drawn batch, configuration and layout, for a plan book to hold their calls."""
    chance = random.Random(seed)  # noqa: S311 - replayable, not secret
    for _ in range(DRAWN_SHAPES):
        batch, pin = chance.randint(1, plan.max_batch), chance.choice(plan.pins)
        layout = chance.choice(LAYOUTS)
        yield Case(batch=batch, family="normal", seed=0, pin=pin, programs=plan.programs, layout=layout)


def _log_uniform(largest: int) -> strategies.SearchStrategy[int]:
    """Return the strategy of batches of which as many are of 16 to 31 images as of 128 to 255.

    Steps of an eighth of a doubling, and now and then a batch between them.
    """
    steps = int(STEPS_OF_DOUBLING * math.log2(largest)) + 1
    spaced = dict.fromkeys(round(2 ** (step / STEPS_OF_DOUBLING)) for step in range(steps))
    return strategies.sampled_from(list(spaced)) | strategies.integers(1, largest)


def probe_cases(compiled: CompiledKernel, seed: int) -> tuple[Case, ...]:
    """Return the interpreter's first cases: one image, every program, the quickest configuration first."""
    return tuple(_pinned(1, PROBE_FAMILY, _quickest_first(compiled), 0, itertools.count(seed)))


def samplable(launches: Sequence[protocol.SeenLaunch], compiled: CompiledKernel) -> tuple[str, ...]:
    """Return the kernels of a file of which some programs can run without the others.

    A launch that another one reads runs whole. If that takes many programs at the measured batch, no kernel
    is sampled: at a larger batch it is hours.
    """
    names = dict.fromkeys(launch.kernel for launch in launches)
    whole = {launch.kernel for launch in launches if not launch.makes_answer}
    for record in compiled.configs:
        if sum(math.prod(each.grid) for each in record.launches if each.kernel in whole) > MAX_RUN_WHOLE:
            return ()
    return tuple(name for name in names if name not in whole)


def plan_for_gpu(
    operation: Convolution,
    compiled: CompiledKernel,
    named: Sequence[int],
    seed: int,
    *,
    swept: int = 0,
    calls_file: bool = True,
) -> CasePlan:
    """Return a plan that runs every program, at batches from one to the end of the domain.

    At the end so many cases are `swept`: drawn values of few images, which take milliseconds each. Without
    `calls_file` it asks for no call of the file itself.
    """
    pins, seeds = running_pins(compiled), itertools.count(seed + 1)
    relations = tuple(RELATIONS) if calls_file else _of_plans()
    planned = [
        *_pinned(3, PROBE_FAMILY, pins, 0, seeds),
        *_pinned(operation.measured_batch, "normal", pins, 0, seeds),
        *_everything(operation, _CaseMaker(pins, seeds, operation.max_batch), relations, named),
        *_swept(swept, pins, seeds),
    ]
    return CasePlan(
        planned=tuple(planned),
        pins=pins,
        max_batch=MAX_DRAWN_BATCH,
        programs=0,
        relations=_of_plans(),
    )


def plan_for_interpreter(
    operation: Convolution,
    compiled: CompiledKernel,
    named: Sequence[int],
    sampled: tuple[str, ...],
    programs: int,
    seed: int,
) -> CasePlan:
    """Return what follows the probes: large batches by some programs of the `sampled` kernels, in seconds.

    Where a sample would say nothing, since a launch reads what another wrote, small batches are run whole.
    """
    seeds = itertools.count(seed + 1)
    if not sampled:
        return _plan_of_whole_runs(operation, compiled, seeds)
    plan = _plan_of_samples(operation, compiled, named, programs, seeds)
    return msgspec.structs.replace(plan, sampled=sampled)


def _plan_of_whole_runs(operation: Convolution, compiled: CompiledKernel, seeds: Iterator[int]) -> CasePlan:
    pins, relations = _quickest_first(compiled), _of_plans()
    make = _CaseMaker(pins, seeds, operation.max_batch)
    planned = (*_pinned(1, "normal", pins, 0, seeds), *_everything_whole(make, relations))
    return CasePlan(planned=planned, pins=pins, max_batch=3, programs=0, relations=relations)


def _plan_of_samples(
    operation: Convolution,
    compiled: CompiledKernel,
    named: Sequence[int],
    programs: int,
    seeds: Iterator[int],
) -> CasePlan:
    pins, relations = _quickest_first(compiled), _of_plans()
    largest = min(largest_sampled(operation, compiled.configs[pin]) for pin in pins)
    measured = min(largest, operation.measured_batch)
    make = _CaseMaker(pins, seeds, largest, programs)
    planned = (
        *_pinned(measured, "normal", pins, programs, seeds),
        *_everything(operation, make, relations, named),
    )
    return CasePlan(planned=planned, pins=pins, max_batch=measured, programs=programs, relations=relations)


def _of_plans() -> tuple[str, ...]:
    """Return the relations that launch plans can be tried on."""
    return tuple(name for name, relation in RELATIONS.items() if not relation.calls_file)


class _CaseMaker:
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


def _everything(
    operation: Convolution, make: _CaseMaker, relations: Sequence[str], named: Sequence[int]
) -> Iterator[Case]:
    """Yield a case for each family, relation, layout and named batch, and for the largest batch."""
    yield from (make(batch, family) for batch, family in zip(itertools.cycle(SMALL_BATCHES), FAMILIES))
    yield from (make(3, relation=relation) for relation in _all_but_none(relations))
    yield from (make(2, layout=layout) for layout in LAYOUTS[1:])
    also_strided = (relation for relation in relations if RELATIONS[relation].also_strided)
    yield from (make(2, layout=LAYOUTS[-1], relation=relation) for relation in also_strided)
    yield from (make(batch) for batch in dict.fromkeys(min(batch, make.largest_batch) for batch in named))
    yield from (make(batch) for batch in _drawn_batches(make.largest_batch, next(make.seeds)))
    yield make(operation.max_batch)


def swept_shapes(pins: Sequence[int]) -> Iterator[Case]:
    """Yield a plain case of each batch and configuration that a sweep may meet."""
    for batch, pin in itertools.product(range(1, MAX_SWEPT_BATCH + 1), pins):
        yield Case(batch=batch, family="normal", seed=0, pin=pin)


def _swept(count: int, pins: Sequence[int], seeds: Iterator[int]) -> Iterator[Case]:
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


def _everything_whole(make: _CaseMaker, relations: Sequence[str]) -> Iterator[Case]:
    """Yield what a run of all programs has the time for: a few images each."""
    yield make(WHOLE_BATCH)
    yield from (make(batch, family) for batch, family in zip(itertools.cycle((2, 1, 3)), FAMILIES))
    yield from (make(3, relation=relation) for relation in _all_but_none(relations))
    yield from (make(2, layout=layout) for layout in LAYOUTS[1:])


def _all_but_none(relations: Sequence[str]) -> list[str]:
    """Return the relations without the one that asks nothing."""
    return [relation for relation in relations if relation != NO_RELATION]


def _pinned(
    batch: int, family: str, pins: Sequence[int], programs: int, seeds: Iterator[int]
) -> Iterator[Case]:
    for pin in pins:
        yield Case(batch=batch, family=family, seed=next(seeds), pin=pin, programs=programs)


def running_pins(compiled: CompiledKernel) -> tuple[int, ...]:
    """Return one pin for each different program: the same machine code on another grid is another."""
    first: dict[tuple[Launched, ...], int] = {}
    for pin, record in enumerate(compiled.configs):
        if record.launches:
            first.setdefault(launched(record), pin)
    return tuple(first.values())


def _quickest_first(compiled: CompiledKernel) -> tuple[int, ...]:
    return tuple(sorted(running_pins(compiled), key=lambda pin: _programs(compiled.configs[pin])))


def _programs(record: ConfigRecord) -> int:
    """Return the programs of all launches at the measured batch."""
    return sum(math.prod(launch.grid) for launch in record.launches)


def largest_sampled(operation: Convolution, record: ConfigRecord) -> int:
    """Return the largest batch at which one program is still quick: a persistent one then has more to do."""
    outputs = math.prod(operation.output_shape(operation.measured_batch))
    programs = _programs(record)
    if outputs / programs <= MAX_OUTPUTS_A_PROGRAM:
        return operation.max_batch
    return max(1, int(programs * MAX_OUTPUTS_A_PROGRAM / math.prod(operation.output_shape(1))))
