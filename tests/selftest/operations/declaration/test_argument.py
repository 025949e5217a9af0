"""A tensor that an operation takes: its shape at a batch, the axis of N, and how its values are drawn."""

import pytest

from kernelgate.operations.declaration.argument import Argument, resolve


@pytest.mark.parametrize(
    ("shape", "axis", "at_five"),
    [
        (("N", 3, 8), 0, (5, 3, 8)),
        ((6, "N"), 1, (6, 5)),
        (("N",), 0, (5,)),
    ],
)
def test_a_free_size_stands_on_one_axis(
    shape: tuple[int | str, ...], axis: int, at_five: tuple[int, ...]
) -> None:
    """Whichever it is; values are drawn item by item along it."""
    argument = Argument("x", shape)  # type: ignore[arg-type]
    assert argument.is_free
    assert argument.axis == axis
    assert argument.shape_at(5) == at_five == resolve(argument.shape, 5)
    assert argument.role == "x"


@pytest.mark.parametrize(("shape", "role"), [((4, 3), "weight"), ((4, 3, 2, 2), "weight"), ((4,), "bias")])
def test_a_tensor_without_a_free_size_is_the_same_at_every_batch(shape: tuple[int, ...], role: str) -> None:
    """A matrix or filters are drawn as a weight, a vector as a bias, whatever they are called."""
    argument = Argument("gamma", shape)
    assert not argument.is_free
    assert argument.role == role
    assert argument.shape_at(1) == argument.shape_at(9) == shape
    with pytest.raises(ValueError, match="not in tuple"):
        _ = argument.axis
