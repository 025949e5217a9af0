"""CPU tensors that a kernel file takes for CUDA tensors, so that its wrapper runs where there is no GPU."""

from types import SimpleNamespace
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from kernelgate.child.poison import EMPTIES, fill_with_bits

CUDA = torch.device("cuda", 0)


class CudaLookalike(torch.Tensor):
    """A CPU tensor that says it is on cuda:0; operations on it give the same."""

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        """True, which is the point of it."""
        return True

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """cuda:0, so that `torch.empty(..., device=x.device)` asks for the same pretence."""
        return CUDA

    def get_device(self) -> int:
        """Return the index of the pretended GPU."""
        return 0


def plain(tensor: torch.Tensor) -> torch.Tensor:
    """Return the CPU tensor behind the pretence."""
    return tensor.as_subclass(torch.Tensor)


class PretendedGpu(TorchFunctionMode):
    """Within it, what is asked for on CUDA is made on the CPU, and looks as asked for.

    Uninitialised memory is filled with `poison_bits`, unless they are None.
    """

    def __init__(self, poison_bits: int | None) -> None:
        super().__init__()
        self.poison_bits = poison_bits

    def __torch_function__(
        self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the function on the CPU."""
        if func is torch.Tensor.cuda:
            return args[0].as_subclass(CudaLookalike)
        if func is torch.Tensor.cpu:
            return plain(args[0])
        on_cpu_args = tuple(map(_on_cpu, args))
        on_cpu_kwargs = {key: _on_cpu(value) for key, value in (kwargs or {}).items()}
        result = func(*on_cpu_args, **on_cpu_kwargs)
        moved = any(map(_names_cuda, (*args, *(kwargs or {}).values())))
        if moved and type(result) is torch.Tensor:
            result = result.as_subclass(CudaLookalike)
        if func in EMPTIES and self.poison_bits is not None:
            fill_with_bits(plain(result), self.poison_bits)
        return result


def _names_cuda(value: Any) -> bool:
    return isinstance(value, torch.device | str) and str(value).startswith("cuda")


def _on_cpu(value: Any) -> Any:
    return torch.device("cpu") if _names_cuda(value) else value


def dress_model(model: torch.nn.Module) -> None:
    """Put every parameter and buffer of the model behind the pretence, as `model.cuda()` would."""
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            dressed = parameter.detach().as_subclass(CudaLookalike)
            setattr(module, name, torch.nn.Parameter(dressed, requires_grad=parameter.requires_grad))
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, buffer.as_subclass(CudaLookalike))


def pretend_cuda(properties: SimpleNamespace) -> None:
    """Make torch.cuda answer as a machine with one such GPU would; nothing is ever launched through it."""
    cuda: Any = torch.cuda
    cuda.is_available = lambda: True
    cuda.device_count = lambda: 1
    cuda.current_device = lambda: 0
    cuda.synchronize = lambda *_: None
    cuda.get_device_capability = lambda *_: (properties.major, properties.minor)
    cuda.get_device_name = lambda *_: properties.name
    cuda.get_device_properties = lambda *_: properties
