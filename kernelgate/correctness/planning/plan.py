"""Which cases a kernel is tried on: those that every kernel must pass, and where others are drawn from.

What must be found is planned: every configuration, family, layout and relation has a case of its own, so
that no law is tried by luck. What is drawn beyond that looks for what nobody thought of.
"""

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from functools import partial

import msgspec
from hypothesis import strategies

from kernelgate.compilation.machine_code.compiled_kernel import CompiledKernel
from kernelgate.correctness.case import Case, layouts_for
from kernelgate.correctness.planning.planned_cases import (
    SMALL_BATCHES,
    CaseMaker,
    each_pinned,
    everything,
    everything_whole,
    families_of,
    fitted,
    sweep,
)
from kernelgate.correctness.planning.programs import largest_sampled, quickest_first, running_pins
from kernelgate.correctness.relations import RELATIONS, relations_of
from kernelgate.kernel_file.named_sizes import named_batches
from kernelgate.kernel_file.source import KernelFile
from kernelgate.operations.declaration.operation import Operation

MAX_SEED = 2**31 - 1

SCOUTED = 128
MAX_DRAWN_BATCH = 64
"""In pictures."""

DRAWN_SHAPES = 12
"""Of those that a book holds plans of, beside the planned ones; recording them all would take minutes."""


STEPS_OF_DOUBLING = 8


PROBE_FAMILY = "integer"
"""Its sums are exact, so that a fault far below the bound of real values shows."""


class CasePlan(msgspec.Struct, frozen=True, kw_only=True):
    """`planned` come first; then, if it `draws`, other batches up to `max_batch` and the `pins`.

    `sampled` names the kernels of which `programs` are run in a case that samples. Where launch plans are
    those of a book, cases are `drawn_from` these, with other values. Of `scouted` cases the plans are
    recorded; those that do what no planned one does are tried too.
    """

    operation: Operation
    planned: tuple[Case, ...]
    draws: bool = True
    pins: tuple[int, ...]
    max_batch: int
    programs: int
    relations: tuple[str, ...]
    sampled: tuple[str, ...] = ()
    scouted: tuple[Case, ...] = ()
    drawn_from: tuple[Case, ...] = ()

    def strategy(self) -> strategies.SearchStrategy[Case]:
        """Return the strategy of further cases; it shrinks to one item of normal values."""
        if self.drawn_from:
            return strategies.builds(
                _with_values,
                strategies.sampled_from(self.drawn_from),
                strategies.sampled_from(families_of(self.operation)),
                strategies.integers(0, MAX_SEED),
            )
        return strategies.builds(
            Case,
            batch=_log_uniform(self.max_batch),
            family=strategies.sampled_from(families_of(self.operation)),
            seed=strategies.integers(0, MAX_SEED),
            pin=strategies.sampled_from(self.pins),
            programs=strategies.just(self.programs),
            layout=strategies.sampled_from(layouts_for(self.operation)),
            relation=strategies.sampled_from(self.relations),
        ).map(partial(fitted, self.operation))


def _with_values(case: Case, family: str, seed: int) -> Case:
    return msgspec.structs.replace(case, family=family, seed=seed)


def draw_shapes(plan: CasePlan, seed: int) -> Iterator[Case]:
    """Yield plain cases of drawn batch, configuration and layout, for a plan book to hold their calls."""
    chance = random.Random(seed)  # noqa: S311 - replayable, not secret
    for _ in range(DRAWN_SHAPES):
        batch, pin = chance.randint(1, plan.max_batch), chance.choice(plan.pins)
        layout = chance.choice(layouts_for(plan.operation))
        yield Case(batch=batch, family="normal", seed=0, pin=pin, programs=plan.programs, layout=layout)


def _log_uniform(largest: int) -> strategies.SearchStrategy[int]:
    """Return the strategy of batches of which as many are from 16 to 31 as from 128 to 255.

    Steps of an eighth of a doubling, and now and then a batch between them.
    """
    steps = int(STEPS_OF_DOUBLING * math.log2(largest)) + 1
    spaced = dict.fromkeys(round(2 ** (step / STEPS_OF_DOUBLING)) for step in range(steps))
    return strategies.sampled_from(list(spaced)) | strategies.integers(1, largest)


