"""A module made ready to run: each operation bound once to what computes it."""

from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import Any, NamedTuple

from kernelgate.interpreter.decisions.sides import Sides, watch
from kernelgate.interpreter.dialects.approximations import approximate, is_approximate
from kernelgate.interpreter.dialects.registry import PLAIN, WITH_PROGRAMS, Compute, lacking
from kernelgate.interpreter.errors import CannotInterpretError
from kernelgate.interpreter.frames import Frame
from kernelgate.interpreter.text.module import Block, Function, Module, Operation, Region
from kernelgate.interpreter.values import Value

Turns = Generator[bool, None, tuple[Value, ...]]
"""Runs on at each `next`, up to where programs may have to wait; returns an operation's results.

It yields whether the programs have changed since they were last there: those that wait have not.
"""

Control = Callable[["Code", Frame, "Step"], Turns]

ENDS = frozenset(
    ["scf.yield", "scf.condition", "tt.return", "tt.reduce.return", "tt.scan.return", "cf.br", "cf.cond_br",
     "tt.map_elementwise.return"]
)  # fmt: skip
CONTROL: dict[str, Control] = {}
"""Operations that run regions or functions, entered here by the modules that run them."""


class Step(NamedTuple):
    """One operation, ready: `compute` for most, `control` for those that run others."""

    operation: Operation
    operands: tuple[str, ...]
    results: tuple[str, ...]
    compute: Compute | None
    needs_group: bool
    control: Control | None
    regions: tuple["Steps", ...]


class ReadyBlock(NamedTuple):
    """A block's steps, and the operation that ends it."""

    name: str
    parameters: tuple[str, ...]
    steps: tuple[Step, ...]
    end: Operation | None


Steps = dict[str, ReadyBlock]
"""The blocks of a region by name, the first of which is entered first."""


class Code:
    """A module's functions, ready to run; `sides` are told how each of its decisions goes."""

    def __init__(self, module: Module, sides: Sides | None = None) -> None:
        self.module = module
        self.functions = {name: _prepare_region(each.body) for name, each in module.functions.items()}
        if sides is not None and sides.decisions:
            watched = {each.operation.line: number for number, each in enumerate(sides.decisions)}
            self.functions = {
                name: _watch_region(steps, sides, watched) for name, steps in self.functions.items()
            }
        self.turns_left = 0
        self.waits = False
        """Whether programs are let run in turns, so that one may wait for another."""

    def parameters_of(self, name: str) -> tuple[str, ...]:
        """Return the names of a function's parameters."""
        return tuple(each.name for each in self.function(name).parameters)

    def function(self, name: str) -> Function:
        """Return a function by its name; raises CannotInterpretError."""
        if name not in self.module.functions:
            raise CannotInterpretError(f"function {name} is not in the text")
        return self.module.functions[name]


def _prepare_region(region: Region) -> Steps:
    return {block.name: _prepare_block(block) for block in region.blocks}


def _prepare_block(block: Block) -> ReadyBlock:
    operations = block.operations
    end = operations[-1] if operations and operations[-1].name in ENDS else None
    return ReadyBlock(
        name=block.name,
        parameters=tuple(each.name for each in block.parameters),
        steps=tuple(map(_prepare, operations[:-1] if end else operations)),
        end=end,
    )


def _prepare(operation: Operation) -> Step:
    control = CONTROL.get(operation.name)
    compute, needs_group = (None, False) if control else _find_compute(operation)
    return Step(
        operation=operation,
        operands=operation.operands,
        results=operation.results,
        compute=compute,
        needs_group=needs_group,
        control=control,
        regions=tuple(map(_prepare_region, operation.regions)),
    )


def _find_compute(operation: Operation) -> tuple[Compute, bool]:
    """Return what computes an operation; for one that is lacking, what raises where it would run."""
    needs_group = operation.name in WITH_PROGRAMS
    maker = WITH_PROGRAMS.get(operation.name) or PLAIN.get(operation.name)
    try:
        if maker is None:
            raise lacking(operation)
        compute = maker(operation)
    except CannotInterpretError as error:
        return partial(_refuse, str(error)), False
    if is_approximate(operation):
        return approximate(compute, operation), True
    return compute, needs_group


def _refuse(message: str, *_: Any) -> Any:
    raise CannotInterpretError(message)


def _watch_region(steps: Steps, sides: Sides, watched: Mapping[int, int]) -> Steps:
    """Return a region's blocks with the decisions among their steps recorded, by the lines they stand in."""
    return {
        name: block._replace(steps=tuple(_watch_step(each, sides, watched) for each in block.steps))
        for name, block in steps.items()
    }


def _watch_step(step: Step, sides: Sides, watched: Mapping[int, int]) -> Step:
    if step.regions:
        return step._replace(regions=tuple(_watch_region(each, sides, watched) for each in step.regions))
    number = watched.get(step.operation.line)
    if number is None or step.compute is None:
        return step
    compute = watch(step.compute, sides.recorder(number), len(step.operands), needs_group=step.needs_group)
    return step._replace(compute=compute, operands=(*step.operands, *sides.decisions[number].guards))
