"""Which cases a kernel is tried on: those that every kernel must pass, and where others are drawn from."""

import math

import msgspec
from hypothesis import strategies

from kernelgate.cases import FAMILIES, Case
from kernelgate.compile_check import CompiledKernel, Launched, launched
from kernelgate.launches import ConfigRecord
from kernelgate.operations import Convolution

MAX_SEED = 2**31 - 1
MAX_OUTPUTS_A_PROGRAM = 16_384
"""A program of more outputs than this takes the interpreter over a second: then batches must be small."""

MAX_DRAWN_BATCH = 64
SMALL_BATCH = 3
"""Of small integers: their sums are exact, so that a fault far below the bound of real values shows."""

SEEDS_APART = 10_000
MAX_WHOLE_PROGRAMS = 300
MAX_WHOLE_BATCH = 3
"""A persistent kernel has few programs whatever the batch, but no less work to do in them."""


class CasePlan(msgspec.Struct, frozen=True, kw_only=True):
    """`planned` come first, in order; then, if it `draws`, batches to `max_batch` and the `pins`."""

    planned: tuple[Case, ...]
    draws: bool = True
    pins: tuple[int, ...]
    max_batch: int
    programs: int

    def strategy(self) -> strategies.SearchStrategy[Case]:
        """Return the strategy of further cases; it shrinks to one image of normal values."""
        return strategies.builds(
            Case,
            batch=strategies.integers(1, self.max_batch),
            family=strategies.sampled_from(list(FAMILIES)),
            seed=strategies.integers(0, MAX_SEED),
            pin=strategies.sampled_from(self.pins),
            programs=strategies.just(self.programs),
        )


def plan_for_gpu(operation: Convolution, compiled: CompiledKernel, seed: int) -> CasePlan:
    """Return a plan that runs every program at the measured batch and on small integers, and draws others."""
    pins, batch = _running_pins(compiled), operation.measured_batch
    measured = [Case(batch=batch, family="normal", seed=seed + pin, pin=pin, programs=0) for pin in pins]
    exact = [
        Case(batch=SMALL_BATCH, family="integer", seed=seed + SEEDS_APART + pin, pin=pin, programs=0)
        for pin in pins
    ]
    return CasePlan(planned=(*exact, *measured), pins=pins, max_batch=MAX_DRAWN_BATCH, programs=0)


def plan_for_interpreter(
    operation: Convolution, compiled: CompiledKernel, programs: int, seed: int
) -> CasePlan:
    """Return a plan that costs seconds: one image whole, the measured batch by sampled programs.

    Where a sample would say nothing (a launch reads what another wrote, or one program does the work of
    many), small batches are run whole instead.
    """
    pins = _running_pins(compiled)
    quickest = min(pins, key=lambda pin: _programs(compiled.configs[pin]))
    whole = Case(batch=1, family="integer", seed=seed, pin=quickest, programs=0)
    if all(_can_be_sampled(operation, compiled.configs[pin]) for pin in pins):
        batch = operation.measured_batch
        sampled = (
            Case(batch=batch, family="normal", seed=seed + 1 + pin, pin=pin, programs=programs)
            for pin in pins
        )
        return CasePlan(planned=(whole, *sampled), pins=pins, max_batch=batch, programs=programs)
    an_image = max(_programs(compiled.configs[pin]) for pin in pins) / operation.measured_batch
    others = (msgspec.structs.replace(whole, family="normal", pin=pin, seed=seed + 1 + pin) for pin in pins)
    max_batch = max(1, min(MAX_WHOLE_BATCH, int(MAX_WHOLE_PROGRAMS / an_image)))
    return CasePlan(planned=(whole, *others), pins=pins, max_batch=max_batch, programs=0)


def _running_pins(compiled: CompiledKernel) -> tuple[int, ...]:
    """Return one pin for each different program: the same machine code on another grid is another."""
    first: dict[tuple[Launched, ...], int] = {}
    for pin, record in enumerate(compiled.configs):
        if record.launches:
            first.setdefault(launched(record), pin)
    return tuple(first.values())


def _programs(record: ConfigRecord) -> int:
    """Return the programs of all launches at the measured batch."""
    return sum(math.prod(launch.grid) for launch in record.launches)


def _can_be_sampled(operation: Convolution, record: ConfigRecord) -> bool:
    outputs = math.prod(operation.output_shape(operation.measured_batch))
    return len(record.launches) == 1 and outputs / _programs(record) <= MAX_OUTPUTS_A_PROGRAM
