"""Calls of a model as the judge asks for them: what came back, and how."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kernelgate import protocol
from kernelgate.operations.convolution import Convolution
from kernelgate.operations.inputs import make_parameters
from kernelgate.worker.model.kernel_model import KernelModel
from kernelgate.worker.watch.audit_events import outside_help
from kernelgate.worker.watch.data_flow import Witness

TENSORS = (torch.Tensor, nn.Parameter)
"""No subclass of a kernel file's own, which may lie about its shape."""

EARLIER_ANSWERS = 4
"""A file may hand out two or three pieces of memory in turn."""


class Site(Protocol):
    """Where a model is called: its memory, and who watches it."""

    def dress(self, model: nn.Module) -> None:
        """Put the model's parameters on the site's GPU."""

    def make_x(self, request: protocol.RunOne) -> torch.Tensor:
        """Return x of the request, in its layout, in memory of its own."""

    def refill_x(self, request: protocol.RunOne, x: torch.Tensor) -> None:
        """Write the x of the request into memory that a former request was given."""

    def watching(self, request: protocol.RunOne, x: torch.Tensor) -> AbstractContextManager[Witness]:
        """Return the context in which the model is called on x."""

    def finish(self) -> None:
        """Wait until everything that the call began has ended; raises what went wrong on the GPU."""

    def launches(self, answer: torch.Tensor | None) -> tuple[protocol.SeenLaunch, ...]:
        """Return the launches of the last call."""

    def memory_found(self) -> tuple[str, ...]:
        """Return the accesses outside the tensors of the last call."""

    def x_intact(self, request: protocol.RunOne, x: torch.Tensor) -> bool:
        """Return whether x still holds what was put there."""

    def watch_answer(self, answer: torch.Tensor) -> Callable[[], bool]:
        """Return what tells, after a later call, whether the answer is still the same."""

    def read(
        self, answer: torch.Tensor, images: tuple[int, ...]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64] | None]:
        """Return values of the answer and their flat offsets; None for all that was asked for, in order."""


class ModelCalls:
    """The models of one kernel file, and the calls made of them."""

    def __init__(self, operation: Convolution, kernel: KernelModel, site: Site) -> None:
        self.operation, self.kernel, self.site = operation, kernel, site
        self.models = [kernel.model]
        self.x: torch.Tensor | None = None
        self.answer: torch.Tensor | None = None
        self.earlier: deque[Callable[[], bool]] = deque(maxlen=EARLIER_ANSWERS)
        site.dress(kernel.model)

    def run(self, request: protocol.RunOne) -> protocol.Ran:
        """Return what forward returned and how; its answer is kept until it is sent."""
        model = self._model(request.model)
        weight, bias = make_parameters(self.operation, request.recipe)
        if request.same_storage and self.x is not None:
            self.site.refill_x(request, self.x)
        else:
            self.x = self.answer = None  # given back before the next is made: two of the largest do not fit
            self.x = self.site.make_x(request)
        with self._parameters(model, weight, bias if request.recipe.bias else None, request.layout):
            watching = self.site.watching(request, self.x)
            with watching as witness, self.kernel.pinned(request.pin), torch.no_grad():
                answer = model(self.x)
            self.site.finish()
            intact = self.site.x_intact(request, self.x) and _hold(model, weight, bias)
        return self._describe(answer, witness, intact)

    def send(self, request: protocol.SendRun) -> protocol.Sent:
        """Write the answer that was kept."""
        assert self.answer is not None
        values, places = self.site.read(self.answer, request.images)
        values.tofile(Path(request.out))
        if places is not None:
            places.tofile(Path(request.places))
        return protocol.Sent(count=len(values), whole=places is None)

    def _describe(self, answer: object, witness: Witness, intact: bool) -> protocol.Ran:
        if type(answer) not in TENSORS:
            return protocol.Ran(returned=type(answer).__name__, launches=self.site.launches(None))
        assert isinstance(answer, torch.Tensor)
        witness.check_answer(answer)
        intact_so_far = all(is_intact() for is_intact in self.earlier)
        self.answer = answer
        self.earlier.append(self.site.watch_answer(answer))
        return protocol.Ran(
            returned="Tensor",
            shape=tuple(answer.shape),
            dtype=str(answer.dtype),
            device=str(answer.device),
            contiguous=answer.is_contiguous(),
            launches=self.site.launches(answer),
            inputs_intact=intact,
            earlier_intact=intact_so_far,
            memory=self.site.memory_found(),
            delegated=(*witness.found, *outside_help()),
        )

    def _model(self, index: int) -> nn.Module:
        if index == len(self.models):
            self.models.append(self.kernel.make_model())
            self.site.dress(self.models[-1])
        return self.models[index]

    @contextmanager
    def _parameters(
        self, model: nn.Module, weight: torch.Tensor, bias: torch.Tensor | None, layout: str
    ) -> Iterator[None]:
        """Copy into conv1's own storage: a cache of the old contents that survives this is a fault."""
        conv1: nn.Module = model.conv1  # type: ignore[assignment]
        held, kept = conv1.get_parameter("weight"), conv1.get_parameter("bias")
        with torch.no_grad():
            for parameter, values in ((held, weight), (kept, kept if bias is None else bias)):
                # What has not changed is left alone: its version must not tell more than its contents.
                if not same_bits(parameter.detach(), values.detach()):
                    parameter.copy_(values)
        plain = held.data
        try:
            if layout == "channels-last":
                held.data = held.data.contiguous(memory_format=torch.channels_last)
            if bias is None:
                conv1.register_parameter("bias", None)
            yield
        finally:
            held.data = plain
            conv1.bias = kept


def _hold(model: nn.Module, weight: torch.Tensor, bias: torch.Tensor) -> bool:
    conv1: nn.Module = model.conv1  # type: ignore[assignment]
    held = dict(conv1.named_parameters())
    pairs = [(held["weight"], weight)] + ([(held["bias"], bias)] if "bias" in held else [])
    return all(same_bits(parameter.detach(), values) for parameter, values in pairs)


def same_bits(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Return whether two float32 tensors agree bit for bit, NaN included, wherever they lie."""
    return np.array_equal(_bits(first), _bits(second))


def _bits(tensor: torch.Tensor) -> NDArray[np.uint32]:
    plain = tensor.as_subclass(torch.Tensor)
    return plain.cpu().contiguous().numpy().view(np.uint32)
