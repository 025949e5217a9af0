"""What a program touches of an input is what the whole of it would be, in every layout."""

from typing import Any

import msgspec
import numpy as np
import pytest

from kernelgate.correctness.case import layouts_for
from kernelgate.execution.interpreted_plan import Given
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.declaration.relations import Permutation
from kernelgate.operations.draws.recipe import BATCH, FEATURES, Recipe
from kernelgate.operations.draws.tensors import make_batches
from kernelgate.operations.layernorm import LAYERNORM
from kernelgate.operations.matmul_bf16 import MATMUL_BF16
from kernelgate.operations.softmax import SOFTMAX
from kernelgate.worker.interpret.given import GRANULE, make_given
from kernelgate.worker.tensors.layouts import bytes_of, lay_out
from tests.selftest.support.small_convolution import resize

ROWS = msgspec.structs.replace(
    LAYERNORM,
    relations=msgspec.structs.replace(
        LAYERNORM.relations, features=Permutation({"x": 1, "weight": 0, "bias": 0}, output=1)
    ),
)
"""Of rows whose columns, permuted, have a permuted answer: so a relation may ask for it."""

SMALL = resize(in_size=47, out_channels=4)
RECIPE = Recipe(family="normal", seed=5, batch=7, pool=4)


def memory_of(operation: Operation, recipe: Recipe, layout: str, name: str) -> np.ndarray:
    """Return the memory of a whole input."""
    laid = lay_out(make_batches(operation, recipe)[name], layout)
    return bytes_of(laid).numpy()


def touched(given: Given, size: int) -> np.ndarray:
    """Return the memory of which every granule was touched."""
    assert given.fill is not None
    memory = np.full(size, 0xAB, dtype=np.uint8)
    for granule in range(-(-size // given.granule)):
        given.fill(granule, memory[granule * given.granule : (granule + 1) * given.granule])
    return memory


@pytest.mark.parametrize("changes", [{}, {"shuffled": BATCH}, {"shuffled": FEATURES}, {"first": 2}], ids=str)
@pytest.mark.parametrize(
    ("operation", "layout"),
    [(each, layout) for each in (SMALL, ROWS, MATMUL_BF16) for layout in layouts_for(each)],
    ids=lambda each: each if isinstance(each, str) else each.name,
)
def test_what_is_touched_lies_as_in_the_whole(
    operation: Operation, changes: dict[str, Any], layout: str
) -> None:
    """Item by item, or at once where items do not lie side by side; what is beside them is NaN."""
    recipe = msgspec.structs.replace(RECIPE, **changes, grey=layout == "grey")
    name = operation.inputs[0].name
    whole, given = memory_of(operation, recipe, layout, name), make_given(operation, recipe, layout)[name]
    held = touched(given, whole.size) if given.content is None else given.content
    assert np.array_equal(held, whole)


@pytest.mark.parametrize("layout", ["contiguous", "odd-offset", "channels-last"])
def test_one_item_is_made_for_what_lies_in_it(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A granule in the middle of a picture draws no other."""
    drawn: list[int] = []
    make = make_given.__globals__["make_item"]
    monkeypatch.setitem(make_given.__globals__, "make_item", lambda *of: drawn.append(of[-1]) or make(*of))
    given = make_given(SMALL, msgspec.structs.replace(RECIPE, pool=7), layout)["x"]
    assert given.fill is not None
    drawn.clear()
    given.fill((3 * 3 * 47 * 47 * 4 + GRANULE) // GRANULE, np.empty(GRANULE, dtype=np.uint8))
    assert drawn == [3]


def test_items_that_do_not_come_first_are_made_at_once() -> None:
    """A column of a matrix lies in every page."""
    assert make_given(SOFTMAX, RECIPE, "contiguous")["x"].fill is None
