"""torch.cuda where there is no GPU, as a machine with one would answer: device, streams, graphs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from kernelgate.execution.cards import Card
from kernelgate.worker.fake_cuda.streams import pretend_streams

IN_USE = 2**30
"""Bytes of the GPU's memory that tensors of the user take at least, beside those of the call."""

OF_MEMORY = ("memory_allocated", "max_memory_allocated", "memory_reserved", "max_memory_reserved")


class PretendedGraph:
    """A CUDA graph of which the launches are kept, and made again on the same memory by each replay."""

    capturing: "PretendedGraph | None" = None

    def __init__(self, *_: Any, **__: Any) -> None:
        self.launches: list[Callable[[], None]] = []

    def capture_begin(self, *_: Any, **__: Any) -> None:
        """Keep the launches from here on."""
        PretendedGraph.capturing = self

    def capture_end(self) -> None:
        """Keep no more of them."""
        PretendedGraph.capturing = None

    def replay(self) -> None:
        """Launch again what was kept."""
        for launch in self.launches:
            launch()

    def reset(self) -> None:
        """Forget the launches."""
        self.launches.clear()


@contextmanager
def _capture(graph: PretendedGraph, *_: Any, **__: Any) -> Iterator[None]:
    graph.capture_begin()
    try:
        yield
    finally:
        graph.capture_end()


def pretend_cuda(properties: Card, more_in_use: Callable[[], int] = lambda: 0) -> None:
    """Make torch.cuda answer as a machine with one such GPU would; nothing is ever launched through it.

    The user's tensors take so many bytes more than IN_USE.
    """
    memory = (properties.total_memory, properties.total_memory)
    capability = (properties.major, properties.minor)
    answers: dict[Any, dict[str, Any]] = {
        torch.cuda: {
            "is_available": True,
            "is_initialized": True,
            "is_bf16_supported": properties.major >= 8,
            "is_tf32_supported": properties.major >= 8,
            "device_count": 1,
            "current_device": 0,
            "get_device_capability": capability,
            "get_device_name": properties.name,
            "get_device_properties": properties,
            "mem_get_info": memory,
            **dict.fromkeys(("set_device", "empty_cache", "init")),
            **dict.fromkeys(("manual_seed", "manual_seed_all", "seed", "seed_all")),
        },
        torch.accelerator: {
            "is_available": True,
            "device_count": 1,
            "current_accelerator": torch.device("cuda"),
            **dict.fromkeys(("current_device_index", "current_device_idx"), 0),
            **dict.fromkeys(("set_device_index", "set_device_idx", "empty_cache")),
        },
    }
    for module, of_module in answers.items():
        for name, answer in of_module.items():
            setattr(module, name, _saying(answer))
    for name in OF_MEMORY:
        setattr(torch.cuda, name, lambda *_, **__: IN_USE + more_in_use())
    cuda: Any = torch.cuda
    cuda.device = cuda.device_of = nullcontext
    pretend_streams()
    cuda.CUDAGraph, cuda.graph = PretendedGraph, _capture
    cuda.is_current_stream_capturing = lambda: PretendedGraph.capturing is not None


def _saying(answer: Any) -> Callable[..., Any]:
    """Return a function of its own, since torch.compile tells functions apart by what they are."""
    return lambda *_, **__: answer
