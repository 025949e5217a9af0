"""What each family of values holds: finite or not, exact or not, and what its name promises."""

import math
import os
import subprocess
import sys

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from kernelgate.operations.draws.recipe import Recipe
from kernelgate.operations.draws.tensors import make_tensors
from kernelgate.operations.draws.values import FAMILIES, HUGE, TAPS, TINY, make_family, seeded
from kernelgate.operations.truth.reference import Tensors, round_to_tf32
from tests.selftest.support.small_convolution import FAN_IN, geometry_of, resize

SMALL = resize(in_size=47, out_channels=32)
"""The same window, stride and padding on a smaller picture."""

SHAPE = geometry_of(SMALL)

EXACT = [name for name in FAMILIES if make_family(name, FAN_IN).exact]
SPECIAL = [name for name in FAMILIES if make_family(name, FAN_IN).special]
SMALLEST_NORMAL = 2.0**-126


def draw(family: str, seed: int = 7, batch: int = 2) -> Tensors:
    return make_tensors(SMALL, Recipe(family=family, seed=seed, batch=batch))


def parts(inputs: Tensors) -> tuple[Tensor, Tensor, Tensor]:
    return inputs["x"], inputs["weight"], inputs["bias"]


def bits(tensor: Tensor) -> Tensor:
    return tensor.view(torch.int32)


def truncate(values: Tensor) -> Tensor:
    """Return what a tensor core reads of a float32 operand."""
    return (bits(values) & ~0x1FFF).view(torch.float32)


def is_exact(inputs: Tensors) -> bool:
    """Whether TF32 operands and float32 sums, in two orders, give float64's values."""
    x, weight = truncate(inputs["x"]), truncate(inputs["weight"])
    geometry = {"stride": SHAPE.stride, "padding": SHAPE.padding}
    truth = conv2d(inputs["x"].double(), inputs["weight"].double(), inputs["bias"].double(), **geometry)
    forth = conv2d(x, weight, inputs["bias"], **geometry)
    back = conv2d(x.flip(1), weight.flip(1), **geometry) + inputs["bias"][:, None, None]
    return torch.equal(forth.double(), truth) and torch.equal(back.double(), truth)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_makes_float32_of_the_right_shape(family: str) -> None:
    """What a kernel is given is what the operation is defined on."""
    inputs = draw(family, batch=3)
    shapes = (SMALL.shape_of("x", 3), SMALL.shape_of("weight", 3), SMALL.shape_of("bias", 3))
    for tensor, shape in zip(parts(inputs), shapes, strict=True):
        assert tensor.shape == shape
        assert tensor.dtype == torch.float32
        assert tensor.is_contiguous()


@pytest.mark.parametrize("family", FAMILIES)
def test_only_a_special_family_holds_what_is_no_number(family: str) -> None:
    """A law that looks at finite places only must not be handed others unawares."""
    finite = all(bool(tensor.isfinite().all()) for tensor in parts(draw(family)))
    assert finite == (family not in SPECIAL)


@pytest.mark.parametrize("family", FAMILIES)
def test_another_seed_makes_other_tensors(family: str) -> None:
    """No answer of an earlier call is the right one for the next; zeros alone are always the same."""
    for one, other in zip(parts(draw(family, 7)), parts(draw(family, 8)), strict=True):
        assert not torch.equal(bits(one), bits(other)) or not bool(one.any())


def test_no_two_families_make_the_same_tensors() -> None:
    """Each name stands for values of its own."""
    drawn = [parts(draw(family, batch=1)) for family in FAMILIES]
    alike = [
        all(torch.equal(bits(a), bits(b)) for a, b in zip(one, other, strict=True))
        for place, one in enumerate(drawn)
        for other in drawn[:place]
    ]
    assert not any(alike)


def test_an_image_a_weight_and_a_bias_of_one_seed_are_drawn_apart() -> None:
    """Two roles that shared a generator would hold the same numbers."""
    starts = {seeded(7, role).initial_seed() for role in ("0", "1", "10", "weight", "bias")}
    assert len(starts) == 5
    assert seeded(7, "1").initial_seed() != seeded(71, "").initial_seed()


def test_a_seed_means_the_same_in_every_process() -> None:
    """Judge and worker draw apart, and Python's own hash of a text differs between them."""
    script = (
        "from kernelgate.operations.draws.values import seeded; print(seeded(7, 'weight').initial_seed())"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "1"}
    child = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True)
    assert int(child.stdout) == seeded(7, "weight").initial_seed()


@pytest.mark.parametrize("family", EXACT)
@pytest.mark.parametrize("seed", range(3))
def test_an_exact_family_rounds_nowhere(family: str, seed: int) -> None:
    """Operands are TF32 already, and no sum of any order leaves float32: the smallest fault shows."""
    inputs = draw(family, seed)
    assert torch.equal(round_to_tf32(inputs["x"]), inputs["x"])
    # Beside an image of zeros the weight does not matter.
    assert torch.equal(round_to_tf32(inputs["weight"]), inputs["weight"]) or not bool(inputs["x"].any())
    assert is_exact(inputs)


