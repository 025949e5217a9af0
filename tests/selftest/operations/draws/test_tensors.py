"""Recipes: the same bits again, and every way in which one recipe is a part or a change of another."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelgate.errors import InputsError
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.draws import tensors
from kernelgate.operations.draws.recipe import BATCH, FEATURES, Recipe
from kernelgate.operations.draws.tensors import (
    draw_items,
    feature_order,
    infinite_item,
    item_numbers,
    item_order,
    make_batches,
    make_items,
    make_parameters,
    make_tensors,
)
from kernelgate.operations.draws.values import FAMILIES, make_family
from tests.selftest.support.small_convolution import FAN_IN, geometry_of, resize

SMALL = resize(in_size=15, out_channels=12)
POOL = 4
MANY = 100


def recipe(**changes: Any) -> Recipe:
    return msgspec.structs.replace(Recipe(family="normal", seed=3, batch=6), **changes)


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors hold the same bits; a NaN equals itself."""
    return one.shape == other.shape and torch.equal(one.view(torch.int32), other.view(torch.int32))


def numbers(values: st.SearchStrategy[int], *names: str) -> st.SearchStrategy[tuple[tuple[str, int], ...]]:
    """Return the strategy of a number for each of some of these names."""
    return st.dictionaries(st.sampled_from(names), values).map(lambda each: tuple(each.items()))


recipes = st.builds(
    Recipe,
    family=st.sampled_from(list(FAMILIES)),
    seed=st.integers(0, 2**63 - 1),
    batch=st.integers(1, 9),
    first=st.integers(0, 9),
    pool=st.integers(1, 9),
    exponents=numbers(st.integers(-20, 20), "x", "weight", "bias"),
    shuffled=st.sampled_from(("", BATCH, FEATURES)),
    absent=st.sampled_from(((), ("bias",))),
    seeds=numbers(st.integers(0, 9), "weight", "bias"),
    half_seed=st.none() | st.integers(0, 9),
)


@given(recipes)
@settings(max_examples=40, deadline=None)
def test_the_same_recipe_makes_the_same_bits(drawn: Recipe) -> None:
    """A replay meets the very bits that failed."""
    first, again = (make_tensors(SMALL, drawn) for _ in range(2))
    assert list(first) == list(again) == ["x", "weight", "bias"]
    assert all(same(first[name], again[name]) for name in first)


