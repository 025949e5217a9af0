"""Another GPU's code on the one at hand: its PTX, assembled for this one.

PTX of an older target runs on every newer GPU (PTX ISA, "Target architecture"), so the instructions that an
RTX 4090 is asked to run can be run, and be timed against each other, where there is none.
"""

from typing import Any

import torch
from triton.backends.compiler import GPUTarget
from triton.backends.nvidia.compiler import CUDABackend
from triton.backends.nvidia.driver import CudaDriver

from kernelgate.execution.cards import ADA


class Assembler:
    """The end of every compile of this process: machine code for `card`, whatever GPU the PTX is for."""

    def __init__(self) -> None:
        self.card: int | None = None
        make_cubin, describe = CUDABackend.make_cubin, CUDABackend.hash

        def make_for_card(
            backend: Any, source: str, metadata: dict[str, Any], options: Any, capability: int
        ) -> Any:
            return make_cubin(backend, source, metadata, options, self.card or capability)

        def describe_with_card(backend: Any) -> str:
            # Part of the name by which Triton keeps what it compiled, in this process and on disk.
            return str(describe(backend)) if self.card is None else f"{describe(backend)}-on-{self.card}"

        CUDABackend.make_cubin, CUDABackend.hash = make_for_card, describe_with_card


def take_ada_path(card: int) -> None:
    """Let Triton and the kernel file take the GPU at hand, of compute capability `card`, for an RTX 4090.

    As in mode `record`, so that they take the same branches; memory and L2 cache are as large as they are.
    """
    Assembler().card = card
    CudaDriver.get_current_target = lambda _driver: GPUTarget("cuda", 10 * ADA.major + ADA.minor, 32)
    start = CudaDriver.__init__

    def start_as_ada(driver: Any) -> None:
        start(driver)
        at_hand = driver.utils.get_device_properties
        driver.utils.get_device_properties = lambda device: _as_ada(at_hand(device))

    CudaDriver.__init__ = start_as_ada
    cuda: Any = torch.cuda
    at_hand = cuda.get_device_properties
    cuda.get_device_properties = lambda *where, **named: _AdaProperties(at_hand(*where, **named))
    cuda.get_device_capability = lambda *_, **__: (ADA.major, ADA.minor)
    cuda.get_device_name = lambda *_, **__: ADA.name


def _as_ada(at_hand: dict[str, int]) -> dict[str, int]:
    """Return a GPU's properties by Triton's names, with no more shared memory than either has."""
    shared_bytes = min(ADA.shared_memory_per_block_optin, at_hand["max_shared_mem"])
    return {
        **at_hand,
        "max_shared_mem": shared_bytes,
        "multiprocessor_count": ADA.multi_processor_count,
    }


class _AdaProperties:
    """An RTX 4090's properties by PyTorch's names, but for the memory and the L2 cache that are there."""

    def __init__(self, at_hand: Any) -> None:
        self._at_hand = at_hand

    def __getattr__(self, name: str) -> Any:
        is_adas = name not in ("total_memory", "L2_cache_size") and hasattr(ADA, name)
        return getattr(ADA if is_adas else self._at_hand, name)