def probe_cases(compiled: CompiledKernel, seed: int) -> tuple[Case, ...]:
    """Return the interpreter's first cases: one item, every program, the quickest configuration first."""
    return tuple(each_pinned(1, PROBE_FAMILY, quickest_first(compiled), 0, itertools.count(seed)))


def batches_of(kernel: KernelFile, operation: Operation) -> tuple[int, ...]:
    """Return the batches that a file names, without those that every kernel is tried on."""
    return named_batches(kernel, operation.max_batch, tried=SMALL_BATCHES)


def plan_for_gpu(
    operation: Operation,
    compiled: CompiledKernel,
    named: Sequence[int],
    seed: int,
    *,
    swept: int = 0,
    calls_file: bool = True,
) -> CasePlan:
    """Return a plan that runs every program, at batches from one to the end of the domain.

    At the end so many cases are `swept`: drawn values of few items, which take milliseconds each. Without
    `calls_file` it asks for no call of the file itself.
    """
    pins, seeds = running_pins(compiled), itertools.count(seed + 1)
    relations = relations_of(operation) if calls_file else _of_plans(operation)
    planned = [
        *each_pinned(min(3, operation.max_batch), PROBE_FAMILY, pins, 0, seeds),
        *each_pinned(operation.measured_batch, "normal", pins, 0, seeds),
        *each_pinned(operation.measured_batch, PROBE_FAMILY, pins[:1], 0, seeds),
        *everything(CaseMaker(operation, pins, seeds, operation.max_batch), relations, named),
        *sweep(operation, swept, pins, seeds),
    ]
    return CasePlan(
        operation=operation,
        planned=tuple(planned),
        pins=pins,
        scouted=_scouted(operation, pins[0], operation.max_batch, 0, seeds),
        max_batch=min(operation.max_batch, MAX_DRAWN_BATCH * operation.granule),
        programs=0,
        relations=_of_plans(operation),
    )


def plan_for_interpreter(
    operation: Operation,
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


def _plan_of_whole_runs(operation: Operation, compiled: CompiledKernel, seeds: Iterator[int]) -> CasePlan:
    pins, relations = quickest_first(compiled), _of_plans(operation)
    make = CaseMaker(operation, pins, seeds, operation.max_batch)
    planned = (*each_pinned(1, "normal", pins, 0, seeds), *everything_whole(make, relations))
    return CasePlan(
        operation=operation, planned=planned, pins=pins, max_batch=3, programs=0, relations=relations
    )


def _plan_of_samples(
    operation: Operation,
    compiled: CompiledKernel,
    named: Sequence[int],
    programs: int,
    seeds: Iterator[int],
) -> CasePlan:
    pins, relations = quickest_first(compiled), _of_plans(operation)
    largest = min(largest_sampled(operation, compiled.configs[pin]) for pin in pins)
    measured = min(largest, operation.measured_batch)
    make = CaseMaker(operation, pins, seeds, largest, programs)
    planned = (
        *each_pinned(measured, "normal", pins, programs, seeds),
        *each_pinned(measured, PROBE_FAMILY, pins[:1], programs, seeds),
        *everything(make, relations, named),
    )
    return CasePlan(
        operation=operation,
        planned=planned,
        pins=pins,
        scouted=_scouted(operation, pins[0], largest, programs, seeds),
        max_batch=measured,
        programs=programs,
        relations=relations,
    )


def _scouted(
    operation: Operation, pin: int, largest: int, programs: int, seeds: Iterator[int]
) -> tuple[Case, ...]:
    """Return plain cases of one configuration, their batches log-uniform up to the largest."""
    chance = random.Random(next(seeds))  # noqa: S311 - replayable, not secret
    drawn = dict.fromkeys(int((largest + 1) ** chance.random()) for _ in range(SCOUTED))
    return tuple(
        fitted(
            operation, Case(batch=batch, family=PROBE_FAMILY, seed=next(seeds), pin=pin, programs=programs)
        )
        for batch in drawn
    )


def _of_plans(operation: Operation) -> tuple[str, ...]:
    """Return the relations that launch plans can be tried on."""
    return tuple(name for name in relations_of(operation) if not RELATIONS[name].calls_file)
