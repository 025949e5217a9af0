"""Another GPU's code on the one at hand: its PTX, assembled for this one.

PTX of an older target runs on every newer GPU (PTX ISA, "Target architecture"), so the instructions that an
RTX 4090 is asked to run can be run, and be timed against each other, where there is none.
"""

from typing import Any

import torch
from triton.backends.compiler import GPUTarget
from triton.backends.nvidia.compiler import CUDABackend
from triton.backends.nvidia.driver import CudaDriver
from triton.compiler import compiler

from kernelgate.child.stub_driver import ADA


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

    Also in what a block may use of shared memory, so that an autotuner leaves out what would not run there.
    """
    Assembler().card = card
    CudaDriver.get_current_target = lambda _driver: GPUTarget("cuda", 10 * ADA.major + ADA.minor, 32)
    max_shared_bytes = compiler.max_shared_mem
    compiler.max_shared_mem = lambda device: min(ADA.shared_memory_per_block_optin, max_shared_bytes(device))
    cuda: Any = torch.cuda
    at_hand = cuda.get_device_properties
    cuda.get_device_properties = lambda *where: _AdaProperties(at_hand(*where))
    cuda.get_device_capability = lambda *_: (ADA.major, ADA.minor)


class _AdaProperties:
    """Of the GPU at hand what it has: memory, L2 cache, multiprocessors; of Ada what code is chosen by."""

    def __init__(self, at_hand: Any) -> None:
        self._at_hand = at_hand

    def __getattr__(self, name: str) -> Any:
        chosen_by = ("major", "minor", "shared_memory_per_block_optin", "shared_memory_per_multiprocessor")
        return getattr(ADA if name in chosen_by else self._at_hand, name)
