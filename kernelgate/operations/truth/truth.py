"""The truth of an operation, asked for by tensors or by recipe."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.operations.draws.tensors import item_numbers, make_drawn, make_parameters, make_tensors
from kernelgate.operations.truth.reference import Positions, Tensors, Truth


def truth_everywhere(operation: Operation, tensors: Tensors) -> Truth:
    """Return the truth at every output position, in the output's shape, on the device of the tensors."""
    return operation.reference.everywhere(tensors, nearby=operation.algorithm == "any")


def truth_at(operation: Operation, recipe: Recipe, positions: Positions) -> Truth:
    """Return the truth at the given output positions only, one-dimensional, on the CPU.

    Only the items of these positions are made, and one that is repeated once: at the end of the domain the
    whole input takes gigabytes.
    """
    if not operation.has_items:
        return truth_of(operation, make_tensors(operation, recipe), positions)
    numbers, item = torch.unique(item_numbers(recipe)[positions[0]], return_inverse=True)
    tensors = make_drawn(operation, recipe, numbers.tolist()) | make_parameters(operation, recipe)
    return truth_of(operation, tensors, (item, *positions[1:]))


def truth_of(operation: Operation, tensors: Tensors, positions: Positions) -> Truth:
    """Return the truth at the given output positions of these tensors, one-dimensional, on their device."""
    device = next(iter(tensors.values())).device
    placed = tuple(axis.to(device) for axis in positions)
    return operation.reference.at(tensors, placed, nearby=operation.algorithm == "any")


def vendor_answer(operation: Operation, tensors: Tensors) -> Tensor:
    """Return the vendor's answer: what users compare with."""
    return operation.reference.vendor(tensors)


def unravel(operation: Operation, flat: NDArray[np.int64], batch: int = 1) -> Positions:
    """Return the output positions of flat offsets; where N comes first, any batch gives the same."""
    axes, rest = [], flat
    for extent in reversed(operation.output_shape(batch)[1:]):
        rest, axis = np.divmod(rest, extent)
        axes.append(torch.tensor(axis))
    return (torch.tensor(rest), *reversed(axes))
