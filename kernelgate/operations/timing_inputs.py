"""The inputs of timed calls, made on the GPU from a seed: worker and judge make the same bits.

No call sees contents that a call before it has seen: an answer kept from one is wrong for the next.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kernelgate.operations.convolution import Convolution

MOST_DOUBLINGS = 40
"""Sums of products of values so large are far from float32's end, and beyond that of half precision."""


def fill_timing_input(x: Tensor, seed: int) -> Tensor:
    """Return x, filled on its GPU with normal values; their scale, a power of two, comes from the seed."""
    scale = 2.0 ** (seed % (MOST_DOUBLINGS + 1))
    return x.normal_(std=scale, generator=torch.Generator("cuda").manual_seed(seed))


def make_timing_input(operation: Convolution, batch: int, seed: int) -> Tensor:
    """Return such an input [batch, C_in, H, W] on the current GPU."""
    return fill_timing_input(torch.empty(operation.input_shape(batch), device="cuda"), seed)


def make_timing_parameters(operation: Convolution, seed: int) -> tuple[Tensor, Tensor]:
    """Return weight [C_out, C_in, KH, KW] and bias [C_out], standard normal, on the current GPU."""
    generator = torch.Generator("cuda").manual_seed(seed)
    weight = torch.randn(operation.weight_shape, generator=generator, device="cuda")
    return weight, torch.randn((operation.out_channels,), generator=generator, device="cuda")


def draw_offsets(elements: int, count: int, seed: int) -> NDArray[np.int64]:
    """Return where in an output of so many elements a timed answer is looked at."""
    return np.random.default_rng(seed).integers(elements, size=count, dtype=np.int64)
