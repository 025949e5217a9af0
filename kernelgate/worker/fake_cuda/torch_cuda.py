"""torch.cuda where there is no GPU, as a machine with one would answer: device, streams, graphs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from kernelgate.execution.cards import Card
from kernelgate.worker.fake_cuda.streams import pretend_streams


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


def pretend_cuda(properties: Card) -> None:
    """Make torch.cuda answer as a machine with one such GPU would; nothing is ever launched through it."""
    cuda: Any = torch.cuda
    cuda.is_available = lambda: True
    cuda.is_initialized = lambda: True
    cuda.device_count = lambda: 1
    cuda.current_device = lambda: 0
    cuda.get_device_capability = lambda *_, **__: (properties.major, properties.minor)
    cuda.get_device_name = lambda *_, **__: properties.name
    cuda.get_device_properties = lambda *_, **__: properties
    cuda.device = nullcontext
    pretend_streams()
    cuda.CUDAGraph, cuda.graph = PretendedGraph, _capture
    cuda.is_current_stream_capturing = lambda: PretendedGraph.capturing is not None
