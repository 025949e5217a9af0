"""Fills and copies of a plan on the interpreter's memory; a fill of a whole buffer is done as it is read."""

import math

import torch

from kernelgate.errors import KernelgateError
from kernelgate.execution.launch_plan import DTYPE_BYTES, Copy, Fill, View
from kernelgate.execution.plan_check import elements_spanned
from kernelgate.interpreter.memory.buffer import PAGE_BYTES, Buffer, Repeated

MAX_MOVED_BYTES = 2**30
"""Of one step: more of them would fill the memory that the largest batches have only by address."""


class TooLargeError(KernelgateError):
    """A step would fill memory that is too large to be filled here."""


def fill(buffer: Buffer, step: Fill) -> None:
    """Put the value into every element of the view; raises TooLargeError."""
    dtype: torch.dtype = getattr(torch, step.target.dtype)
    value = torch.tensor(float(step.value) if isinstance(step.value, str) else step.value, dtype=dtype)
    if covers_whole(step.target, buffer.size):
        page = value.repeat(PAGE_BYTES // dtype.itemsize).view(torch.uint8).numpy()
        buffer.refill(Repeated(page))
    elif 0 not in step.target.shape:
        _elements(buffer, step.target).fill_(value)


def copy(target: Buffer, source: Buffer, step: Copy) -> None:
    """Move the elements, index by index; raises TooLargeError."""
    if 0 not in step.target.shape:
        _elements(target, step.target).copy_(_elements(source, step.source))


def covers_whole(view: View, size: int) -> bool:
    """Whether the view is of every byte of a buffer of so many bytes."""
    spanned = elements_spanned(view)
    return DTYPE_BYTES[view.dtype] * spanned == size and math.prod(view.shape) == spanned


def _elements(buffer: Buffer, view: View) -> torch.Tensor:
    """Return the elements as a tensor, filled where they are lazy."""
    size = DTYPE_BYTES[view.dtype]
    end = size * elements_spanned(view)
    if end - size * view.offset > MAX_MOVED_BYTES:
        moved = (end - size * view.offset) / 2**30
        raise TooLargeError(f"one step of the call moves all {moved:.1f} GiB of a tensor")
    buffer.settle(size * view.offset, end - 1, None)
    dtype: torch.dtype = getattr(torch, view.dtype)
    whole = torch.from_numpy(buffer.data[: buffer.data.size // size * size]).view(dtype)
    return whole.as_strided(view.shape, view.strides, view.offset)
