"""A Triton driver without a GPU: the JIT binds and compiles for its target, and launches are noted."""

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from triton.backends.compiler import GPUTarget
from triton.runtime.driver import driver

ADA = SimpleNamespace(
    name="NVIDIA GeForce RTX 4090",
    major=8,
    minor=9,
    multi_processor_count=128,
    warp_size=32,
    total_memory=24 * 2**30,
    L2_cache_size=72 * 2**20,
    max_threads_per_multi_processor=1536,
    shared_memory_per_block_optin=99 * 1024,
    shared_memory_per_multiprocessor=100 * 1024,
    regs_per_multiprocessor=65536,
)
"""The RTX 4090 as torch names its properties (CUDA C++ Programming Guide, compute capability 8.9)."""

HOPPER_SHARED_BYTES = 227 * 1024
MAX_GRID = (2**31 - 1, 65535, 65535)
"""CUDA C++ Programming Guide, table "Technical Specifications per Compute Capability"."""

NoteLaunch = Callable[[Any, Any, tuple[int, int, int], tuple[Any, ...]], None]


class StubDriver:
    """What Triton's runtime asks of a driver; `note` gets source, metadata, grid, arguments of a launch.

    `card` is what machine code is assembled for, if not for the target.
    """

    def __init__(self, capability: int, note: NoteLaunch, card: int | None = None) -> None:
        self.device = 1000 * (card or 0) + capability
        self.target = GPUTarget("cuda", capability, 32)
        self.utils = _StubUtils(ADA.shared_memory_per_block_optin if capability < 90 else HOPPER_SHARED_BYTES)
        self.launcher_cls = _launcher_that_notes(note)

    def get_current_device(self) -> int:
        """Return one device a target: the JIT keeps what it compiled by device, and must not mix targets."""
        return self.device

    def set_current_device(self, device: int) -> None:
        """Accept the only device."""

    def get_current_stream(self, _device: int) -> int:
        """Return the default stream."""
        return 0

    def get_current_target(self) -> GPUTarget:
        """Return the target that is compiled for."""
        return self.target

    def get_active_torch_device(self) -> torch.device:
        """Return the pretended device."""
        return torch.device("cuda", 0)

    def get_device_capability(self, *_: Any) -> tuple[int, int]:
        """Return the target's compute capability."""
        major, minor = divmod(int(self.target.arch), 10)
        return major, minor

    def get_benchmarker(self) -> Callable[..., list[float]]:
        """Return a benchmark that runs the call once and finds all equal; pinned runs never ask."""

        def run_once(kernel_call: Callable[[], Any], **_: Any) -> list[float]:
            kernel_call()
            return [1.0, 1.0, 1.0]

        return run_once


class _StubUtils:
    def __init__(self, max_shared_bytes: int) -> None:
        self.max_shared_bytes = max_shared_bytes

    def get_device_properties(self, _device: int) -> dict[str, int]:
        return {
            "max_shared_mem": self.max_shared_bytes,
            "max_num_regs": ADA.regs_per_multiprocessor,
            "multiprocessor_count": ADA.multi_processor_count,
            "warpSize": ADA.warp_size,
        }

    def load_binary(self, *_: Any) -> tuple[int, int, int, int, int]:
        max_threads_a_block = 1024
        return 1, 1, 0, 0, max_threads_a_block


def _launcher_that_notes(note: NoteLaunch) -> type:
    class NotedLauncher:
        def __init__(self, source: Any, metadata: Any) -> None:
            self.source, self.metadata = source, metadata

        def __call__(self, x: int, y: int, z: int, *rest: Any) -> None:
            if x * y * z <= 0:
                return  # as Triton's launcher, which launches nothing for an empty grid
            check_grid((x, y, z))
            # Before the arguments: stream, function, packed metadata, launch metadata, two hooks.
            note(self.source, self.metadata, (x, y, z), rest[6:])

    return NotedLauncher


def check_grid(grid: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return the grid; raises RuntimeError for one that no GPU takes. An empty one is launched as nothing."""
    if math.prod(grid) > 0 and any(got > most for got, most in zip(grid, MAX_GRID, strict=True)):
        raise RuntimeError(f"a launch has the grid {grid}, a GPU takes 1 to {MAX_GRID}")
    return grid


def activate(stub: StubDriver) -> None:
    """Make Triton use the stub from here on."""
    driver.set_active(stub)
