"""The steps of a plan, bound to memory and loaded programs: each becomes one call of the host."""

from collections.abc import Callable, Mapping
from functools import partial

import torch

from kernelgate.execution.launch_plan import Argument, Copy, Fill, Launch, Pointer, Scalar, Step
from kernelgate.worker.execute.cuda_driver import LoadedProgram, Parameters, launch_program
from kernelgate.worker.execute.memory import PlanMemory

BoundStep = Callable[[], object]


def bind(step: Step, memory: PlanMemory, programs: Mapping[str, LoadedProgram], stream: int) -> BoundStep:
    """Return what does the step, after all that the stream holds already."""
    if isinstance(step, Fill):
        return partial(_fill, memory.view(step.target), _number(step))
    if isinstance(step, Copy):
        return partial(_copy, memory.view(step.target), memory.view(step.source))
    return _bind_launch(step, memory, programs[step.program], stream)


def _bind_launch(launch: Launch, memory: PlanMemory, program: LoadedProgram, stream: int) -> BoundStep:
    parameters = Parameters([_bits(each, memory) for each in launch.arguments])
    return partial(launch_program, program, launch, parameters, stream)


def _bits(argument: Argument, memory: PlanMemory) -> int:
    if isinstance(argument, Pointer):
        return memory.address(argument)
    return argument.bits if isinstance(argument, Scalar) else 0


def _fill(target: torch.Tensor, value: float) -> None:
    target.fill_(value)


def _copy(target: torch.Tensor, source: torch.Tensor) -> None:
    target.copy_(source)


def _number(fill: Fill) -> float:
    return float(fill.value) if isinstance(fill.value, str) else fill.value
