"""The truth, against itself by two ways, against a slow loop, and against values worked out by hand."""

import math

import msgspec
import numpy as np
import pytest
import torch

from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.draws.recipe import FEATURES, Recipe
from kernelgate.operations.draws.tensors import make_items, make_parameters, make_tensors
from kernelgate.operations.draws.values import FAMILIES
from kernelgate.operations.truth.reference import Tensors, round_to_tf32
from kernelgate.operations.truth.truth import truth_at, truth_everywhere, unravel
from tests.selftest.support.small_convolution import by_name, geometry_of, resize

SMALL = resize(in_size=31, out_channels=6)
"""The same window, stride and padding on a smaller picture: 7 by 7 places, every border among them."""

SHAPE = geometry_of(SMALL)

UNIT = 2.0**-10


def make_small(family: str, seed: int = 3, batch: int = 2) -> Tensors:
    return make_tensors(SMALL, Recipe(family=family, seed=seed, batch=batch))


def tf32(value: float) -> float:
    return float(round_to_tf32(torch.tensor([value]))[0])


def convolve_slowly(inputs: Tensors, place: tuple[int, int, int, int], absolute: bool = False) -> float:
    """Return one output element, product by product, with the padding left out."""
    image, channel, row, column = place
    products = [float(inputs["bias"][channel])]
    for c in range(SHAPE.in_channels):
        for i in range(SHAPE.kernel_size):
            for j in range(SHAPE.kernel_size):
                y, x = (
                    row * SHAPE.stride - SHAPE.padding + i,
                    column * SHAPE.stride - SHAPE.padding + j,
                )
                if 0 <= y < SHAPE.in_size and 0 <= x < SHAPE.in_size:
                    products.append(
                        float(inputs["x"][image, c, y, x]) * float(inputs["weight"][channel, c, i, j])
                    )
    return math.fsum(map(abs, products) if absolute else products)


@pytest.mark.parametrize("family", FAMILIES)
def test_sampled_truth_is_the_truth_everywhere(family: str) -> None:
    """Both ways agree at places drawn from the whole output, corners included, NaN for NaN."""
    recipe = Recipe(family=family, seed=3, batch=2)
    count = math.prod(SMALL.output_shape(2))
    flat = np.r_[0, 6, 42, 48, count - 1, np.random.default_rng(5).integers(0, count, 200)]
    everywhere = truth_everywhere(SMALL, make_tensors(SMALL, recipe))
    sampled = truth_at(SMALL, recipe, unravel(SMALL, flat))
    scale = float(everywhere.magnitude.nan_to_num(posinf=0).max())
    for part in ("exact", "magnitude", "yardstick"):
        whole, picked = getattr(everywhere, part), getattr(sampled, part)
        assert whole.shape == (2, 6, 7, 7)
        assert whole.dtype == picked.dtype == torch.float64
        rtol = 2.0**-22 if part == "yardstick" else 1e-13
        assert torch.allclose(picked, whole.flatten()[flat], rtol=rtol, atol=1e-13 * scale, equal_nan=True)
        if part == "yardstick":
            assert torch.equal(picked.nan_to_num(), picked.float().double().nan_to_num()), "stored as float32"


def test_sampled_truth_is_of_the_recipe_that_was_called() -> None:
    """A slice, a shuffle and a scale of a recipe have other values at the same place."""
    place = unravel(SMALL, np.array([0, 100, 400]))
    plain = Recipe(family="normal", seed=3, batch=2)
    seen = truth_at(SMALL, plain, place).exact
    for change in ({"first": 1}, {"shuffled": FEATURES}, {"absent": ("bias",)}, {"seed": 4}):
        other = msgspec.structs.replace(plain, **change)
        assert not torch.allclose(truth_at(SMALL, other, place).exact, seen)
        whole = truth_everywhere(SMALL, make_tensors(SMALL, other)).flattened()
        assert torch.allclose(truth_at(SMALL, other, place).exact, whole.exact[[0, 100, 400]], rtol=1e-13)


def test_the_last_place_of_the_domain_has_a_truth() -> None:
    """Of a batch that no memory holds, the images that are asked for are made, and no others."""
    batch = ALEXNET_CONV1.max_batch
    recipe = Recipe(family="normal", seed=3, batch=batch)
    last = np.array([math.prod(ALEXNET_CONV1.output_shape(batch)) - 1])
    alone = make_items(ALEXNET_CONV1, recipe, [batch - 1]) | make_parameters(ALEXNET_CONV1, recipe)
    expected = truth_everywhere(ALEXNET_CONV1, alone).exact.flatten()[-1:]
    seen = truth_at(ALEXNET_CONV1, recipe, unravel(ALEXNET_CONV1, last))
    assert torch.allclose(seen.exact, expected, rtol=1e-13)


