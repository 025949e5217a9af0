"""The tensors of timed calls, made on the GPU from a seed: worker and judge make the same bits.

No call sees contents that a call before it has seen: an answer kept from one is wrong for the next.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.tensors import dtype_of

MOST_DOUBLINGS = 40
"""Sums of products of values so large are far from float32's end, and beyond that of half precision."""


def fill_batches(operation: Operation, batches: Mapping[str, Tensor], seed: int) -> None:
    """Fill the inputs that have N with normal values.

    Where the answer scales with them, their scale is a power of two that comes from the seed.
    """
    generator = Generator("cuda").manual_seed(seed)
    for name, values in batches.items():
        scales = name in operation.relations.scaled_input
        values.normal_(std=2.0 ** (seed % (MOST_DOUBLINGS + 1)) if scales else 1.0, generator=generator)


def make_timing_batches(operation: Operation, batch: int, seed: int) -> dict[str, Tensor]:
    """Return such inputs on the current GPU."""
    free = (each for each in operation.inputs if each.is_free)
    batches = {
        each.name: torch.empty(each.shape_at(batch), dtype=dtype_of(operation), device="cuda")
        for each in free
    }
    fill_batches(operation, batches, seed)
    return batches


def make_timing_parameters(operation: Operation, seed: int) -> dict[str, Tensor]:
    """Return the tensors without N, standard normal, on the current GPU."""
    generator = Generator("cuda").manual_seed(seed)
    fixed = (each for each in operation.arguments if not each.is_free)
    return {
        each.name: torch.randn(
            each.shape_at(1), generator=generator, dtype=dtype_of(operation), device="cuda"
        )
        for each in fixed
    }


def draw_offsets(elements: int, count: int, seed: int) -> NDArray[np.int64]:
    """Return where in an output of so many elements a timed answer is looked at."""
    return np.random.default_rng(seed).integers(elements, size=count, dtype=np.int64)
