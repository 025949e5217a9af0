"""Values near a number: on both sides of it, at it, and beside it."""

import numpy as np
import pytest
import torch

from kernelgate.correctness.case import parse_case
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.draws.near_values import (
    ABOVE,
    BELOW,
    KINDS,
    LARGEST,
    can_be_drawn,
    near_family,
    parse_near,
)
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.operations.draws.tensors import make_item, make_parameters
from kernelgate.operations.draws.values import seeded
from tests.selftest.support.small_convolution import FAN_IN

THOUSAND = "447a0000"


def bits_of(value: float) -> str:
    return f"{int(np.array(value, np.float32).view(np.uint32)):08x}"


def recipe(near: str) -> Recipe:
    return Recipe(family="normal", seed=3, batch=KINDS, near=near)


def parameters(near: str) -> tuple[torch.Tensor, torch.Tensor]:
    made = make_parameters(ALEXNET_CONV1, recipe(near))
    return made["weight"], made["bias"]


def item(near: str, number: int) -> torch.Tensor:
    return make_item(ALEXNET_CONV1, recipe(near), ALEXNET_CONV1.inputs[0], number)


def test_pixels_lie_on_both_sides_of_the_number_at_it_and_beside_it() -> None:
    image = item(f"x:{THOUSAND}", 0)
    for wanted in (1000.0, -1000.0, np.nextafter(np.float32(1000), 0), np.nextafter(np.float32(1000), 2000)):
        assert (image == float(wanted)).any()
    assert 0.3 < float((image.abs() > 1000).float().mean()) < 0.7


def test_images_take_turns_so_that_whole_tiles_lie_on_one_side() -> None:
    """All below, all above, and all above with the number's sign."""
    images = [item(f"x:{THOUSAND}", number) for number in range(KINDS)]
    assert images[1].abs().max() < 1000
    assert images[2].abs().min() > 1000
    assert images[2].min() < -1000
    assert images[3].min() > 1000


def test_images_around_zero_are_of_either_sign_or_nothing() -> None:
    images = [item("x:00000000", number) for number in range(KINDS)]
    assert not images[1].any()
    assert images[2].max() <= 0 <= images[3].min()
    assert torch.signbit(images[0][images[0] == 0]).any()


@pytest.mark.parametrize(("side", "holds"), [(BELOW, torch.lt), (ABOVE, torch.gt)])
def test_a_whole_weight_or_bias_lies_on_one_side(side: str, holds: object) -> None:
    """A fault may ask for the largest of a tile."""
    assert callable(holds)
    for what, place in (("weight", 0), ("bias", 1)):
        assert holds(parameters(f"{what}{side}:{THOUSAND}")[place].abs(), torch.tensor(1000.0)).all()


def test_a_number_has_a_case_for_each_side_of_the_parameters() -> None:
    assert [str(each) for each in parse_near(f"weight:{THOUSAND}").sides()] == [
        f"weight:{THOUSAND}", f"weight<:{THOUSAND}", f"weight>:{THOUSAND}"
    ]  # fmt: skip
    assert len(parse_near(f"x:{THOUSAND}").sides()) == 1


def test_sums_come_near_the_number_and_to_it() -> None:
    """A window holds a single 1, so that a filter's values are answers; of zeros the bias is the answer."""
    near = f"sum:{THOUSAND}"
    weight, bias = parameters(near)
    assert (weight == 1000).any()
    assert (bias == 1000).any()
    assert not bias[1::2].any()
    images = [item(near, number) for number in range(KINDS)]
    assert not images[1].any()
    assert set(images[2].unique().tolist()) == {0.0, 1.0}
    windows = torch.nn.functional.max_pool2d(images[2][None], 11, 1) != 0
    assert torch.nn.functional.avg_pool2d(images[2][None], 11, 1).max() * 121 < 1.5
    assert windows.any()


def test_what_goes_with_the_number_is_of_its_magnitude() -> None:
    """Beside a bias of ordinary size a fault of tiny pixels would not show."""
    _, bias = parameters(f"x:{bits_of(1e-20)}")
    assert 1e-21 < bias.abs().median() < 1e-19
    image = item(f"bias:{bits_of(1e20)}", 0)
    assert 1e17 < image.abs().median() < 1e19


@pytest.mark.parametrize(
    ("near", "can"),
    [
        (f"x:{THOUSAND}", True),
        ("x:80000000", True),
        (f"x:{bits_of(2 * LARGEST)}", False),
        ("x:7f800000", False),
        ("x:7fc02000", True),
        ("x:7fc00001", False),
        ("bias:7fc00001", True),
        ("sum:7fc00000", False),
    ],
)
def test_what_an_honest_kernel_cannot_compute_is_not_drawn(near: str, can: bool) -> None:
    """Sums that overflow, and NaN in which TF32 reads an infinity."""
    assert can_be_drawn(parse_near(near)) is can


def test_a_nan_keeps_its_payload() -> None:
    image = item("x:7fc02000", 0)
    assert set(image[image.isnan()].view(torch.int32).tolist()) == {0x7FC02000}
    assert near_family("x:7fc02000", FAN_IN).special


def test_the_same_recipe_makes_the_same_values() -> None:
    family = near_family(f"weight:{THOUSAND}", FAN_IN)
    one, other = (family.weight((3, 3), seeded(7, "weight")) for _ in range(2))
    assert torch.equal(one, other)


@pytest.mark.parametrize(
    "text", ["", "y:447a0000", "x:447a", "x:447A0000", "x<:447a0000", "weight", "weight!:447a0000"]
)
def test_a_text_that_names_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a place"):
        parse_near(text)


def test_a_case_is_replayed_near_its_number() -> None:
    """And one that has none reads as it always did."""
    text = f"batch=4,family=normal,seed=1,pin=0,programs=0,layout=contiguous,relation=none,near=x:{THOUSAND}"
    case = parse_case(text)
    assert case.replay == text
    assert case.recipe.near == f"x:{THOUSAND}"
    assert f"near x:{THOUSAND}" in str(case)
    with pytest.raises(ValueError, match="not a case"):
        parse_case(text + "0")
