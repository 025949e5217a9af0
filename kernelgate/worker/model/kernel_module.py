"""A kernel file imported as a script beside it would import it, and the models that users make of it."""

import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from kernelgate.operations.declaration.operation import Operation
from kernelgate.worker.model.parameters import ModelParameters


class ModelMaker:
    """Makes models of one kernel file, and finds the operation's parameters in them."""

    def __init__(self, operation: Operation, module: Any) -> None:
        self.operation, self._module = operation, module

    def __call__(self, classes: int | None = None) -> nn.Module:
        """Return a fresh model, of so many classes if it takes a number of them."""
        kind, asked = self._module.ModelNew, self.operation.model_inputs
        # What a problem makes its models with decides their shapes: no other number of classes fits.
        named = {} if classes is None or asked else {"num_classes": classes}
        given = asked or _own_arguments(self._module)
        model: nn.Module = make_as_asked(kind, given, self.operation.model_arguments, named)
        return model

    def parameters_of(self, model: nn.Module) -> ModelParameters:
        """Return the operation's parameters in a model; raises UnmatchedParametersError."""
        return ModelParameters(model, self.operation.parameters)


def make_as_asked(
    kind: Callable[..., Any], given: tuple[Any, ...], offered: Mapping[str, int], named: Mapping[str, int]
) -> Any:
    """Return `kind` called with what its signature takes.

    That is what the file itself gives (`given`), `offered` where an argument is still required, and `named`
    in any case.
    """
    signature = inspect.signature(kind)
    try:
        bound = signature.bind_partial(*given)
    except TypeError:  # get_init_inputs is of another class, such as the reference beside it
        bound = signature.bind_partial()
    takes = signature.parameters
    required = {name for name, each in takes.items() if each.default is each.empty}
    for name, value in {**offered, **named}.items():
        if name in takes and (name in named or (name in required and name not in bound.arguments)):
            bound.arguments[name] = value
    bound.arguments = {name: bound.arguments[name] for name in takes if name in bound.arguments}
    return kind(*bound.args, **bound.kwargs)


def import_file(path: str) -> Any:
    """Return the module that a file makes, under its own stem, but in the place of no other module."""
    stem = Path(path).stem
    name = f"{stem}_" if stem in sys.modules else stem
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


def _own_arguments(module: Any) -> tuple[Any, ...]:
    """Return what the file says that its models are made with; nothing where it says nothing."""
    says = getattr(module, "get_init_inputs", None)
    given = says() if callable(says) else ()
    return tuple(given) if isinstance(given, list | tuple) else ()
