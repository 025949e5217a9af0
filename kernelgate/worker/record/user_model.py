"""A model of the kernel file as a user holds it: made, changed between calls, and called."""

import itertools

import torch
from torch import nn

from kernelgate.execution.contents import Held, hold_all
from kernelgate.execution.launch_plan import CallForm
from kernelgate.operations.declaration.argument import Argument
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.tensors import dtype_of
from kernelgate.worker.fake_cuda.tensors import CudaLookalike, PretendedGpu, dress_model
from kernelgate.worker.model.kernel_model import KernelModel
from kernelgate.worker.tensors.layouts import CONTIGUOUS, lay_out, lay_out_weight

_CONTENTS = itertools.count()


def name_fresh_contents() -> Held:
    """Return contents that nothing has held before."""
    return hold_all(f"contents {next(_CONTENTS)}")


class UserModel:
    """A fresh model for a form of the call; `held` is what each parameter of the operation holds."""

    def __init__(self, kernel: KernelModel, form: CallForm) -> None:
        self.form = form
        with PretendedGpu():
            self.model = kernel.make_model(form.classes)
        self.model.train(form.training)
        if form.within == "hook":
            self.model.register_forward_hook(lambda _model, _given, answer: answer)
        dress_model(self.model)
        self._parameters = kernel.make_model.parameters_of(self.model)
        self.given = {name: self._parameters[name] for name in self._parameters.held}
        for parameter in self.given.values():
            parameter.data = lay_out_weight(parameter.data, form.layout)
        for name in form.absent:
            self._parameters.put(name, None)
        self.held = {name: name_fresh_contents() for name in self.given}

    @property
    def others(self) -> list[nn.Parameter]:
        """Every parameter but those of the operation."""
        given = {id(each) for each in self.given.values()}
        return [each for each in self.model.parameters() if id(each) not in given]

    def change(self, name: str, way: str) -> None:
        """Give a parameter other contents: in place, in new memory (`data`), or make it a new `parameter`."""
        self.held[name] = name_fresh_contents()
        parameter = self.given[name]
        fresh = parameter.detach().clone(memory_format=torch.preserve_format)
        with torch.no_grad():
            if way == "data":
                parameter.data = fresh
            elif way == "parameter":
                self.given[name] = nn.Parameter(fresh)
                self._parameters.put(name, self.given[name])
            else:
                parameter.copy_(fresh)


def make_input(operation: Operation, argument: Argument, batch: int, layout: str) -> torch.Tensor:
    """Return an input in memory that nothing touches; one that has N lies in the layout."""
    plain = torch.empty(argument.shape_at(batch), dtype=dtype_of(operation), device="meta")
    like = lay_out(plain, layout if argument.is_free else CONTIGUOUS)
    memory = torch.empty(like.untyped_storage().nbytes() // like.element_size(), dtype=like.dtype)
    return memory.as_strided(like.shape, like.stride(), like.storage_offset()).as_subclass(CudaLookalike)
