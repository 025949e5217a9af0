"""Guard bands round every tensor of a launch on a GPU: the launch works on a copy between them.

The bands hold bits that are NaN in every floating-point type, so that what is read beyond a tensor shows in
the answer, and what is written there shows in the bands. What a launch changed is seen by comparing, so that
its results can be followed.
"""

from collections.abc import Sequence
from typing import Any

import torch

from kernelgate.worker.tensors.launch_arguments import map_tensors, tensors_in

BAND_BYTES = 2 * 2**20
"""More than an image of the output: a tile of rows that a mask let through lands in it."""

BAND_PATTERN = 0x7FFF
WORD_BYTES = 2
MAX_GUARDED_BYTES = 4 * 2**30
"""Tensors of the largest batches take half of a GPU; a copy of them would not fit beside them."""


class Guarded:
    """One storage of a launch, copied between two bands at an address as round as its own."""

    def __init__(self, storage: torch.UntypedStorage) -> None:
        band = BAND_BYTES // WORD_BYTES
        words = -(-storage.nbytes() // WORD_BYTES)
        buffer = torch.full((words + 2 * band,), BAND_PATTERN, dtype=torch.int16, device=storage.device)
        self.bands = buffer[:band], buffer[band + words :]
        self.buffer = buffer.view(torch.uint8)
        self.inside = self.buffer[BAND_BYTES : BAND_BYTES + storage.nbytes()]
        self.original = torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)
        self.inside.copy_(self.original)

    def double(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return what the tensor is in the copy."""
        flat = torch.empty(0, dtype=tensor.dtype, device=tensor.device).set_(self.buffer.untyped_storage())
        offset = BAND_BYTES // tensor.element_size() + tensor.storage_offset()
        return flat.as_strided(tensor.shape, tensor.stride(), offset)

    def finish(self) -> tuple[bool, int]:
        """Copy back what the launch made; return whether it changed anything, and the bands' broken bytes."""
        changed = not torch.equal(self.inside, self.original)
        if changed:
            self.original.copy_(self.inside)
        broken = sum(int((band != BAND_PATTERN).sum()) for band in self.bands)
        return changed, WORD_BYTES * broken


class GuardedLaunch:
    """The arguments of one launch in their guarded doubles."""

    def __init__(self, arguments: Sequence[Any], named: dict[str, Any]) -> None:
        self.tensors = tensors_in([*arguments, *named.values()])
        storages = {t.untyped_storage().data_ptr(): t.untyped_storage() for t in self.tensors if t.numel()}
        self.guarded: dict[int, Guarded] = {}
        if sum(storage.nbytes() for storage in storages.values()) <= MAX_GUARDED_BYTES:
            self.guarded = {address: Guarded(storage) for address, storage in storages.items()}
        self.arguments = [map_tensors(value, self._double) for value in arguments]
        self.named = {name: map_tensors(value, self._double) for name, value in named.items()}

    def _double(self, tensor: torch.Tensor) -> torch.Tensor:
        guarded = self.guarded.get(tensor.untyped_storage().data_ptr())
        return tensor if guarded is None else guarded.double(tensor)

    def finish(self) -> tuple[set[int], int]:
        """Return the storages that the launch changed, all where none is guarded, and the broken bytes."""
        if not self.guarded:
            return {tensor.untyped_storage().data_ptr() for tensor in self.tensors}, 0
        changed, broken = set(), 0
        for address, guarded in self.guarded.items():
            has_changed, bytes_broken = guarded.finish()
            broken += bytes_broken
            if has_changed:
                changed.add(address)
        # A launch that adds zeros has worked all the same: then it may have written any of them.
        return changed or set(self.guarded), broken
