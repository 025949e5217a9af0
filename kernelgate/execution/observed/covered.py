"""How much of the answer the programs of whole grids write together: their stores alone are run.

A sample of programs cannot show that a tile is missing. What decides where a program stores is little of what
it computes, so every program of a large grid does it in a second or two.
"""

import math
from collections.abc import Callable, Hashable
from functools import cache

import numpy as np

from kernelgate.execution.interpreted_plan import InterpretedPlan
from kernelgate.execution.launch_plan import DTYPE_BYTES, Copy, Fill, Launch, LaunchPlan
from kernelgate.interpreter.decisions.flow import ATOMICS, READS
from kernelgate.interpreter.errors import CannotInterpretError
from kernelgate.interpreter.launch import ReadyKernel
from kernelgate.interpreter.slices import stores_of
from kernelgate.interpreter.text.module import Module
from kernelgate.interpreter.text.parser import parse

MAX_PROGRAMS = 500_000


def interpreted_part(plan: LaunchPlan) -> Hashable:
    """Return what the interpreter runs of a plan: two plans that share it do the same to memory.

    Those of configurations that differ in warps and stages alone do.
    """
    steps = (
        (plan.program_of(step).ttir, step.grid, step.cluster, step.arguments)
        if isinstance(step, Launch)
        else step
        for step in plan.steps
    )
    return plan.triton, plan.buffers, tuple(steps), plan.answer


def count_covered(plan: LaunchPlan, ttir_of: Callable[[str], str]) -> int | None:
    """Return how many elements of the answer all programs of all launches write, each counted once.

    `ttir_of` returns the text that a digest names. None where the stores alone do not tell: they depend on
    what is loaded, a move of data has a hand in it, a grid has too many programs, or an operation is lacking.
    """
    if any(isinstance(step, Fill | Copy) and step.target.buffer == plan.answer.buffer for step in plan.steps):
        return None
    cut = cache(lambda ttir: ReadyKernel(stores_of(parse(ttir_of(ttir)))))
    try:
        call = InterpretedPlan(plan, cut, {}, 0)
        if not all(_run_stores(call, launch) for launch in plan.launches):
            return None
    except CannotInterpretError:
        return None
    answer, first = call.memory.buffers[call.answer], plan.answer.offset
    if answer.unit != DTYPE_BYTES[plan.answer.dtype]:
        return None
    return int(np.count_nonzero(answer.writers[first : first + math.prod(plan.answer.shape)]))


def _run_stores(call: InterpretedPlan, launch: Launch) -> bool:
    """Run the stores of a launch that may write the answer; return whether they can be run by themselves."""
    run = call.begin(launch)
    written = run.ready.may_write(run.arguments)
    if written is not None and call.answer not in written:
        return True
    if _depends_on_memory(run.ready.module) or run.launch.total > MAX_PROGRAMS:
        return False
    run.run()
    return not any(each.kind in ("endless", "waits-for-ever") for each in run.result().findings)


def _depends_on_memory(module: Module) -> bool:
    return any(
        each.name in READS | ATOMICS
        for function in module.functions.values()
        for each in function.body.every()
    )
