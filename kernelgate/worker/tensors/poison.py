"""What fills memory that a kernel file asks for uninitialised: bits that no answer holds."""

import torch


def fill_with_bits(tensor: torch.Tensor, bits: int) -> None:
    """Fill a tensor, float32 with the bits, and any other type with what is as implausible there."""
    if tensor.dtype == torch.float32:
        tensor.view(torch.int32).fill_(bits - 2**32 if bits >= 2**31 else bits)
    elif tensor.dtype.is_floating_point:
        tensor.fill_(float("nan"))
    elif tensor.dtype != torch.bool:
        tensor.fill_(bits & 1)
