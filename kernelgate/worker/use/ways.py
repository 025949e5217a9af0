"""What is done to call a model, whose parameters are set, in each of the ways of users."""

import copy
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import torch
from torch import nn

from kernelgate.operations.declaration.ways import Way
from kernelgate.worker.model.kernel_module import ModelMaker
from kernelgate.worker.model.parameters import ModelParameters

MANY_CALLS = 1000
OTHER_CLASSES = 10


class Called(NamedTuple):
    """A model, the operation's parameters in it, and what makes others of the same file."""

    model: nn.Module
    parameters: ModelParameters
    make: ModelMaker


Inputs = Sequence[torch.Tensor]
"""The arguments of `forward`."""

Use = Callable[[Called, Inputs], object]


class _Outer(nn.Module):
    """A module of a user that has the model within."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: torch.Tensor) -> object:
        """Return what the model does."""
        return self.model(*inputs)


def _call(model: nn.Module, inputs: Inputs) -> object:
    with torch.no_grad():
        return model(*inputs)


def _plainly(called: Called, inputs: Inputs) -> object:
    return _call(called.model, inputs)


def _in_eval_mode(called: Called, inputs: Inputs) -> object:
    return _call(called.model.eval(), inputs)


def _with_gradients(called: Called, inputs: Inputs) -> object:
    answer = called.model(*inputs)
    return answer.detach() if isinstance(answer, torch.Tensor) else answer


def _in_inference_mode(called: Called, inputs: Inputs) -> object:
    with torch.inference_mode():
        return called.model(*inputs)


def _under_autocast(called: Called, inputs: Inputs) -> object:
    with torch.autocast("cuda"):
        return _call(called.model, inputs)


def _on_another_stream(called: Called, inputs: Inputs) -> object:
    own, other = torch.cuda.current_stream(), torch.cuda.Stream()
    other.wait_stream(own)
    with torch.cuda.stream(other):
        answer = _call(called.model, inputs)
    own.wait_stream(other)
    return answer


def _in_another_thread(called: Called, inputs: Inputs) -> object:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_call, called.model, inputs).result()


def _copied(called: Called, inputs: Inputs) -> object:
    return _call(copy.deepcopy(called.model), inputs)


def _within_another(called: Called, inputs: Inputs) -> object:
    return _call(_Outer(called.model), inputs)


def _with_a_hook(called: Called, inputs: Inputs) -> object:
    hook = called.model.register_forward_hook(lambda _model, _given, answer: answer)
    try:
        return _call(called.model, inputs)
    finally:
        hook.remove()


def _moved_back_and_forth(called: Called, inputs: Inputs) -> object:
    return _call(called.model.cpu().to(inputs[0].device), inputs)


def _from_state_dict(called: Called, inputs: Inputs) -> object:
    fresh = called.make().to(inputs[0].device)
    _call(fresh, inputs)  # on the parameters that it was made with
    fresh.load_state_dict(called.model.state_dict())
    return _call(fresh, inputs)


def _with_other_classes(called: Called, inputs: Inputs) -> object:
    fresh = called.make(OTHER_CLASSES).to(inputs[0].device)
    parameters = called.make.parameters_of(fresh)
    with torch.no_grad():
        for name in _names(called):
            parameters[name].copy_(called.parameters[name])
    return _call(fresh, inputs)


def _after_parameters_changed_in_place(called: Called, inputs: Inputs) -> object:
    changed = [called.parameters[name] for name in _names(called)]
    kept = [parameter.detach().clone() for parameter in changed]
    with torch.no_grad():
        for parameter in changed:
            parameter.mul_(-0.5)
        called.model(*inputs)
        for parameter, values in zip(changed, kept, strict=True):
            parameter.copy_(values)
    return _call(called.model, inputs)


def _after_parameters_were_replaced(called: Called, inputs: Inputs) -> object:
    kept = {name: called.parameters[name] for name in _names(called)}
    for name, parameter in kept.items():
        called.parameters.put(name, nn.Parameter(-0.5 * parameter.detach()))
    _call(called.model, inputs)
    for name, parameter in kept.items():
        called.parameters.put(name, nn.Parameter(parameter.detach().clone()))
    return _call(called.model, inputs)


def _many_times(called: Called, inputs: Inputs) -> object:
    """Return the last answer, or the first that is another than the one before it."""
    before = _call(called.model, inputs)
    for _ in range(MANY_CALLS - 1):
        answer = _call(called.model, inputs)
        if not _are_same(answer, before):
            return answer
        before = answer
    return before


def _are_same(one: object, other: object) -> bool:
    if not isinstance(one, torch.Tensor) or not isinstance(other, torch.Tensor):
        return False
    return one.dtype == other.dtype and torch.equal(_bits(one), _bits(other))


def _bits(answer: torch.Tensor) -> torch.Tensor:
    return answer.contiguous().reshape(-1).view(torch.uint8)


def _names(called: Called) -> list[str]:
    return [name for name, parameter in called.parameters.held.items() if parameter is not None]


WAYS: dict[Way, Use] = {
    Way.PLAINLY: _plainly,
    Way.EVAL: _in_eval_mode,
    Way.GRADIENTS: _with_gradients,
    Way.INFERENCE: _in_inference_mode,
    Way.AUTOCAST: _under_autocast,
    Way.STREAM: _on_another_stream,
    Way.THREAD: _in_another_thread,
    Way.COPY: _copied,
    Way.WITHIN: _within_another,
    Way.HOOKED: _with_a_hook,
    Way.MOVED: _moved_back_and_forth,
    Way.STATE_DICT: _from_state_dict,
    Way.CLASSES: _with_other_classes,
    Way.IN_PLACE: _after_parameters_changed_in_place,
    Way.REPLACED: _after_parameters_were_replaced,
    Way.MANY: _many_times,
}
