"""The truth of an operation, asked for by tensors or by recipe."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.operations.draws.tensors import item_numbers, make_drawn, make_parameters, make_tensors
from kernelgate.operations.truth.reference import Positions, Tensors, Truth

ELEMENTS_AT_ONCE = 10_000_000
"""Float64 takes nine times the answer's memory, and the judge must fit beside a worker on a GPU."""


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
    free, item = _draw_once(operation, recipe, positions[0])
    tensors = free | make_parameters(operation, recipe)
    return truth_of(operation, tensors, (item, *positions[1:]))


def truth_in_parts(
    operation: Operation, recipe: Recipe, items: tuple[int, ...], *, vendor: bool
) -> Iterator[tuple[slice, Truth, Tensor | None]]:
    """Yield the truth of these items of the batch, all if none is named, in parts that fit on the GPU.

    The slice says where the answers of a part lie among those of all these items. With `vendor` its answer,
    in float32, comes too. All have one dimension.
    """
    for span, tensors, places in _tensors_in_parts(operation, recipe, items):
        theirs = vendor_answer(operation, tensors)[places].flatten().float() if vendor else None
        yield span, truth_everywhere(operation, tensors).at(places).flattened(), theirs


def _tensors_in_parts(
    operation: Operation, recipe: Recipe, items: tuple[int, ...]
) -> Iterator[tuple[slice, Tensors, Tensor | slice]]:
    """Yield where answers lie, what they are computed from, and which item of that each one is of."""
    if not operation.has_items:
        yield slice(None), make_tensors(operation, recipe, "cuda"), slice(None)
        return
    fixed = {name: values.cuda() for name, values in make_parameters(operation, recipe).items()}
    chosen, an_item = torch.tensor(items or range(recipe.batch)), math.prod(operation.output_shape(1))
    at_once = max(1, ELEMENTS_AT_ONCE // an_item)
    for first in range(0, len(chosen), at_once):
        free, places = _draw_once(operation, recipe, chosen[first : first + at_once])
        span = slice(first * an_item, (first + len(places)) * an_item)
        yield span, fixed | {name: values.cuda() for name, values in free.items()}, places.cuda()


def _draw_once(operation: Operation, recipe: Recipe, places: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """Return the different items at these places of the batch, and which of them stands at each."""
    numbers, item = torch.unique(item_numbers(recipe)[places], return_inverse=True)
    return make_drawn(operation, recipe, numbers.tolist()), item


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