def test_a_family_that_rounds_is_not_called_exact() -> None:
    """The check that exact families pass is one that others fail."""
    assert EXACT
    assert not any(is_exact(draw(family)) for family in FAMILIES if family not in (*EXACT, *SPECIAL))


@pytest.mark.parametrize("seed", range(8))
def test_one_hot_sets_one_value_an_image_and_some_of_them_on_the_border(seed: int) -> None:
    """Halo faults live at the first and the last row; others inside."""
    x = draw("one-hot", seed, batch=16)["x"]
    assert x.sum(dim=(1, 2, 3)).tolist() == [1.0] * 16
    assert x.count_nonzero() == 16
    corners = x[:, :, :: SHAPE.in_size - 1, :: SHAPE.in_size - 1].sum(dim=(1, 2, 3))
    assert 0 < corners.sum() < 16


def test_one_hot_filters_have_one_tap_each() -> None:
    """Not all of them the same, so that an index that is off picks another pixel."""
    weight = draw("one-hot-weight")["weight"].flatten(1)
    assert weight.sum(1).tolist() == [1.0] * SHAPE.out_channels
    assert len(set(weight.argmax(1).tolist())) > 1
    assert float(draw("one-hot-weight")["x"].abs().max()) <= TAPS


@pytest.mark.parametrize("seed", range(4))
def test_specials_of_every_kind_are_in_the_images(seed: int) -> None:
    """Both infinities and NaN; bias and weight are ordinary, so that each is seen for what it is."""
    inputs = draw("special", seed, batch=1)
    assert bool(inputs["x"].isnan().any())
    assert bool((inputs["x"] == math.inf).any())
    assert bool((inputs["x"] == -math.inf).any())
    assert 30 <= int((~inputs["x"].isfinite()).sum()) <= 40
    assert bool(inputs["weight"].isfinite().all())
    assert bool(inputs["bias"].isfinite().all())


@pytest.mark.parametrize("seed", range(16))
def test_special_taps_never_meet_the_padding(seed: int) -> None:
    """What zero times infinity is there, is not said: the outermost taps are numbers."""
    inputs = draw("special-weight", seed, batch=1)
    odd = (~inputs["weight"].isfinite()).nonzero()
    margin, size = SHAPE.padding, SHAPE.kernel_size
    assert len(odd) > 0
    assert bool(((odd[:, 2:] >= margin) & (odd[:, 2:] < size - margin)).all())
    assert 1 <= int((~inputs["bias"].isfinite()).sum()) <= 2
    assert bool(inputs["x"].isfinite().all())


def test_a_nan_is_the_canonical_one() -> None:
    """TF32 would cut another down to an infinity."""
    x = draw("special", batch=1)["x"]
    assert set(bits(x)[x.isnan()].tolist()) == {0x7FC00000}
    assert bool(round_to_tf32(x)[x.isnan()].isnan().all())


@pytest.mark.parametrize(("family", "scale"), [("tiny", TINY), ("huge", HUGE)])
def test_extreme_values_stay_clear_of_overflow_and_of_subnormals(family: str, scale: float) -> None:
    """Far from ordinary, yet every product, and every sum of them, is a normal float32."""
    inputs = draw(family)
    for tensor in (inputs["x"], inputs["bias"]):
        assert 0.5 * scale < float(tensor.square().mean().sqrt() if scale < 1 else tensor.std()) < 2 * scale
    smallest = float(inputs["x"].abs().min()) * float(inputs["weight"].abs().min())
    largest = float(inputs["x"].abs().max()) * float(inputs["weight"].abs().max()) * SHAPE.reduction
    assert smallest > SMALLEST_NORMAL
    assert largest < torch.finfo(torch.float32).max


def test_each_name_says_what_is_in_it() -> None:
    """Constant, sparse, smooth, cancelling, and of ranges that a narrow format does not have."""
    drawn = {family: draw(family)["x"] for family in FAMILIES}
    assert all(len(image.unique()) == 1 for image in drawn["constant"])
    assert torch.equal(round_to_tf32(drawn["constant"]), drawn["constant"])
    assert 0.001 < float((drawn["sparse"] != 0).float().mean()) < 0.1
    steps = drawn["smooth"].diff(dim=-1).abs().max()
    assert float(steps) < 0.2 < float(drawn["smooth"].abs().max())
    assert bool((drawn["cancelling"][..., 1:] * drawn["cancelling"][..., :-1] < 0).all())
    assert bool(((drawn["uniform"] >= 0) & (drawn["uniform"] < 1)).all())
    assert not bool(drawn["zero"].any())
    exponents = drawn["wide-range"].abs().log2()
    assert float(exponents.max() - exponents.min()) > 24
    bound = SHAPE.reduction**-0.5
    new = draw("new-layer")
    assert 0.9 * bound < float(new["weight"].abs().max()) <= bound
    assert 0.5 * bound < float(new["bias"].abs().max()) <= bound
    columns = draw("magnitudes", batch=1)["x"].square().mean((0, 1, 2)).log2()
    assert float(columns.max() - columns.min()) > 2 * 60
    channels = torch.cat([draw("channel-range", seed)["x"] for seed in range(4)]).square().mean((2, 3)).log2()
    assert float(channels.max() - channels.min()) > 12
