"""CPU tensors that a kernel file takes for CUDA tensors, so that its wrapper runs where there is no GPU."""

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

CUDA = torch.device("cuda", 0)


class CudaLookalike(torch.Tensor):
    """A CPU tensor that says it is on cuda:0; operations on it give the same."""

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        """True, which is the point of it."""
        return True

    @property
    def is_cpu(self) -> bool:  # type: ignore[override]
        """False: no tensor is in two places."""
        return False

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


HOST_READS: set[Any] = {torch.Tensor.cpu, torch.Tensor.tolist}
REFUSED: set[Any] = {torch.Tensor.numpy, torch.Tensor.__array__}


class PretendedGpu(TorchFunctionMode):
    """Within it, what is asked for on CUDA is made on the CPU, and looks as asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.on_host_read: Callable[[torch.Tensor], None] = lambda _: None

    def __torch_function__(
        self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the function on the CPU."""
        kwargs = dict(kwargs or {})
        if isinstance(kwargs.get("device"), int):
            kwargs["device"] = CUDA  # the number of a GPU
        if func is torch.Tensor.cuda:
            return args[0].as_subclass(CudaLookalike)
        self._note_host_reads(func, args, kwargs)
        if func is torch.Tensor.cpu:
            return plain(args[0])
        on_cpu_args = tuple(map(_on_cpu, args))
        on_cpu_kwargs = {key: _on_cpu(value) for key, value in kwargs.items()}
        result = func(*on_cpu_args, **on_cpu_kwargs)
        moved = any(map(_names_cuda, (*args, *kwargs.values())))
        # PyTorch itself does it for what tensors of the GPU make, but within an operator of the file's own.
        moved = moved or any(isinstance(each, CudaLookalike) for each in args)
        if moved and type(result) is torch.Tensor:
            result = result.as_subclass(CudaLookalike)
        return result

    def _note_host_reads(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not (args and isinstance(args[0], CudaLookalike)):
            return
        if func in REFUSED:
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        named = map(str, (*args[1:], *kwargs.values()))
        if func in HOST_READS or (func is torch.Tensor.to and "cpu" in named):
            self.on_host_read(args[0])


def _names_cuda(value: Any) -> bool:
    return isinstance(value, torch.device | str) and str(value).startswith("cuda")


def _on_cpu(value: Any) -> Any:
    return torch.device("cpu") if _names_cuda(value) else value


def dress_model(model: torch.nn.Module) -> None:
    """Put every parameter and buffer of the model behind the pretence, as `model.cuda()` would."""
    dressed: dict[torch.nn.Parameter, torch.nn.Parameter] = {}
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            if parameter not in dressed:  # one that has two names stays one
                moved = parameter.detach().as_subclass(CudaLookalike)
                dressed[parameter] = torch.nn.Parameter(moved, requires_grad=parameter.requires_grad)
            setattr(module, name, dressed[parameter])
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, buffer.as_subclass(CudaLookalike))
