"""What is done to call a model, whose parameters are set, in each of the ways of users."""

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import torch
from torch import nn

from kernelgate.operations.ways import Way

MakeModel = Callable[..., nn.Module]
Use = Callable[[nn.Module, MakeModel, torch.Tensor], object]

MANY_CALLS = 1000
OTHER_CLASSES = 10


def _plainly(model: nn.Module, _make: MakeModel, x: torch.Tensor) -> object:
    with torch.no_grad():
        return model(x)


def _in_eval_mode(model: nn.Module, make: MakeModel, x: torch.Tensor) -> object:
    return _plainly(model.eval(), make, x)


def _with_gradients(model: nn.Module, _make: MakeModel, x: torch.Tensor) -> object:
    answer = model(x)
    return answer.detach() if isinstance(answer, torch.Tensor) else answer


def _in_inference_mode(model: nn.Module, _make: MakeModel, x: torch.Tensor) -> object:
    with torch.inference_mode():
        return model(x)


def _under_autocast(model: nn.Module, make: MakeModel, x: torch.Tensor) -> object:
    with torch.autocast("cuda"):
        return _plainly(model, make, x)


def _on_another_stream(model: nn.Module, make: MakeModel, x: torch.Tensor) -> object:
    own, other = torch.cuda.current_stream(), torch.cuda.Stream()
    other.wait_stream(own)
    with torch.cuda.stream(other):
        answer = _plainly(model, make, x)
    own.wait_stream(other)
    return answer


def _in_another_thread(model: nn.Module, make: MakeModel, x: torch.Tensor) -> object:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_plainly, model, make, x).result()


def _copied(model: nn.Module, make: MakeModel, x: torch.Tensor) -> object:
    return _plainly(copy.deepcopy(model), make, x)


def _within_another(model: nn.Module, make: MakeModel, x: torch.Tensor) -> object:
    return _plainly(nn.Sequential(model, nn.Identity()), make, x)


def _moved_back_and_forth(model: nn.Module, make: MakeModel, x: torch.Tensor) -> object:
    return _plainly(model.cpu().to(x.device), make, x)


def _from_state_dict(model: nn.Module, make: MakeModel, x: torch.Tensor) -> object:
    fresh = make().to(x.device)
    _plainly(fresh, make, x)  # on the parameters that it was made with
    fresh.load_state_dict(model.state_dict())
    return _plainly(fresh, make, x)


def _with_other_classes(model: nn.Module, make: MakeModel, x: torch.Tensor) -> object:
    fresh = make()
    with suppress(TypeError):  # one that takes no number of classes is made without
        fresh = make(num_classes=OTHER_CLASSES)
    fresh.to(x.device)
    fresh.conv1.load_state_dict(model.conv1.state_dict())  # type: ignore[union-attr]
    return _plainly(fresh, make, x)


def _after_parameters_changed_in_place(model: nn.Module, make: MakeModel, x: torch.Tensor) -> object:
    kept = [parameter.detach().clone() for parameter in _parameters(model)]
    with torch.no_grad():
        for parameter in _parameters(model):
            parameter.mul_(-0.5)
        model(x)
        for parameter, values in zip(_parameters(model), kept, strict=True):
            parameter.copy_(values)
    return _plainly(model, make, x)


def _after_parameters_were_replaced(model: nn.Module, make: MakeModel, x: torch.Tensor) -> object:
    conv1: nn.Module = model.conv1  # type: ignore[assignment]
    kept = dict(conv1.named_parameters())
    for name, parameter in kept.items():
        setattr(conv1, name, nn.Parameter(-0.5 * parameter.detach()))
    _plainly(model, make, x)
    for name, parameter in kept.items():
        setattr(conv1, name, nn.Parameter(parameter.detach().clone()))
    return _plainly(model, make, x)


def _many_times(model: nn.Module, make: MakeModel, x: torch.Tensor) -> object:
    for _ in range(MANY_CALLS - 1):
        _plainly(model, make, x)
    return _plainly(model, make, x)


def _parameters(model: nn.Module) -> list[nn.Parameter]:
    return list(model.conv1.parameters())  # type: ignore[union-attr]


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
    Way.MOVED: _moved_back_and_forth,
    Way.STATE_DICT: _from_state_dict,
    Way.CLASSES: _with_other_classes,
    Way.IN_PLACE: _after_parameters_changed_in_place,
    Way.REPLACED: _after_parameters_were_replaced,
    Way.MANY: _many_times,
}
