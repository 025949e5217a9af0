"""The GPUs that plans are made for, where none of them is at hand: what host code may ask of them."""

from typing import Any

import msgspec


class Card(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A GPU's properties, by PyTorch's names; sizes in bytes."""

    name: str
    major: int
    minor: int
    multi_processor_count: int
    warp_size: int = 32
    total_memory: int
    L2_cache_size: int
    max_threads_per_multi_processor: int
    shared_memory_per_block: int = 48 * 1024
    shared_memory_per_block_optin: int
    shared_memory_per_multiprocessor: int
    regs_per_multiprocessor: int = 65536

    @property
    def capability(self) -> int:
        """The compute capability, 89 for 8.9."""
        return 10 * self.major + self.minor


ADA = Card(
    name="NVIDIA GeForce RTX 4090",
    major=8,
    minor=9,
    multi_processor_count=128,
    total_memory=24 * 2**30,
    L2_cache_size=72 * 2**20,
    max_threads_per_multi_processor=1536,
    shared_memory_per_block_optin=99 * 1024,
    shared_memory_per_multiprocessor=100 * 1024,
)
"""CUDA C++ Programming Guide, compute capability 8.9; NVIDIA Ada GPU Architecture white paper."""

HOPPER = Card(
    name="NVIDIA H200",
    major=9,
    minor=0,
    multi_processor_count=132,
    total_memory=141 * 10**9,
    L2_cache_size=60 * 2**20,
    max_threads_per_multi_processor=2048,
    shared_memory_per_block_optin=227 * 1024,
    shared_memory_per_multiprocessor=228 * 1024,
)
"""CUDA C++ Programming Guide, compute capability 9.0; NVIDIA H200 data sheet."""

KNOWN = {card.capability: card for card in (ADA, HOPPER)}
"""By compute capability. Any other GPU is asked for its properties, on the machine that has it."""


def read_card(properties: Any) -> Card:
    """Return the properties that `torch.cuda.get_device_properties` gives."""
    known = {
        field: getattr(properties, field) for field in Card.__struct_fields__ if hasattr(properties, field)
    }
    return Card(**known)
