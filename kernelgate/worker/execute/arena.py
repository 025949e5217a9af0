"""Memory for one call of a plan: its buffers side by side, with guard bands before, between and behind them.

The bands hold bits that are NaN in every floating-point type, so that what is read beyond a buffer shows in
the answer, and what is written there shows in the bands.
"""

from collections.abc import Sequence

import torch

from kernelgate.worker.execute.memory import PlanMemory

BAND_BYTES = 2 * 2**20
"""More than a picture of the output: a tile of rows that a mask let through lands in it."""

ALIGNMENT = 512
"""Of every buffer, as PyTorch's allocator aligns it."""

BAND_PATTERN = 0x7FFF


class Arena:
    """Buffers of so many bytes each in one allocation."""

    def __init__(self, sizes: Sequence[int], device: torch.device | str) -> None:
        places, end = [], 0
        for size in sizes:
            places.append(_round_up(end + BAND_BYTES))
            end = places[-1] + size
        whole = torch.empty(_round_up(end + BAND_BYTES), dtype=torch.uint8, device=device)
        ends = [0, *(place + size for place, size in zip(places, sizes, strict=True))]
        self.bands = [
            _words(whole[first:last]) for first, last in zip(ends, [*places, whole.numel()], strict=True)
        ]
        for band in self.bands:
            band.fill_(BAND_PATTERN)
        self.memory = PlanMemory(
            [whole[place : place + size] for place, size in zip(places, sizes, strict=True)]
        )

    def broken_bytes(self) -> torch.Tensor:
        """Return how many bytes of the bands were written over, int64 without dimensions."""
        return 2 * torch.stack([(band != BAND_PATTERN).sum() for band in self.bands]).sum()


def _round_up(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _words(part: torch.Tensor) -> torch.Tensor:
    """Return the whole 16-bit words of a part that may begin in the middle of one."""
    first = part.storage_offset() % 2
    return part[first : first + (part.numel() - first) // 2 * 2].view(torch.int16)
