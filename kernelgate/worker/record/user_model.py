"""A model of the kernel file as a user holds it: made, changed between calls, and called."""

import itertools

import torch
from torch import nn

from kernelgate.execution.contents import Held, hold_all
from kernelgate.execution.launch_plan import CallForm
from kernelgate.worker.fake_cuda.tensors import CudaLookalike, PretendedGpu, dress_model
from kernelgate.worker.model.kernel_model import KernelModel
from kernelgate.worker.tensors.layouts import lay_out, lay_out_weight

_CONTENTS = itertools.count()


def name_fresh_contents() -> Held:
    """Return contents that nothing has held before."""
    return hold_all(f"contents {next(_CONTENTS)}")


class UserModel:
    """A fresh model for a form of the call; `held` is what its weight and its bias hold."""

    def __init__(self, kernel: KernelModel, form: CallForm) -> None:
        self.form = form
        with PretendedGpu():
            self.model = kernel.make_model(form.classes)
        self.model.train(form.training)
        if form.within == "hook":
            self.model.register_forward_hook(lambda _model, _given, answer: answer)
        dress_model(self.model)
        self._parameters = kernel.make_model.parameters_of(self.model)
        self.bias = self._parameters["bias"]
        self.weight.data = lay_out_weight(self.weight.data, form.layout)
        if not form.bias:
            self._parameters.put("bias", None)
        self.held = {"weight": name_fresh_contents(), "bias": name_fresh_contents()}

    @property
    def weight(self) -> nn.Parameter:
        """The filters, as they are now."""
        return self._parameters["weight"]

    @property
    def others(self) -> list[nn.Parameter]:
        """Every parameter but filters and bias."""
        return [each for each in self.model.parameters() if each is not self.weight and each is not self.bias]

    def change(self, name: str, way: str) -> None:
        """Give a parameter other contents: in place, in new memory (`data`), or make it a new `parameter`."""
        self.held[name] = name_fresh_contents()
        parameter = getattr(self, name)
        fresh = parameter.detach().clone(memory_format=torch.preserve_format)
        with torch.no_grad():
            if way == "data":
                parameter.data = fresh
            elif way == "parameter":
                self._replace(name, nn.Parameter(fresh))
            else:
                parameter.copy_(fresh)

    def _replace(self, name: str, parameter: nn.Parameter) -> None:
        self._parameters.put(name, parameter)
        if name == "bias":
            self.bias = parameter


def make_x(shape: tuple[int, ...], layout: str) -> torch.Tensor:
    """Return x of that shape and layout in memory that nothing touches."""
    like = lay_out(torch.empty(shape, device="meta"), layout)
    memory = torch.empty(like.untyped_storage().nbytes() // like.element_size())
    return memory.as_strided(like.shape, like.stride(), like.storage_offset()).as_subclass(CudaLookalike)
