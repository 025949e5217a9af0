"""Draws of operations whose N stands on any axis, or whose inputs are several."""

import math

import pytest
import torch

from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.recipe import BATCH, FEATURES, Recipe
from kernelgate.operations.draws.tensors import (
    draw_items,
    feature_order,
    item_order,
    make_batches,
    make_item,
    make_items,
    make_parameters,
    make_tensors,
)
from kernelgate.operations.draws.values import FAMILIES
from tests.selftest.support.made_up_operations import ALL, DIFFERENCE, PRODUCT, SCALED_COLUMNS, SOFTMAX

RECIPE = Recipe(family="normal", seed=3, batch=5)


def change(**changes: object) -> Recipe:
    return Recipe(**{"family": "normal", "seed": 3, "batch": 5, **changes})  # type: ignore[arg-type]


def bits(values: torch.Tensor) -> torch.Tensor:
    return values.contiguous().view(torch.int32)


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors hold the same bits; a NaN equals itself."""
    return one.shape == other.shape and torch.equal(bits(one), bits(other))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("operation", ALL, ids=lambda each: each.name)
def test_every_family_can_be_drawn_for_every_shape(operation: Operation, family: str) -> None:
    """Matrices, vectors, and items of one axis; finite but for what is special."""
    made = make_tensors(operation, change(family=family))
    assert list(made) == [each.name for each in operation.arguments]
    for name, values in made.items():
        assert values.shape == operation.shape_of(name, 5)
        assert values.dtype == torch.float32
    special = any(not bool(values.isfinite().all()) for values in made.values())
    assert not special or family.startswith("special")


@pytest.mark.parametrize("operation", [SOFTMAX, SCALED_COLUMNS], ids=lambda each: each.name)
def test_items_are_stacked_along_the_axis_of_n(operation: Operation) -> None:
    """Each is the one of its number: column 2 is item 2."""
    x = make_batches(operation, RECIPE)["x"]
    assert x.shape == (6, 5)
    for number in range(5):
        assert same(x[:, number], make_item(operation, RECIPE, operation.inputs[0], number))
    assert same(make_items(operation, RECIPE, [4, 1])["x"], x[:, [4, 1]])
    assert len({tuple(column.tolist()) for column in x.T}) == 5


def test_a_slice_and_a_shuffle_follow_the_axis_of_n() -> None:
    """As they do along the first one."""
    x = make_batches(SCALED_COLUMNS, RECIPE)["x"]
    assert same(make_batches(SCALED_COLUMNS, change(batch=3, first=2))["x"], x[:, 2:])
    shuffled = change(shuffled=BATCH)
    order = item_order(shuffled)
    assert order.tolist() != list(range(5))
    assert same(make_batches(SCALED_COLUMNS, shuffled)["x"], x[:, order])


def test_a_batch_over_the_pool_repeats_items_along_the_axis_of_n() -> None:
    """Each different one is drawn once."""
    large = change(batch=100, pool=4)
    drawn, places = draw_items(SOFTMAX, large)
    assert drawn["x"].shape == (6, 4)
    assert same(make_batches(SOFTMAX, large)["x"], drawn["x"][:, places])
    assert len(set(places.tolist())) == 4


@pytest.mark.parametrize(
    ("operation", "axes"),
    [(PRODUCT, {"weight": 1, "bias": 0}), (SCALED_COLUMNS, {"x": 0, "weight": 0})],
    ids=["product", "scaled_columns"],
)
def test_shuffled_features_move_every_tensor_that_has_them(
    operation: Operation, axes: dict[str, int]
) -> None:
    """Inputs as well as parameters, each along the axis that is declared, and no other tensor."""
    shuffled = change(shuffled=FEATURES)
    order = feature_order(operation, shuffled)
    assert sorted(order.tolist()) == list(range(len(order)))
    assert order.tolist() != sorted(order.tolist())
    plain, made = make_tensors(operation, RECIPE), make_tensors(operation, shuffled)
    for name, values in made.items():
        wanted = plain[name].index_select(axes[name], order) if name in axes else plain[name]
        assert same(values, wanted)


def test_two_inputs_of_one_shape_are_drawn_apart() -> None:
    """The items of either by its own name, so that one in the other's place is seen."""
    made = make_batches(DIFFERENCE, RECIPE)
    assert list(made) == ["one", "other"]
    assert not bool((made["one"] == made["other"]).any())
    again = make_items(DIFFERENCE, RECIPE, range(5))
    assert all(same(again[name], made[name]) for name in made)


def test_a_tensor_is_scaled_by_its_own_power_alone() -> None:
    """An input by its name, too."""
    plain, made = (make_batches(DIFFERENCE, each) for each in (RECIPE, change(exponents=(("other", 3),))))
    assert same(made["one"], plain["one"])
    assert same(made["other"], plain["other"] * 8)


def test_the_second_half_of_a_matrix_has_a_seed_of_its_own() -> None:
    """A vector has no halves."""
    plain, made = (make_parameters(PRODUCT, each) for each in (RECIPE, change(half_seed=8)))
    assert same(made["weight"][:12], plain["weight"][:12])
    assert not bool((made["weight"][12:] == plain["weight"][12:]).any())
    assert same(made["bias"], plain["bias"])


def test_the_parameters_of_a_new_layer_are_as_large_as_its_fan_in_says() -> None:
    """Within one over its root: of 24 products, not of the convolution's 363."""
    weight = make_parameters(PRODUCT, change(family="new-layer"))["weight"]
    assert 0.9 / math.sqrt(24) < float(weight.abs().max()) <= 1 / math.sqrt(24)
