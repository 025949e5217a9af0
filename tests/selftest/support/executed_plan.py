"""Executes the fills and copies of a launch plan on the CPU, by what its records say and nothing else."""

from collections.abc import Mapping, Sequence

import torch

from kernelgate.execution.launch_plan import Buffer, Copy, Fill, Step, View

UNWRITTEN = 0xFF
"""In every byte of memory that nothing has filled: NaN as a float, and no plausible integer."""


def execute(
    buffers: Sequence[Buffer], steps: Sequence[Step], answer: View, filled: Mapping[str, bytes]
) -> torch.Tensor:
    """Return what the answer holds after the steps; `filled` are the bytes of inputs by their role.

    Those of a constant are found by its digest. Raises TypeError for a launch.
    """
    memory = [_allocate(buffer, filled) for buffer in buffers]
    for step in steps:
        if isinstance(step, Fill):
            _view(memory, step.target).fill_(_number(step))
        elif isinstance(step, Copy):
            _view(memory, step.target).copy_(_view(memory, step.source))
        else:
            raise TypeError("a launch is not executed here")
    return _view(memory, answer).clone()


def _number(fill: Fill) -> int | float:
    return float(fill.value) if isinstance(fill.value, str) else fill.value


def _allocate(buffer: Buffer, filled: Mapping[str, bytes]) -> torch.Tensor:
    memory = torch.full((buffer.bytes,), UNWRITTEN, dtype=torch.uint8)
    content = filled.get(buffer.content or buffer.role, b"")
    if content:
        memory.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
    return memory


def _view(memory: Sequence[torch.Tensor], view: View) -> torch.Tensor:
    dtype: torch.dtype = getattr(torch, view.dtype)
    whole = memory[view.buffer]
    elements = whole[: whole.numel() // dtype.itemsize * dtype.itemsize].view(dtype)
    return elements.as_strided(view.shape, view.strides, view.offset)