@given(recipes)
@settings(max_examples=40, deadline=None)
def test_images_made_one_by_one_are_those_of_the_whole_batch(drawn: Recipe) -> None:
    """The truth is asked for a few places of a batch that nobody could hold."""
    whole = make_batches(SMALL, drawn)["x"]
    places = [drawn.batch - 1, 0, drawn.batch // 2]
    assert same(make_items(SMALL, drawn, places)["x"], whole[places])


@given(
    st.integers(1, MANY), st.integers(0, MANY), st.integers(0, MANY), st.integers(1, MANY), st.integers(0, 9)
)
@settings(max_examples=300, deadline=None)
def test_a_slice_of_a_recipe_is_the_slice_of_its_batch(
    batch: int, start: int, end: int, pool: int, seed: int
) -> None:
    """Wherever it starts and ends, beside the pool or across its end."""
    start, end = sorted((start % batch, end % batch))
    whole = recipe(batch=batch, pool=pool, seed=seed)
    part = msgspec.structs.replace(whole, first=start, batch=end - start + 1)
    assert item_numbers(part).tolist() == item_numbers(whole)[start : end + 1].tolist()


def test_a_slice_holds_the_images_of_its_place() -> None:
    """Not only their numbers."""
    whole = make_batches(SMALL, recipe(batch=6))["x"]
    assert same(make_batches(SMALL, recipe(batch=3, first=2))["x"], whole[2:5])
    assert not same(whole[:3], whole[2:5])


@pytest.mark.parametrize("pool", [POOL, 64])
def test_shuffled_images_are_the_same_in_another_order(pool: int) -> None:
    """The order is the one that the relation asks for, and not the old one."""
    plain, shuffled = recipe(pool=pool), recipe(pool=pool, shuffled=BATCH)
    order = item_order(shuffled)
    assert sorted(order.tolist()) == list(range(6))
    assert order.tolist() != list(range(6))
    assert same(make_batches(SMALL, shuffled)["x"], make_batches(SMALL, plain)["x"][order])


def test_shuffled_channels_take_their_filter_and_bias_along() -> None:
    """Both by the same order; x stays."""
    plain, shuffled = recipe(), recipe(shuffled=FEATURES)
    order = feature_order(SMALL, shuffled)
    assert sorted(order.tolist()) == list(range(geometry_of(SMALL).out_channels))
    assert order.tolist() != list(range(geometry_of(SMALL).out_channels))
    before, after = make_tensors(SMALL, plain), make_tensors(SMALL, shuffled)
    assert same(after["weight"], before["weight"][order])
    assert same(after["bias"], before["bias"][order])
    assert same(after["x"], before["x"])


@pytest.mark.parametrize("seed", [3, 4])
def test_one_item_is_infinite_and_the_others_are_as_before(seed: int) -> None:
    """Wherever the batch repeats it; parameters stay."""
    plain, changed = (recipe(seed=seed, batch=MANY, pool=POOL, infinite=each) for each in (False, True))
    before, after = make_tensors(SMALL, plain), make_tensors(SMALL, changed)
    infinite = after["x"].isinf().flatten(1).all(1)
    assert torch.equal(infinite, item_numbers(changed) == infinite_item(changed))
    assert 0 < infinite.sum() < MANY
    assert same(after["x"][~infinite], before["x"][~infinite])
    assert same(after["weight"], before["weight"])


def test_a_batch_over_the_pool_repeats_its_images() -> None:
    """All of the pool, each several times, and in no plain order."""
    numbers = item_numbers(recipe(batch=MANY, pool=POOL)).tolist()
    assert set(numbers) == set(range(POOL))
    assert numbers != [place % POOL for place in range(MANY)]


def test_each_different_image_is_drawn_once() -> None:
    """The largest batch takes the time and the memory of its pool."""
    large = recipe(batch=ALEXNET_CONV1.max_batch, pool=POOL)
    items, places = draw_items(SMALL, large)
    drawn = items["x"]
    assert len(drawn) == POOL
    assert len(places) == ALEXNET_CONV1.max_batch
    last = [len(places) + at for at in (-3, -2, -1)]
    assert same(drawn[places[-3:]], make_items(SMALL, large, last)["x"])


def test_a_batch_within_the_pool_has_no_image_twice() -> None:
    """Two equal images would hide that one stands in the other's place."""
    x = make_batches(SMALL, recipe(batch=64))["x"]
    assert len(x.flatten(1).unique(dim=0)) == 64


@pytest.mark.parametrize(
    "powers",
    [
        {"x": 20, "bias": 20},
        {"x": -20, "bias": -20},
        {"weight": 20, "bias": 20},
        {"weight": -20, "x": 3, "bias": -17},
        {"bias": 5},
    ],
    ids=str,
)
@pytest.mark.parametrize("family", FAMILIES)
def test_exponents_scale_the_answer_and_round_nothing(family: str, powers: dict[str, int]) -> None:
    """Each tensor by its own power and no other; what is no number stays as it is."""
    plain = make_tensors(SMALL, recipe(family=family))
    scaled = make_tensors(SMALL, recipe(family=family, exponents=tuple(powers.items())))
    for name, after in scaled.items():
        before, by = plain[name], powers.get(name, 0)
        assert torch.equal(
            torch.ldexp(before.double(), torch.tensor(by)).nan_to_num(), after.double().nan_to_num()
        )
        assert torch.equal(before.isnan(), after.isnan())


def test_parts_with_a_seed_of_their_own_change_alone() -> None:
    """Weight, bias and the second half of the filters; what has none follows the recipe's seed."""
    plain, half = make_tensors(SMALL, recipe()), geometry_of(SMALL).out_channels // 2
    for changes, changed in (
        ({"seeds": (("weight", 4),)}, (False, True, True, False)),
        ({"seeds": (("bias", 4),)}, (False, False, False, True)),
        ({"half_seed": 4}, (False, False, True, False)),
        ({"seed": 4, "seeds": (("weight", 3), ("bias", 3))}, (True, False, False, False)),
        ({"seeds": (("weight", 3), ("bias", 3)), "half_seed": 3}, (False, False, False, False)),
        ({"seed": 4}, (True, True, True, True)),
    ):
        other = make_tensors(SMALL, recipe(**changes))
        seen = (
            not same(other["x"], plain["x"]),
            not same(other["weight"][:half], plain["weight"][:half]),
            not same(other["weight"][half:], plain["weight"][half:]),
            not same(other["bias"], plain["bias"]),
        )
        assert seen == changed


def test_a_recipe_without_a_bias_has_zeros_for_it() -> None:
    """The truth adds nothing; the filters are the same."""
    without = make_parameters(SMALL, recipe(absent=("bias",)))
    with_bias = make_parameters(SMALL, recipe())
    assert without["bias"].shape == (geometry_of(SMALL).out_channels,)
    assert not bool(without["bias"].any())
    assert bool(with_bias["bias"].any())
    assert same(without["weight"], with_bias["weight"])


def test_a_special_bias_leaves_nothing_behind_where_there_is_none() -> None:
    """Infinity times zero would be NaN."""
    made = make_parameters(SMALL, recipe(family="special-weight", absent=("bias",)))
    assert torch.equal(made["bias"], torch.zeros(geometry_of(SMALL).out_channels))


def plant(monkeypatch: pytest.MonkeyPatch, role: str, draw: Callable[..., torch.Tensor]) -> None:
    """Have the values of a role drawn in this way, in every family."""
    planted = msgspec.structs.replace(make_family("normal", FAN_IN), **{role: draw})
    monkeypatch.setattr(tensors, "make_family", lambda *_: planted)


@pytest.mark.parametrize("role", ["x", "weight", "bias"])
def test_a_family_that_cannot_be_drawn_is_the_gates_own_fault(
    role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that assumes larger filters than the operation has."""

    def draw(*_: object) -> torch.Tensor:
        return torch.randint(2, 1, ())

    plant(monkeypatch, role, draw)
    with pytest.raises(InputsError, match="family normal cannot be drawn: RuntimeError"):
        make_tensors(ALEXNET_CONV1, Recipe(family="normal", seed=1, batch=1))


def test_too_little_memory_is_no_fault_of_a_family(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever holds the memory is asked elsewhere."""

    def draw(*_: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("full")

    plant(monkeypatch, "x", draw)
    with pytest.raises(torch.OutOfMemoryError):
        make_tensors(ALEXNET_CONV1, Recipe(family="normal", seed=1, batch=1))
