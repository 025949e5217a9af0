"""Which configuration of an arm is the fastest, as an autotuner would find it with the GPU to itself."""

import statistics
from functools import partial

import torch

from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.tensors import dtype_of
from kernelgate.operations.draws.timing_tensors import fill_batches
from kernelgate.operations.truth.reference import Tensors
from kernelgate.worker.execute.arms import TimedArm
from kernelgate.worker.execute.timing import time_calls

LAUNCHES = 6
FLUSH_BYTES = 2**28
"""Twice the second-level cache of any GPU so far, or more."""


def try_each(operation: Operation, arm: TimedArm, batch: int) -> None:
    """Make one call with each configuration, so that all that can fail has failed."""
    tensors = _noise(operation, batch)
    for number in range(arm.choices):
        arm.choose(number)
        arm.place(tensors, 1)
        arm.call(0)
        torch.cuda.synchronize()
        arm.release()


def choose_fastest(operation: Operation, arm: TimedArm, batch: int, rounds: int) -> list[float]:
    """Return the median time of each configuration in milliseconds; the fastest is chosen."""
    tensors = _noise(operation, batch)
    free = {each.name: tensors[each.name] for each in operation.inputs if each.is_free}
    flush = torch.empty(FLUSH_BYTES, dtype=torch.int8, device="cuda")
    times: list[list[float]] = [[] for _ in range(arm.choices)]
    for _ in range(rounds):  # by turns, so that a drift of the clock meets all of them
        for number, found in enumerate(times):
            arm.choose(number)
            arm.place(tensors, LAUNCHES)
            contents = partial(fill_batches, operation, free)
            found.extend(time_calls(arm, contents, flush, 0, LAUNCHES)[0][1:])
            arm.release()
    medians = [statistics.median(each) for each in times]
    arm.choose(medians.index(min(medians)))
    return medians


def _noise(operation: Operation, batch: int) -> Tensors:
    # Not zeros: they draw less power and run faster, which may change what is the fastest.
    return {
        each.name: torch.randn(each.shape_at(batch), dtype=dtype_of(operation), device="cuda")
        for each in operation.arguments
    }
