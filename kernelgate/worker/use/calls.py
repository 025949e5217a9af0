"""Calls of the models of one kernel file, as the judge asks: what came back, and what else changed."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from kernelgate import protocol
from kernelgate.operations.convolution import Convolution
from kernelgate.operations.inputs import draw_images, make_parameters, make_x
from kernelgate.worker.model.kernel_module import ModelMaker
from kernelgate.worker.model.parameters import ModelParameters
from kernelgate.worker.tensors.answers import write_images
from kernelgate.worker.tensors.layouts import lay_out, lay_out_weight, overwrite
from kernelgate.worker.use.ways import WAYS, Called

TENSORS = (torch.Tensor, nn.Parameter)
"""No subclass of a kernel file's own, which may lie about its shape."""

EARLIER_ANSWERS = 4
"""A file may hand out two or three pieces of memory in turn."""

MAX_WATCHED_BYTES = 2**29
DEVICE = "cuda"


class ModelCalls:
    """The models of one kernel file on the GPU, and the last answer, kept until it is sent."""

    def __init__(self, operation: Convolution, module: Any) -> None:
        self.operation, self.make_model = operation, ModelMaker(operation, module)
        self.models: list[tuple[nn.Module, ModelParameters]] = []
        self.x: torch.Tensor | None = None
        self.answer: torch.Tensor | None = None
        self.earlier: deque[Callable[[], bool]] = deque(maxlen=EARLIER_ANSWERS)

    def run(self, request: protocol.UseOne) -> protocol.Ran:
        """Return what forward returned, called in the way that is asked for."""
        model, parameters = self._model(request.model)
        x = self._place_x(request)
        weight, bias = make_parameters(self.operation, request.recipe)
        given = weight, bias if request.recipe.bias else None
        with _holding(parameters, *given, request.layout):
            answer = WAYS[request.way](Called(model, parameters, self.make_model), x)
            torch.cuda.synchronize()
            intact = self._x_is_intact(request, x) and _hold(parameters, *given)
        return self._describe(answer, intact=intact)

    def call_on_noise(self, batch: int) -> None:
        """Call a model that holds what it was made with, as a script does."""
        model, _ = self._model(0)
        with torch.no_grad():
            model(torch.randn(self.operation.input_shape(batch), device=DEVICE))
        torch.cuda.synchronize()

    def send(self, request: protocol.SendRun) -> protocol.Sent:
        """Write images of the answer that was kept, all of them if none is named."""
        assert self.answer is not None
        return write_images(self.answer, request.images, request.out)

    def _model(self, index: int) -> tuple[nn.Module, ModelParameters]:
        while index >= len(self.models):
            model = self.make_model().to(DEVICE)
            self.models.append((model, self.make_model.parameters_of(model)))
        return self.models[index]

    def _place_x(self, request: protocol.UseOne) -> torch.Tensor:
        if request.same_storage and self.x is not None:
            overwrite(self.x, make_x(self.operation, request.recipe, DEVICE))
            return self.x
        self.x = self.answer = None  # given back before the next is made: two of the largest do not fit
        self.x = lay_out(make_x(self.operation, request.recipe, DEVICE), request.layout)
        return self.x

    def _describe(self, answer: object, *, intact: bool) -> protocol.Ran:
        if type(answer) not in TENSORS:
            return protocol.Ran(returned=type(answer).__name__)
        assert isinstance(answer, torch.Tensor)
        intact_so_far = all(is_intact() for is_intact in self.earlier)
        self.answer = answer.detach()
        self.earlier.append(_watch(self.answer))
        return protocol.Ran(
            returned="Tensor",
            shape=tuple(answer.shape),
            dtype=str(answer.dtype),
            device=str(answer.device),
            contiguous=answer.is_contiguous(),
            inputs_intact=intact,
            earlier_intact=intact_so_far,
        )

    def _x_is_intact(self, request: protocol.UseOne, x: torch.Tensor) -> bool:
        drawn, places = draw_images(self.operation, request.recipe, DEVICE)
        return torch.equal(_bits(x), _bits(drawn[places]))


@contextmanager
def _holding(
    parameters: ModelParameters, weight: torch.Tensor, bias: torch.Tensor | None, layout: str
) -> Iterator[None]:
    """Copy into the model's own storage: a cache of the old contents that survives this is a fault."""
    held, kept = parameters["weight"], parameters["bias"]
    with torch.no_grad():
        for parameter, values in ((held, weight), (kept, kept if bias is None else bias)):
            # What has not changed is left alone: its version must not tell more than its contents.
            if not torch.equal(_bits(parameter), _bits(values.to(DEVICE))):
                parameter.copy_(values)
    plain = held.data
    try:
        held.data = lay_out_weight(held.data, layout)
        if bias is None:
            parameters.put("bias", None)
        yield
    finally:
        held.data = plain
        parameters.put("weight", held)
        parameters.put("bias", kept)


def _watch(answer: torch.Tensor) -> Callable[[], bool]:
    """Return what tells, after a later call, whether the answer is still the same."""
    if answer.nbytes > MAX_WATCHED_BYTES or answer.dtype != torch.float32:
        return lambda: True
    kept = _bits(answer).clone()
    return lambda: torch.equal(_bits(answer), kept)


def _hold(parameters: ModelParameters, weight: torch.Tensor, bias: torch.Tensor | None) -> bool:
    """Return whether the model's parameters are still those that were set."""
    given = {"weight": weight} | ({} if bias is None else {"bias": bias})
    return parameters.are_in_place() and all(
        torch.equal(_bits(parameters[role]), _bits(values.to(DEVICE))) for role, values in given.items()
    )


def _bits(values: torch.Tensor) -> torch.Tensor:
    return values.detach().contiguous().view(torch.int32)
