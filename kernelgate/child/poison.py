"""Memory that a kernel file asks for uninitialised, filled with a pattern that no answer holds."""

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

EMPTIES = {
    torch.empty,
    torch.empty_like,
    torch.empty_strided,
    torch.empty_permuted,
    torch.Tensor.new_empty,
    torch.Tensor.new_empty_strided,
}


def fill_with_bits(tensor: torch.Tensor, bits: int) -> None:
    """Fill a float32 tensor with one bit pattern, and any other with a byte of it."""
    if tensor.dtype == torch.float32:
        tensor.view(torch.int32).fill_(bits - 2**32 if bits >= 2**31 else bits)
    elif tensor.dtype.is_floating_point:
        tensor.fill_(float("nan"))
    else:
        tensor.fill_(bits & 1)


class PoisonedEmpties(TorchFunctionMode):
    """Within it, uninitialised tensors are poisoned: what a kernel leaves out shows."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits

    def __torch_function__(
        self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the function; poison what it left uninitialised."""
        result = func(*args, **(kwargs or {}))
        if func in EMPTIES:
            fill_with_bits(result, self.bits)
        return result
