"""The tensors of a recipe as they lie in memory; of an input an item is made when a program touches it."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from kernelgate.execution.interpreted_plan import Given
from kernelgate.interpreter.memory.buffer import PAGE_BYTES, Fill
from kernelgate.operations.declaration.argument import Argument
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.recipe import FEATURES, Recipe
from kernelgate.operations.draws.tensors import (
    dtype_of,
    item_numbers,
    make_batches,
    make_item,
    make_parameters,
)
from kernelgate.worker.tensors.layouts import (
    CONTIGUOUS,
    ELEMENTS_BEFORE,
    bytes_of,
    lay_out,
    lay_out_weight,
    lies_item_by_item,
)

Bytes = NDArray[np.uint8]

GRANULE = 4 * PAGE_BYTES
"""Filled at once: a program reads some rows of a picture, and a fresh page takes longer than its content."""

ITEMS_KEPT = 64
"""As many as a large batch has different ones, its recipe's `pool`: 50 MB of pictures."""


def make_given(operation: Operation, recipe: Recipe, layout: str) -> dict[str, Given]:
    """Return what the buffers of all inputs and parameters hold, by name."""
    fixed = make_parameters(operation, recipe)
    given = {
        name: Given(content=bytes_of(lay_out_weight(each, layout)).numpy()) for name, each in fixed.items()
    }
    free = [each for each in operation.inputs if each.is_free]
    if all(_can_wait(operation, recipe, each, layout) for each in free):
        return given | {each.name: _wait(operation, recipe, each, layout) for each in free}
    whole = make_batches(operation, recipe)
    return given | {
        each.name: Given(content=bytes_of(lay_out(whole[each.name], layout)).numpy()) for each in free
    }


def _can_wait(operation: Operation, recipe: Recipe, argument: Argument, layout: str) -> bool:
    features = operation.relations.features
    is_shuffled = recipe.shuffled == FEATURES and features is not None and argument.name in features.axes
    return operation.has_items and not is_shuffled and lies_item_by_item(layout, len(argument.shape))


def _wait(operation: Operation, recipe: Recipe, argument: Argument, layout: str) -> Given:
    """Return an input of which an item is made when it is touched."""
    numbers, before = item_numbers(recipe), ELEMENTS_BEFORE.get(layout, 0)
    layout, dtype = CONTIGUOUS if before else layout, dtype_of(operation)
    size = lay_out(torch.empty(argument.shape_at(1), dtype=dtype, device="meta"), layout).untyped_storage()

    @lru_cache(ITEMS_KEPT)
    def stored(number: int) -> Bytes:
        return bytes_of(lay_out(make_item(operation, recipe, argument, number)[None], layout)).numpy()

    items = Items(lambda place: stored(int(numbers[place])), places=len(numbers), size=size.nbytes())
    nothing = bytes_of(torch.full((1,), torch.nan, dtype=dtype)).numpy()
    return Given(fill=_fill_with(items, before * nothing.size, nothing), granule=GRANULE)


class Items(NamedTuple):
    """The bytes of the items of a batch, by their places; each has as many."""

    at: Callable[[int], Bytes]
    places: int
    size: int


def _fill_with(items: Items, before: int, nothing: Bytes) -> Fill:
    """Return what fills a granule of items side by side, of which the first begins after so many bytes."""
    size, end = items.size, items.places * items.size

    def fill(granule: int, into: Bytes) -> None:
        first = granule * GRANULE - before
        last = first + into.size
        if first < 0 or last > end:
            into.reshape(-1, nothing.size)[:] = nothing
        for place in range(max(0, first // size), min(items.places, -(-last // size))):
            low, high = max(first, place * size), min(last, (place + 1) * size)
            into[low - first : high - first] = items.at(place)[low - place * size : high - place * size]

    return fill
