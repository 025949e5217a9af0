"""The memory of a plan's buffers on a GPU: a flat tensor of bytes for each, and the plan's views of them."""

from collections.abc import Sequence

import torch

from kernelgate.execution.launch_plan import Buffer, Pointer, View


class PlanMemory:
    """Buffers by their number in the plan; each is a one-dimensional uint8 tensor on one device."""

    def __init__(self, buffers: Sequence[torch.Tensor]) -> None:
        self.buffers = list(buffers)

    def address(self, pointer: Pointer) -> int:
        """Return where a pointer points on the GPU."""
        return self.buffers[pointer.buffer].data_ptr() + pointer.offset

    def view(self, view: View) -> torch.Tensor:
        """Return the elements that a view shows, in their own memory."""
        dtype: torch.dtype = getattr(torch, view.dtype)
        whole = self.buffers[view.buffer]
        elements = whole[: whole.numel() // dtype.itemsize * dtype.itemsize].view(dtype)
        return elements.as_strided(view.shape, view.strides, elements.storage_offset() + view.offset)

    def exchanged(self, number: int, buffer: torch.Tensor) -> "PlanMemory":
        """Return the same memory with another buffer in the place of one."""
        return PlanMemory([buffer if each == number else b for each, b in enumerate(self.buffers)])


def allocate(buffer: Buffer, device: torch.device) -> torch.Tensor:
    """Return new memory for a buffer; what it holds is nobody's promise."""
    return torch.empty(max(1, buffer.bytes), dtype=torch.uint8, device=device)
