"""A Triton driver without a GPU: the JIT binds and compiles for its target, and launches are noted."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from triton import testing
from triton.backends.compiler import GPUTarget
from triton.runtime.driver import driver

from kernelgate.execution.cards import Card
from kernelgate.execution.launch_plan import MAX_GRID
from kernelgate.worker.fake_cuda.resources import read_resources

NoteLaunch = Callable[[Any, Any, tuple[int, int, int], tuple[Any, ...]], None]


class StubDriver:
    """What Triton's runtime asks of a driver; `note` gets source, metadata, grid, arguments of a launch.

    `card` is the GPU that it stands for; machine code may be assembled for another one.
    """

    def __init__(self, card: Card, note: NoteLaunch, assembled_for: int | None = None) -> None:
        self.device = 1000 * (assembled_for or 0) + card.capability
        self.target = GPUTarget("cuda", card.capability, card.warp_size)
        self.utils = _StubUtils(card)
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

    def get_benchmarker(self) -> Callable[..., Any]:
        """Return the benchmark; pinned runs never ask."""
        return run_once

    def get_device_interface(self) -> Any:
        """Return the pretended torch.cuda."""
        return torch.cuda


class _StubUtils:
    def __init__(self, card: Card) -> None:
        self.card = card

    def get_device_properties(self, _device: int) -> dict[str, int]:
        return {
            "max_shared_mem": self.card.shared_memory_per_block_optin,
            "max_num_regs": self.card.regs_per_multiprocessor,
            "multiprocessor_count": self.card.multi_processor_count,
            "warpSize": self.card.warp_size,
        }

    def load_binary(self, _name: str, cubin: bytes, *_: Any) -> tuple[int, int, int, int, int]:
        max_threads_a_block = 1024
        return 1, 1, *read_resources(cubin), max_threads_a_block


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


def run_once(
    call: Callable[[], Any],
    *_: Any,
    quantiles: Sequence[float] | None = None,
    return_mode: str = "mean",
    **__: Any,
) -> Any:
    """Make the call once; return that it took a millisecond, as Triton's benchmarks return times.

    An autotuner that asks finds all configurations equal.
    """
    call()
    if quantiles is not None:
        return 1.0 if len(quantiles) == 1 else [1.0] * len(quantiles)
    return [1.0] if return_mode == "all" else 1.0


def pretend_benchmarks() -> None:
    """Put it in the place of Triton's; before a kernel file is imported, whose autotuners may hold one."""
    testing.do_bench = testing.do_bench_cudagraph = run_once


def activate(stub: StubDriver) -> None:
    """Make Triton use the stub from here on."""
    driver.set_active(stub)
