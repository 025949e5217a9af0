"""A problem's truth: its Model, called with the tensors of a case as parameters and inputs."""

import copy
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from kernelgate.operations.declaration.argument import Argument
from kernelgate.operations.declaration.error_model import FLOAT32_UNIT, Measured
from kernelgate.operations.problem.module import ProblemModule
from kernelgate.operations.problem.problem import Problem, ProblemError
from kernelgate.operations.truth.function import FunctionReference

OF_PROBLEMS = Measured(absolute=2 * FLOAT32_UNIT)
"""Usual float32 formulas of activations and losses add and subtract 1."""


class ProblemModel:
    """`Model` as a function of tensors by name; the file is imported when it is called first.

    Buffers keep what the file's own `__init__` gives them: a call gets copies, and leaves nothing behind.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._models: dict[tuple[str, torch.dtype], nn.Module] = {}

    def __call__(self, **tensors: Tensor) -> Tensor:
        """Return the answer, of the tensors' type and on their device."""
        first = next(iter(tensors.values()))
        given = {each.stored_as or each.name: tensors[each.name] for each in self.problem.parameters}
        model = self._model(first.device, first.dtype)
        answer = call_model(model, given, [tensors[each.name] for each in self.problem.inputs])
        assert isinstance(answer, Tensor)
        return answer

    @cached_property
    def _module(self) -> ProblemModule:
        if not self.problem.file:
            raise ProblemError("raises", "this process runs a candidate, and imports no problem file")
        module = ProblemModule(Path(self.problem.file))
        if module.sha256 != self.problem.sha256:
            raise ProblemError("raises", f"{self.problem.file} has changed while it was judged by")
        return module

    def _model(self, device: torch.device, dtype: torch.dtype) -> nn.Module:
        key = str(device), dtype
        if key not in self._models:
            self._models[key] = self._module.make_model().to(device=device, dtype=dtype)
        return self._models[key]


def call_model(model: nn.Module, parameters: dict[str, Tensor], inputs: list[Tensor]) -> object:
    """Return what the model answers with these parameters, in copies of its buffers."""
    buffers = {name: copy.deepcopy(buffer) for name, buffer in model.named_buffers()}
    with torch.no_grad():
        return torch.func.functional_call(model, parameters | buffers, tuple(inputs))


def make_reference(problem: Problem) -> FunctionReference:
    """Return the reference; items along N are computed in parts where they were found independent."""
    model = ProblemModel(problem)
    return FunctionReference(model, "", rows=problem.rows, math=problem.math, error_model=OF_PROBLEMS)


def find_parameters(model: nn.Module) -> tuple[Argument, ...]:
    """Return the parameters of a model, by their names in `state_dict`."""
    named = model.named_parameters()
    return tuple(Argument(name, tuple(parameter.shape)) for name, parameter in named)
