"""How much of the answer the programs of whole grids write together: their stores alone are run.

A sample of programs cannot show that a tile is missing. What decides where a program stores is little of what
it computes, so every program of a large grid does it in a second or two.
"""

import math
from collections.abc import Callable

import numpy as np

from kernelgate.execution.launch_plan import Copy, Fill, Launch, LaunchPlan, Pointer, Scalar
from kernelgate.interpreter import launch as interpreted
from kernelgate.interpreter.decisions.flow import ATOMICS, READS
from kernelgate.interpreter.errors import CannotInterpretError
from kernelgate.interpreter.launch import LaunchRun, ReadyKernel
from kernelgate.interpreter.memory.buffer import poison
from kernelgate.interpreter.memory.memory import Memory
from kernelgate.interpreter.slices import stores_of
from kernelgate.interpreter.text.module import Module
from kernelgate.interpreter.text.parser import parse

MAX_PROGRAMS = 500_000
MAX_TURNS = 200_000
ELEMENT_BYTES = 4


def count_covered(plan: LaunchPlan, ttir_of: Callable[[str], str]) -> int | None:
    """Return how many elements of the answer all programs of all launches write, each counted once.

    `ttir_of` returns the text that a digest names. None where the stores alone do not tell: they depend on
    what is loaded, a move of data has a hand in it, a grid has too many programs, or an operation is lacking.
    """
    if any(isinstance(step, Fill | Copy) and step.target.buffer == plan.answer.buffer for step in plan.steps):
        return None
    memory = Memory()
    for number, buffer in enumerate(plan.buffers):
        memory.add(_name(number), buffer.bytes, fill=poison(0))
    try:
        if not all(_run_stores(plan, launch, ttir_of, memory) for launch in plan.launches):
            return None
    except CannotInterpretError:
        return None
    answer, first = memory.buffers[_name(plan.answer.buffer)], plan.answer.offset
    if answer.unit != ELEMENT_BYTES:
        return None
    return int(np.count_nonzero(answer.writers[first : first + math.prod(plan.answer.shape)]))


def _run_stores(plan: LaunchPlan, launch: Launch, ttir_of: Callable[[str], str], memory: Memory) -> bool:
    """Run the stores of a launch that may write the answer; return whether they can be run by themselves."""
    program = plan.program_of(launch)
    kernel = ReadyKernel(stores_of(parse(ttir_of(program.ttir))))
    arguments = [_argument(each) for each in launch.arguments]
    written = kernel.may_write(arguments)
    if written is not None and _name(plan.answer.buffer) not in written:
        return True
    grid = (launch.grid[0] // launch.cluster[0], *launch.grid[1:])
    if _depends_on_memory(kernel.module) or math.prod(grid) > MAX_PROGRAMS:
        return False
    run = LaunchRun(kernel, program.kernel, grid, arguments, memory, max_turns=MAX_TURNS)
    run.run()
    return not any(each.kind in ("endless", "waits-for-ever") for each in run.result().findings)


def _depends_on_memory(module: Module) -> bool:
    return any(
        each.name in READS | ATOMICS
        for function in module.functions.values()
        for each in function.body.every()
    )


def _name(number: int) -> str:
    return f"buffer {number}"


def _argument(argument: object) -> interpreted.Argument:
    if isinstance(argument, Pointer):
        return interpreted.Pointer(buffer=_name(argument.buffer), offset=argument.offset)
    return interpreted.Scalar(bits=argument.bits) if isinstance(argument, Scalar) else None
