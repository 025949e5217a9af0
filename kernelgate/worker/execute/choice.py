"""Which configuration of an arm is the fastest, as an autotuner would find it with the GPU to itself."""

import statistics

import torch

from kernelgate.operations.convolution import Convolution
from kernelgate.operations.inputs import Inputs
from kernelgate.worker.execute.arms import TimedArm
from kernelgate.worker.execute.timing import time_calls

LAUNCHES = 6
FLUSH_BYTES = 2**28
"""Twice the second-level cache of any GPU so far, or more."""


def try_each(operation: Convolution, arm: TimedArm, batch: int) -> None:
    """Make one call with each configuration, so that all that can fail has failed."""
    inputs = _noise(operation, batch)
    for number in range(arm.choices):
        arm.choose(number)
        arm.place(inputs, 1)
        arm.call(0)
        torch.cuda.synchronize()
        arm.release()


def choose_fastest(operation: Convolution, arm: TimedArm, batch: int, rounds: int) -> list[float]:
    """Return the median time of each configuration in milliseconds; the fastest is chosen."""
    inputs = _noise(operation, batch)
    flush = torch.empty(FLUSH_BYTES, dtype=torch.int8, device=inputs.x.device)
    times: list[list[float]] = [[] for _ in range(arm.choices)]
    for _ in range(rounds):  # by turns, so that a drift of the clock meets all of them
        for number, found in enumerate(times):
            arm.choose(number)
            arm.place(inputs, LAUNCHES)
            found.extend(time_calls(arm, inputs.x, flush, 0, LAUNCHES)[0][1:])
            arm.release()
    medians = [statistics.median(each) for each in times]
    arm.choose(medians.index(min(medians)))
    return medians


def _noise(operation: Convolution, batch: int) -> Inputs:
    # Not zeros: they draw less power and run faster, which may change what is the fastest.
    shapes = operation.input_shape(batch), operation.weight_shape, (operation.out_channels,)
    return Inputs(*(torch.randn(shape, device="cuda") for shape in shapes))
