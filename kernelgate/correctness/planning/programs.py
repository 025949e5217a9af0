"""What a compiled kernel has to run: its different programs, and how many of them at once are quick."""

import math
from collections.abc import Sequence

from kernelgate.baselines.compiled import ConfigRecord
from kernelgate.compilation.machine_code.compiled_kernel import CompiledKernel, Launched, launched
from kernelgate.execution.observed.launches import SeenLaunch
from kernelgate.operations.declaration.operation import Operation

MAX_OUTPUTS_A_PROGRAM = 16_384
"""A program of more outputs than this takes the interpreter over a second: then batches must be small."""

MAX_RUN_WHOLE = 2000
"""Programs of launches that prepare something, such as filters: about a second."""


def samplable(launches: Sequence[SeenLaunch], compiled: CompiledKernel) -> tuple[str, ...]:
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


def running_pins(compiled: CompiledKernel) -> tuple[int, ...]:
    """Return one pin for each different program: the same machine code on another grid is another."""
    first: dict[tuple[Launched, ...], int] = {}
    for pin, record in enumerate(compiled.configs):
        if record.launches:
            first.setdefault(launched(record), pin)
    return tuple(first.values())


def quickest_first(compiled: CompiledKernel) -> tuple[int, ...]:
    """Return one pin for each different program, those of fewest programs at the measured batch first."""
    return tuple(sorted(running_pins(compiled), key=lambda pin: count_programs(compiled.configs[pin])))


def count_programs(record: ConfigRecord) -> int:
    """Return the programs of all launches at the measured batch."""
    return sum(math.prod(launch.grid) for launch in record.launches)


def largest_sampled(operation: Operation, record: ConfigRecord) -> int:
    """Return the largest batch at which one program is still quick: a persistent one then has more to do."""
    outputs = math.prod(operation.output_shape(operation.measured_batch))
    programs = count_programs(record)
    if outputs / programs <= MAX_OUTPUTS_A_PROGRAM:
        return operation.max_batch
    return max(1, int(programs * MAX_OUTPUTS_A_PROGRAM / math.prod(operation.output_shape(1))))
