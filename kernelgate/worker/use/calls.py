"""Calls of the models of one kernel file, as the judge asks: what came back, and what else changed."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from kernelgate import protocol
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.tensors import dtype_of, make_parameters, make_tensors
from kernelgate.worker.model.kernel_module import ModelMaker
from kernelgate.worker.model.parameters import ModelParameters
from kernelgate.worker.tensors.answers import write_items
from kernelgate.worker.tensors.layouts import CONTIGUOUS, lay_out, lay_out_weight, overwrite
from kernelgate.worker.use.ways import WAYS, Called

TENSORS = (torch.Tensor, nn.Parameter)
"""No subclass of a kernel file's own, which may lie about its shape."""

EARLIER_ANSWERS = 4
"""A file may hand out two or three pieces of memory in turn."""

MAX_WATCHED_BYTES = 2**29
DEVICE = "cuda"


class ModelCalls:
    """The models of one kernel file on the GPU, and the last answer, kept until it is sent."""

    def __init__(self, operation: Operation, module: Any) -> None:
        self.operation, self.make_model = operation, ModelMaker(operation, module)
        self.models: list[tuple[nn.Module, ModelParameters]] = []
        self.inputs: dict[str, torch.Tensor] = {}
        self.answer: torch.Tensor | None = None
        self.earlier: deque[Callable[[], bool]] = deque(maxlen=EARLIER_ANSWERS)

    def run(self, request: protocol.UseOne) -> protocol.Ran:
        """Return what forward returned, called in the way that is asked for."""
        model, parameters = self._model(request.model)
        inputs = self._place_inputs(request)
        fixed = make_parameters(self.operation, request.recipe)
        held = {each.name: fixed[each.name] for each in self.operation.parameters}
        with _holding(parameters, held, request.recipe.absent, request.layout):
            called = Called(model, parameters, self.make_model)
            answer = WAYS[request.way](called, list(inputs.values()))
            torch.cuda.synchronize()
            intact = self._inputs_are_intact(request, inputs) and _hold(parameters, held)
        return self._describe(answer, intact=intact)

    def call_on_noise(self, batch: int) -> None:
        """Call a model that holds what it was made with, as a script does."""
        (model, _), dtype = self._model(0), dtype_of(self.operation)
        with torch.no_grad():
            model(
                *(
                    torch.randn(each.shape_at(batch), dtype=dtype, device=DEVICE)
                    for each in self.operation.inputs
                )
            )
        torch.cuda.synchronize()

    def send(self, request: protocol.SendRun) -> protocol.Sent:
        """Write items of the answer that was kept, all of them if none is named."""
        assert self.answer is not None
        return write_items(self.answer, request.items, request.out)

    def _model(self, index: int) -> tuple[nn.Module, ModelParameters]:
        while index >= len(self.models):
            model = self.make_model().to(DEVICE)
            self.models.append((model, self.make_model.parameters_of(model)))
        return self.models[index]

    def _place_inputs(self, request: protocol.UseOne) -> dict[str, torch.Tensor]:
        if request.same_storage and self.inputs:
            for name, values in self._make_inputs(request).items():
                overwrite(self.inputs[name], values)
            return self.inputs
        self.inputs, self.answer = {}, None  # given back before the next are made: two large ones do not fit
        free = {each.name for each in self.operation.inputs if each.is_free}
        self.inputs = {
            name: lay_out(values, request.layout if name in free else CONTIGUOUS)
            for name, values in self._make_inputs(request).items()
        }
        return self.inputs

    def _make_inputs(self, request: protocol.UseOne) -> dict[str, torch.Tensor]:
        """Return the arguments of `forward`, in order."""
        made = make_tensors(self.operation, request.recipe, DEVICE)
        return {each.name: made[each.name] for each in self.operation.inputs}

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

    def _inputs_are_intact(self, request: protocol.UseOne, inputs: dict[str, torch.Tensor]) -> bool:
        fresh = self._make_inputs(request)
        return all(torch.equal(_bits(held), _bits(fresh[name])) for name, held in inputs.items())


@contextmanager
def _holding(
    parameters: ModelParameters, given: dict[str, torch.Tensor], absent: Sequence[str], layout: str
) -> Iterator[None]:
    """Copy into the model's own storage: a cache of the old contents that survives this is a fault."""
    held = {name: parameters[name] for name in given}
    with torch.no_grad():
        for name, parameter in held.items():
            values = parameter if name in absent else given[name]
            # What has not changed is left alone: its version must not tell more than its contents.
            if not torch.equal(_bits(parameter), _bits(values.to(DEVICE))):
                parameter.copy_(values)
    plain = {name: parameter.data for name, parameter in held.items()}
    try:
        for parameter in held.values():
            parameter.data = lay_out_weight(parameter.data, layout)
        for name in absent:
            parameters.put(name, None)
        yield
    finally:
        for name, parameter in held.items():
            parameter.data = plain[name]
            parameters.put(name, parameter)


def _watch(answer: torch.Tensor) -> Callable[[], bool]:
    """Return what tells, after a later call, whether the answer is still the same."""
    if answer.nbytes > MAX_WATCHED_BYTES:
        return lambda: True
    kept = _bits(answer).clone()
    return lambda: torch.equal(_bits(answer), kept)


def _hold(parameters: ModelParameters, given: dict[str, torch.Tensor]) -> bool:
    """Return whether the model's parameters are still those that were set; what is absent holds nothing."""
    return parameters.are_in_place() and all(
        torch.equal(_bits(parameters[name]), _bits(values.to(DEVICE)))
        for name, values in given.items()
        if parameters.held[name] is not None
    )


def _bits(values: torch.Tensor) -> torch.Tensor:
    return values.detach().contiguous().reshape(-1).view(torch.uint8)
