"""The truth by a function: whole and at places, its yardstick, and what is measured of its error."""

import math

import numpy as np
import pytest
import torch

from kernelgate.operations.declaration.error_model import TF32_UNIT
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.operations.draws.tensors import make_tensors
from kernelgate.operations.truth import function
from kernelgate.operations.truth.reference import round_to_tf32
from kernelgate.operations.truth.truth import truth_at, truth_everywhere, unravel, vendor_answer
from tests.selftest.support.made_up_operations import (
    ALL,
    ANY_PRODUCT,
    DIFFERENCE,
    INNER,
    PRODUCT,
    SOFTMAX,
)

BATCH = 70
RECIPE = Recipe(family="normal", seed=3, batch=BATCH)

operations = pytest.mark.parametrize("operation", ALL, ids=[f"{i}-{each.name}" for i, each in enumerate(ALL)])


@operations
def test_the_truth_at_places_is_the_truth_everywhere(operation: Operation) -> None:
    """Also where N is not the first axis, and of places that name but a few items."""
    everywhere = truth_everywhere(operation, make_tensors(operation, RECIPE)).flattened()
    count = math.prod(operation.output_shape(BATCH))
    assert everywhere.exact.shape == (count,)
    for flat in (np.arange(count), np.r_[count - 1, 5, 5], np.r_[count // 2]):
        places = unravel(operation, flat, BATCH)
        some = truth_at(operation, RECIPE, places)
        assert torch.allclose(some.exact, everywhere.exact[flat], rtol=1e-12)
        assert torch.allclose(some.yardstick, everywhere.yardstick[flat], rtol=1e-6)
        # What float32 is off itself depends a little on how many rows are summed together.
        assert torch.allclose(some.magnitude, everywhere.magnitude[flat], rtol=1e-3)


@operations
def test_items_computed_in_parts_are_those_computed_together(
    operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last part is shorter."""
    tensors = make_tensors(operation, RECIPE)
    together = truth_everywhere(operation, tensors)
    monkeypatch.setattr(function, "ROWS_AT_ONCE", 32)
    in_parts = truth_everywhere(operation, tensors)
    assert in_parts.exact.shape == operation.output_shape(BATCH)
    assert torch.allclose(in_parts.exact, together.exact, rtol=1e-12)
    assert torch.allclose(in_parts.magnitude, together.magnitude, rtol=1e-9)


def test_the_truth_is_what_float64_gives() -> None:
    """By PyTorch's own functions, and of a softmax along N."""
    made = {name: values.double() for name, values in make_tensors(PRODUCT, RECIPE).items()}
    by_hand = torch.einsum("nk,km->nm", made["x"], made["weight"]) + made["bias"]
    assert torch.allclose(truth_everywhere(PRODUCT, make_tensors(PRODUCT, RECIPE)).exact, by_hand, rtol=1e-12)
    x = make_tensors(SOFTMAX, RECIPE)["x"]
    exact = truth_everywhere(SOFTMAX, {"x": x}).exact
    assert torch.allclose(exact.sum(1), torch.ones(6, dtype=torch.float64))
    assert torch.allclose(exact, x.double().exp() / x.double().exp().sum(1, keepdim=True))


def test_the_yardstick_rounds_operands_where_the_math_does() -> None:
    """To TF32, or not at all: then float32 itself is what differs from the truth."""
    made = make_tensors(PRODUCT, RECIPE)
    rounded = {name: round_to_tf32(values) for name, values in made.items()}
    stored = truth_everywhere(PRODUCT, rounded).exact.float().double()
    assert torch.equal(truth_everywhere(PRODUCT, made).yardstick, stored)
    softmax = truth_everywhere(SOFTMAX, make_tensors(SOFTMAX, RECIPE))
    apart = ((softmax.yardstick - softmax.exact).abs() / softmax.exact).max()
    assert 0 < float(apart) < 1e-5


def test_a_proven_magnitude_is_the_same_sum_of_absolute_values() -> None:
    """So that the bound of a sum covers any order."""
    made = make_tensors(PRODUCT, RECIPE)
    sizes = made["x"].double().abs() @ made["weight"].double().abs() + made["bias"].double().abs()
    assert torch.allclose(truth_everywhere(PRODUCT, made).magnitude, sizes)


def test_a_measured_magnitude_is_how_far_operands_move_the_answer() -> None:
    """Never more than a sum can move, and never less than the answer itself."""
    made = make_tensors(ANY_PRODUCT, RECIPE)
    measured, proven = truth_everywhere(ANY_PRODUCT, made), truth_everywhere(PRODUCT, made)
    moved = measured.magnitude - measured.exact.abs()
    assert bool((moved > 0).all())
    assert bool((moved <= (2 + TF32_UNIT) * proven.magnitude).all())
    assert float(moved.mean()) > float(proven.magnitude.mean()) / INNER


def test_what_operands_of_one_shape_lose_is_measured() -> None:
    """Off alike, the difference of two large numbers would seem to lose nothing."""
    made = make_tensors(DIFFERENCE, RECIPE)
    made = {"one": made["one"] + 1000, "other": made["other"] + 1000}
    lost = (round_to_tf32(made["one"]).double() - round_to_tf32(made["other"]).double()).sum(1)
    truth = truth_everywhere(DIFFERENCE, made)
    assert float((lost - truth.exact).abs().max()) > 1
    assert float(truth.magnitude.median()) * TF32_UNIT > 1


@operations
def test_the_vendor_computes_the_same(operation: Operation) -> None:
    """In float32; that it may use TF32 is set back afterwards."""
    made = make_tensors(operation, RECIPE)
    before = torch.backends.cuda.matmul.allow_tf32
    answer = vendor_answer(operation, made)
    assert answer.dtype == torch.float32
    assert torch.allclose(answer.double(), truth_everywhere(operation, made).exact, rtol=1e-3, atol=1e-3)
    assert torch.backends.cuda.matmul.allow_tf32 == before