@pytest.mark.parametrize("place", [(0, 0, 0, 0), (1, 5, 6, 6), (1, 2, 0, 6), (0, 3, 3, 3)], ids=str)
def test_truth_is_what_a_slow_loop_sums(place: tuple[int, int, int, int]) -> None:
    """At corners the window hangs over the border, and what lies outside counts as zero."""
    inputs = make_small("normal")
    truth = truth_everywhere(SMALL, inputs)
    assert float(truth.exact[place]) == pytest.approx(convolve_slowly(inputs, place), rel=1e-12)
    magnitude = convolve_slowly(inputs, place, absolute=True)
    assert float(truth.magnitude[place]) == pytest.approx(magnitude, rel=1e-12)


def test_the_yardstick_is_the_truth_of_rounded_operands() -> None:
    """It equals the truth where operands are TF32 already, and differs where they are not."""
    coarse, fine = make_small("integer"), make_small("normal")
    exact = truth_everywhere(SMALL, coarse)
    assert torch.equal(exact.yardstick, exact.exact)
    rounded = by_name(round_to_tf32(fine["x"]), round_to_tf32(fine["weight"]), fine["bias"])
    of_rounded = truth_everywhere(SMALL, rounded).exact
    truth = truth_everywhere(SMALL, fine)
    assert torch.equal(truth.yardstick, of_rounded.float().double())
    assert not torch.allclose(truth.yardstick, truth.exact, rtol=1e-6, atol=0)


def test_a_flattened_truth_is_in_the_order_of_memory() -> None:
    """Each part of it, so that a value and its bound stay together."""
    truth = truth_everywhere(SMALL, make_small("normal"))
    flat = truth.flattened()
    for part in ("exact", "magnitude", "yardstick"):
        assert torch.equal(getattr(flat, part).reshape(2, 6, 7, 7), getattr(truth, part))
        assert getattr(flat, part).dim() == 1


def test_many_images_have_the_truth_that_each_has_alone() -> None:
    """However the images are grouped for the product, none meets another's patches."""
    inputs = make_small("normal", batch=66)
    truth = truth_everywhere(SMALL, inputs).exact
    for image in (0, 31, 32, 63, 64, 65):
        alone = truth_everywhere(SMALL, {**inputs, "x": inputs["x"][image : image + 1]})
        assert torch.allclose(truth[image], alone.exact[0], rtol=1e-13, atol=1e-12)


@pytest.mark.parametrize(
    ("value", "rounded"),
    [
        (0.0, 0.0),
        (1.0, 1.0),
        (-1.5, -1.5),
        (1 + UNIT, 1 + UNIT),
        (1 + UNIT / 2, 1.0),
        (1 + UNIT / 2 + 2.0**-23, 1 + UNIT),
        (1 + UNIT / 2 - 2.0**-23, 1.0),
        (1 + 3 * UNIT / 2, 1 + 2 * UNIT),
        (-1 - UNIT / 2, -1.0),
        (-1 - 3 * UNIT / 2, -1 - 2 * UNIT),
        (2 - 2.0**-23, 2.0),
        (8191.0, 8192.0),
        (2047.0, 2047.0),
        (2049.0, 2048.0),
        (2051.0, 2052.0),
        (2.0**-126, 2.0**-126),
        (2.0**127 * (1 + UNIT / 2 + 2.0**-23), 2.0**127 * (1 + UNIT)),
        (3.4028234663852886e38, math.inf),
        (math.inf, math.inf),
        (-math.inf, -math.inf),
    ],
)
def test_rounding_keeps_ten_fraction_bits_and_breaks_ties_to_even(value: float, rounded: float) -> None:
    """Just under, at and just over the middle of two TF32 values, on both signs and at the ends."""
    assert tf32(value) == pytest.approx(rounded, rel=0, abs=0)


def test_not_a_number_stays_not_a_number() -> None:
    """Also the one whose bits would carry over into the sign."""
    patterns = torch.tensor([0x7FC00000, 0x7F800001, 0x7FFFFFFF, -1], dtype=torch.int32)
    assert bool(round_to_tf32(patterns.view(torch.float32)).isnan().all())


def test_minus_zero_keeps_its_sign() -> None:
    """Zero is exact."""
    assert math.copysign(1, tf32(-0.0)) == -1


def test_flat_offsets_become_image_channel_row_and_column() -> None:
    """The column runs fastest, as it does in memory."""
    flat = np.array([0, 54, 55, 3024, 3025, 96 * 3025 - 1, 96 * 3025, 7394 * 96 * 3025 - 1])
    places = [tuple(int(axis[i]) for axis in unravel(ALEXNET_CONV1, flat)) for i in range(len(flat))]
    assert places == [
        (0, 0, 0, 0),
        (0, 0, 0, 54),
        (0, 0, 1, 0),
        (0, 0, 54, 54),
        (0, 1, 0, 0),
        (0, 95, 54, 54),
        (1, 0, 0, 0),
        (7393, 95, 54, 54),
    ]
