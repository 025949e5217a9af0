"""Calls on a GPU: launches work between guard bands, and what else runs there is seen."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils._python_dispatch import _disable_current_modes
from triton.runtime.jit import JITFunction

from kernelgate import protocol
from kernelgate.operations.convolution import Convolution
from kernelgate.operations.inputs import draw_images, make_x
from kernelgate.worker.gpu.guard_bands import GuardedLaunch
from kernelgate.worker.gpu.stream_order import StreamOrder
from kernelgate.worker.tensors.launch_arguments import tensors_in
from kernelgate.worker.tensors.layouts import lay_out, overwrite
from kernelgate.worker.tensors.poison import fill_with_bits
from kernelgate.worker.watch.data_flow import Witness
from kernelgate.worker.watch.graphs import Captured, Graphs

MAX_WATCHED_BYTES = 2**29
IMAGES_AT_ONCE = 256
MAX_GUARDED_LAUNCHES = 64
"""In one call: an autotuner that is left to itself makes hundreds, all of the same few programs."""


class GpuSite:
    """The memory of an NVIDIA GPU, and Triton's own launches, each followed."""

    def __init__(self, operation: Convolution, graphs: Graphs) -> None:
        self.operation, self.graphs = operation, graphs
        self.witness: Witness | None = None
        self.launched: list[str] = []
        self.found: list[str] = []
        self.is_tuning = False
        self.order = StreamOrder()
        self.synchronize = torch.cuda.synchronize
        self.order.follow()
        self._follow_launches()
        self.graphs.on_replay = self._note_replay

    def dress(self, model: nn.Module) -> None:
        """Move the model to the GPU."""
        model.cuda()

    def make_x(self, request: protocol.RunOne) -> torch.Tensor:
        """Return x on the GPU."""
        x = make_x(self.operation, request.recipe, "cuda")
        return x if request.layout == "contiguous" else lay_out(x, request.layout)

    def refill_x(self, request: protocol.RunOne, x: torch.Tensor) -> None:
        """Write the contents of the request into x."""
        overwrite(x, make_x(self.operation, request.recipe, "cuda"))

    @contextmanager
    def watching(self, request: protocol.RunOne, x: torch.Tensor) -> Iterator[Witness]:
        """Give the context in which the model is called on x."""
        self.launched, self.found, self.is_tuning = [], [], request.pin is None
        self.order.begin_call()
        self.witness = Witness(lambda tensor: fill_with_bits(tensor, request.poison_bits), lambda _: None)
        self.witness.follow_x(x)
        try:
            with self.witness:
                yield self.witness
            self.order.end_call()
        finally:
            self.witness = None

    def finish(self) -> None:
        """Wait for the GPU; raises what a launch did to it."""
        torch.cuda.synchronize()

    def launches(self, _answer: torch.Tensor | None) -> tuple[protocol.SeenLaunch, ...]:
        """Return the launches of the last call."""
        return tuple(
            protocol.SeenLaunch(kernel=kernel, programs_run=0, programs_total=0, makes_answer=False)
            for kernel in self.launched
        )

    def memory_found(self) -> tuple[str, ...]:
        """Return the broken guard bands of the last call."""
        return (*self.found, *self.order.found)

    def x_intact(self, request: protocol.RunOne, x: torch.Tensor) -> bool:
        """Return whether x still holds what was put there."""
        drawn, places = draw_images(self.operation, request.recipe, "cuda")
        for first in range(0, len(places), IMAGES_AT_ONCE):
            span = slice(first, first + IMAGES_AT_ONCE)
            if not torch.equal(x[span].contiguous().view(torch.int32), drawn[places[span]].view(torch.int32)):
                return False
        return True

    def watch_answer(self, answer: torch.Tensor) -> Callable[[], bool]:
        """Return what tells, after a later call, whether the answer is still the same."""
        if answer.nbytes > MAX_WATCHED_BYTES or answer.dtype != torch.float32:
            return lambda: True
        kept = answer.detach().clone().view(torch.int32)
        return lambda: torch.equal(answer.detach().contiguous().view(torch.int32), kept)

    def read(
        self, answer: torch.Tensor, images: Sequence[int]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64] | None]:
        """Return the images asked for, all of them if none is named."""
        chosen = answer.detach()[list(images)] if images else answer.detach()
        values: NDArray[np.float32] = chosen.contiguous().cpu().numpy()
        return values.ravel(), None

    def _follow_launches(self) -> None:
        run, site = JITFunction.run, self

        def run_between_bands(jitted: Any, *args: Any, grid: Any, warmup: bool, **named: Any) -> Any:
            if site.witness is None or warmup:
                return run(jitted, *args, grid=grid, warmup=warmup, **named)
            return site.launch(run, jitted, args, named, grid)

        JITFunction.run = run_between_bands

    def launch(self, run: Any, jitted: Any, args: tuple[Any, ...], named: dict[str, Any], grid: Any) -> Any:
        """Run one launch between bands, and take note of what it changed."""
        assert self.witness is not None
        self.launched.append(jitted.fn.__name__)
        if torch.cuda.is_current_stream_capturing():
            # Nothing runs now, so nothing can be compared: what a graph may write is all that it was given.
            tensors = tensors_in([*args, *named.values()])
            held = self.graphs.note_launch({tensor.untyped_storage().data_ptr() for tensor in tensors})
            self.witness.note_launch(tensors, held, held)
            return run(jitted, *args, grid=grid, warmup=False, **named)
        self.order.note_launch(jitted.fn.__name__)
        if self.is_tuning and len(self.launched) > MAX_GUARDED_LAUNCHES:
            given = {tensor.untyped_storage().data_ptr() for tensor in tensors_in([*args, *named.values()])}
            self.witness.note_launch([], given, given)
            return run(jitted, *args, grid=grid, warmup=False, **named)
        with _disable_current_modes():  # what the bands need is no work of the kernel file's
            self.synchronize()
            guarded = GuardedLaunch(args, named)
            result = run(jitted, *guarded.arguments, grid=grid, warmup=False, **guarded.named)
            self.synchronize()
            changed, broken = guarded.finish()
        if broken:
            self.found.append(f"{jitted.fn.__name__} wrote {broken} bytes outside its tensors")
        read = {tensor.untyped_storage().data_ptr() for tensor in guarded.tensors}
        self.witness.note_launch(guarded.tensors, read, changed)
        return result

    def _note_replay(self, graph: Captured) -> None:
        if self.witness is None:
            return
        for found in graph.contractions.found:
            self.witness.find(found)
        if graph.storages:
            self.launched.append("a captured graph")
            self.witness.note_launch([], graph.storages, graph.storages)
