"""CUDA graphs, from their capture on: what was launched and computed in one is done again by each replay."""

from collections.abc import Callable
from typing import Any

import torch

from kernelgate.worker.watch.data_flow import Contractions


class Captured:
    """What a graph holds: the memory that its launches were given, and what PyTorch computes beside them."""

    def __init__(self) -> None:
        self.storages: set[int] = set()
        self.contractions = Contractions()


class Graphs:
    """Follows every graph of this process; `on_replay` is told what one that was replayed holds."""

    def __init__(self) -> None:
        self.on_replay: Callable[[Captured], None] = lambda _: None
        self._now: Captured | None = None
        self._known: dict[int, Captured] = {}

    def note_launch(self, storages: set[int]) -> set[int]:
        """Take note of a launch into the graph that is being captured; returns all memory it holds so far."""
        if self._now is None:
            return storages
        self._now.storages |= storages
        return self._now.storages

    def follow(self) -> None:
        """Take note of captures and replays from here on."""
        graphs: Any = torch.cuda.CUDAGraph
        begin, end, replay = graphs.capture_begin, graphs.capture_end, graphs.replay

        def begin_and_watch(graph: Any, *args: Any, **named: Any) -> None:
            begin(graph, *args, **named)
            self._now = Captured()
            self._now.contractions.__enter__()

        def end_and_keep(graph: Any) -> None:
            now, self._now = self._now, None
            if now is not None:
                now.contractions.__exit__(None, None, None)
                self._known[id(graph)] = now
            end(graph)

        def replay_and_tell(graph: Any) -> None:
            replay(graph)
            if id(graph) in self._known:
                self.on_replay(self._known[id(graph)])

        graphs.capture_begin, graphs.capture_end = begin_and_watch, end_and_keep
        graphs.replay = replay_and_tell
