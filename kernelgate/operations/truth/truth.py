"""The truth of an operation, asked for by tensors or by recipe."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.operations.draws.tensors import item_numbers, make_drawn, make_parameters, make_tensors
from kernelgate.operations.draws.transfer import to_gpu
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


class TruthPart(NamedTuple):
    """The truth of some of the items that were asked for, one-dimensional, on the GPU.

    `rows` says which of them, None that it is all, in order. `vendor` is the vendor's answer in float32, if
    that was asked for.
    """

    rows: NDArray[np.int64] | None
    truth: Truth
    vendor: Tensor | None


def truth_in_parts(
    operation: Operation, recipe: Recipe, items: tuple[int, ...], *, vendor: bool
) -> Iterator[TruthPart]:
    """Yield the truth of these items of the batch, all if none is named, in parts that fit on the GPU.

    Of items that are equal it is computed once.
    """
    if not operation.has_items:
        tensors = make_tensors(operation, recipe, "cuda")
        theirs = vendor_answer(operation, tensors).flatten().float() if vendor else None
        yield TruthPart(None, truth_everywhere(operation, tensors).flattened(), theirs)
        return
    fixed = _to_gpu(make_parameters(operation, recipe))
    chosen = torch.tensor(items or range(recipe.batch))
    numbers, item = torch.unique(item_numbers(recipe)[chosen], return_inverse=True)
    at_once = max(1, ELEMENTS_AT_ONCE // math.prod(operation.output_shape(1)))
    for first in range(0, len(numbers), at_once):
        made = numbers[first : first + at_once]
        tensors = fixed | _to_gpu(make_drawn(operation, recipe, made.tolist()))
        truth = truth_everywhere(operation, tensors)
        theirs = vendor_answer(operation, tensors).float() if vendor else None
        for rows in ((item >= first) & (item < first + len(made))).nonzero().flatten().split(at_once):
            which, whole = item[rows] - first, len(rows) == len(chosen)
            yield _part(None if whole else rows.numpy(), truth, theirs, which)


def _part(rows: NDArray[np.int64] | None, truth: Truth, vendor: Tensor | None, which: Tensor) -> TruthPart:
    """Return the part of these items of a truth, and of the vendor's answer, in this order."""
    if not torch.equal(which, torch.arange(len(truth.exact))):
        placed = to_gpu(which)
        truth, vendor = truth.at(placed), None if vendor is None else vendor[placed]
    return TruthPart(rows, truth.flattened(), None if vendor is None else vendor.flatten())


def _to_gpu(tensors: Tensors) -> dict[str, Tensor]:
    return {name: to_gpu(values) for name, values in tensors.items()}


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
