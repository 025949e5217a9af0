"""Every operation's script makes the tensors of its cases, of every family that it is tried on."""

import math
import random
from typing import Any

import pytest
import torch

from kernelgate.correctness.planning.planned_cases import families_of
from kernelgate.operations import OPERATIONS, find_operation
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.operations.draws.tensors import make_tensors
from kernelgate.operations.faults.script import Shown, has_script, render_script

CASES = [
    (name, family)
    for name in OPERATIONS
    if name != "alexnet_conv1"  # another test has it
    for family in families_of(find_operation(name))
]


@pytest.mark.parametrize(("name", "family"), CASES)
def test_a_script_makes_the_same_bits(name: str, family: str) -> None:
    """Also of matrices, of vectors that multiply, and of items along another axis."""
    operation, recipe = find_operation(name), Recipe(family=family, seed=11, batch=3)
    assert has_script(recipe, "contiguous")
    shown = Shown(
        title="a case",
        kernel="kernel.py",
        recipe=recipe,
        layout="contiguous",
        pin=0,
        offset=5,
        is_exact=False,
    )
    script = render_script(operation, shown)
    names: dict[str, Any] = {"torch": torch, "math": math, "random": random}
    exec(script[script.index("def seeded") : script.index("model = ")], names)  # noqa: S102 - the gate's own text
    for argument, wanted in make_tensors(operation, recipe).items():
        made = names[argument].contiguous()
        assert torch.equal(made.view(torch.uint8), wanted.contiguous().view(torch.uint8)), argument
