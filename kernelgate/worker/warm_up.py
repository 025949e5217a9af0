"""What every worker that compiles would find out at first, found out once, before copies are made."""

from triton.backends.compiler import GPUTarget
from triton.backends.nvidia.compiler import CUDABackend
from triton.runtime import cache

from kernelgate.execution.cards import ADA


def warm_up() -> None:
    """Have Triton digest its own files and ask the assembler for its version, which it remembers.

    Both are part of the names by which Triton keeps what it compiled: half a second of each first compile.
    """
    cache.triton_key()
    CUDABackend(GPUTarget("cuda", ADA.capability, ADA.warp_size)).hash()
