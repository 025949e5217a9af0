"""The inputs of timed calls, made on the GPU from a seed: contestant and judge make the same bits."""

import torch
from torch import Tensor

from kernelgate.operations import Convolution

CONTENTS = 2


def make_timing_contents(operation: Convolution, batch: int, seed: int) -> list[Tensor]:
    """Return CONTENTS different inputs [batch, C_in, H, W], standard normal, on the current GPU."""
    generator = torch.Generator("cuda").manual_seed(seed)
    shape = operation.input_shape(batch)
    return [torch.randn(shape, generator=generator, device="cuda") for _ in range(CONTENTS)]


def make_timing_parameters(operation: Convolution, seed: int) -> tuple[Tensor, Tensor]:
    """Return weight [C_out, C_in, KH, KW] and bias [C_out], standard normal, on the current GPU."""
    generator = torch.Generator("cuda").manual_seed(seed + 1)
    weight = torch.randn(operation.weight_shape, generator=generator, device="cuda")
    return weight, torch.randn((operation.out_channels,), generator=generator, device="cuda")
