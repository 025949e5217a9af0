"""A model's parameters are found by name, else by shape and order, and a doubt is refused with both lists."""

import pytest
import torch
from torch import nn

from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.worker.fake_cuda.tensors import dress_model
from kernelgate.worker.model.parameters import ModelParameters, UnmatchedParametersError, match_parameters

WANTED = ALEXNET_CONV1.parameters
SHAPES = ALEXNET_CONV1.stored_parameters
WEIGHT, BIAS = SHAPES.values()


def holding(**shapes: tuple[int, ...]) -> nn.Module:
    """Return a model with such parameters, in that order; `__` in a name stands for a dot."""
    model = nn.Module()
    for name, shape in shapes.items():
        *path, last = name.split("__")
        owner = model
        for part in path:
            if not hasattr(owner, part):
                owner.add_module(part, nn.Module())
            owner = owner.get_submodule(part)
        owner.register_parameter(last, nn.Parameter(torch.zeros(shape)))
    return model


@pytest.mark.parametrize(
    ("shapes", "found"),
    [
        ({"conv1__weight": WEIGHT, "conv1__bias": BIAS}, ["conv1.weight", "conv1.bias"]),
        ({"bias": BIAS, "weight": WEIGHT}, ["weight", "bias"]),
        ({"features__w": WEIGHT, "shift": BIAS, "fc__weight": (10, 96)}, ["features.w", "shift"]),
        ({"other": BIAS, "conv1__bias": BIAS, "w": WEIGHT}, ["w", "conv1.bias"]),
        ({"conv1__weight": (96, 363), "w": WEIGHT, "conv1__bias": BIAS}, ["w", "conv1.bias"]),
    ],
)
def test_a_parameter_is_found_by_name_or_by_shape(
    shapes: dict[str, tuple[int, ...]], found: list[str]
) -> None:
    """Others of the model are left alone."""
    model = dict(holding(**shapes).named_parameters())
    matched = match_parameters(model, SHAPES)
    assert list(matched) == list(SHAPES)
    assert [name for wanted in matched.values() for name, each in model.items() if each is wanted] == found


def test_several_of_a_shape_go_by_their_order() -> None:
    """As the model registered them."""
    model = dict(holding(first=(3,), second=(3,)).named_parameters())
    matched = match_parameters(model, {"a": (3,), "b": (3,)})
    assert [matched["a"] is model["first"], matched["b"] is model["second"]] == [True, True]


@pytest.mark.parametrize(
    ("shapes", "says"),
    [
        ({"weight": WEIGHT}, "none of another name fits [96]"),
        ({"weight": WEIGHT, "bias": BIAS, "gamma": BIAS}, "2 of another name fit [96]"),
        ({"weight": (96, 363), "bias": BIAS}, "none of another name fits [96, 3, 11, 11]"),
        ({}, "ModelNew has the parameters none;"),
    ],
)
def test_what_is_missing_or_ambiguous_is_refused_with_both_lists(
    shapes: dict[str, tuple[int, ...]], says: str
) -> None:
    """What the model has, what is needed, and where they do not fit."""
    with pytest.raises(UnmatchedParametersError) as caught:
        ModelParameters(holding(**shapes), WANTED)
    assert says in str(caught.value)
    assert "conv1.weight [96, 3, 11, 11], conv1.bias [96]" in str(caught.value)


def test_a_parameter_of_two_names_is_replaced_under_both() -> None:
    """Taken out under both, too; the model that puts another in its place is seen."""
    model = holding(conv__weight=WEIGHT, conv__bias=BIAS)
    model.register_parameter("shift", model.get_parameter("conv.bias"))
    dress_model(model)
    parameters = ModelParameters(model, WANTED)
    fresh = nn.Parameter(torch.ones(BIAS))
    parameters.put("bias", fresh)
    assert model.get_parameter("shift") is model.get_parameter("conv.bias") is parameters["bias"] is fresh
    assert parameters.are_in_place()
    parameters.put("bias", None)
    assert (model.shift, model.get_submodule("conv").bias) == (None, None)
    parameters.put("bias", fresh)
    model.register_parameter("shift", nn.Parameter(torch.ones(BIAS)))
    assert not parameters.are_in_place()


def test_what_holds_a_parameter_beside_its_name_keeps_the_old_one() -> None:
    """Users know it by that name; a file that reads another handle on it is stale, and must be seen."""
    model = holding(conv1__weight=WEIGHT, conv1__bias=BIAS)
    old = model.get_parameter("conv1.bias")
    model.register_parameter("shift", old)
    parameters = ModelParameters(model, WANTED)
    parameters.put("bias", None)
    assert model.get_submodule("conv1").bias is None
    assert model.shift is old
