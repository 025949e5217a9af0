"""The script of a fault: plain PyTorch makes the very tensors of a case, and names the wrong element."""

import math
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from kernelgate.correctness.case import LAYOUTS
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.operations.draws.tensors import make_tensors
from kernelgate.operations.draws.values import FAMILIES, make_family
from kernelgate.operations.faults.plain_draws import PLAIN_LAYOUTS
from kernelgate.operations.faults.script import Shown, has_script, render_script
from kernelgate.worker.tensors.layouts import lay_out
from tests.selftest.support.small_convolution import FAN_IN

MAX_LINES = 46
OFFSET = ((1 * 96 + 5) * 55 + 7) * 55
"""Of out[1, 5, 7, 0]."""

KERNEL = """
import torch

class ModelNew(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, 96, 11, 4, 2)

    def cuda(self):
        return self

    def forward(self, x):
        answer = torch.nn.functional.conv2d(
            x.double(), self.conv1.weight.double(), self.conv1.bias.double(), 4, 2
        ).float()
        answer[1, 5, :, 0] += SHIFT
        return answer
"""


def shown(family: str = "normal", layout: str = "contiguous", **changes: Any) -> Shown:
    recipe = Recipe(**{"family": family, "seed": 11, "batch": 2, **changes})
    return Shown(
        title="a case",
        kernel="kernel.py",
        recipe=recipe,
        layout=layout,
        pin=1,
        offset=OFFSET,
        is_exact=make_family(family, FAN_IN).exact,
    )


def made_by(script: str) -> dict[str, Any]:
    """Return the tensors that a script makes, without its call of the kernel."""
    begin, end = script.index("def seeded"), script.index("model = ")
    names: dict[str, Any] = {"torch": torch, "math": math, "random": random}
    exec(script[begin:end], names)  # noqa: S102 - the gate's own text
    return names


def bits_of(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous().view(torch.int32)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("batch", "pool"), [(2, 64), (5, 3)])
def test_a_script_makes_the_same_bits(family: str, batch: int, pool: int) -> None:
    """Of every family, and of batches that repeat images."""
    asked = shown(family, batch=batch, pool=pool)
    assert has_script(asked.recipe, "contiguous")
    made, wanted = made_by(render_script(ALEXNET_CONV1, asked)), make_tensors(ALEXNET_CONV1, asked.recipe)
    for name in ("x", "weight", "bias"):
        assert torch.equal(bits_of(made[name]), bits_of(wanted[name]))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_script_lays_x_out_as_the_case_does(layout: str) -> None:
    """The same strides and offset."""
    x = torch.randn(3, 3, 8, 8)
    mine, theirs = eval(PLAIN_LAYOUTS[layout]), lay_out(x, layout)  # noqa: S307 - likewise
    assert (mine.stride(), mine.storage_offset()) == (theirs.stride(), theirs.storage_offset())
    assert torch.equal(mine, theirs)


@pytest.mark.parametrize(
    "changes",
    [
        {"exponents": (("x", 1),)},
        {"shuffled": "batch"},
        {"shuffled": "features"},
        {"absent": ("bias",)},
        {"seeds": (("weight", 3),)},
        {"half_seed": 3},
        {"first": 1},
    ],
    ids=str,
)
def test_what_plain_tensors_do_not_show_has_no_script(changes: dict[str, Any]) -> None:
    """A recipe of a later call; the seeds of parts may be those of the whole."""
    assert not has_script(msgspec.structs.replace(shown().recipe, **changes), "contiguous")
    assert has_script(
        msgspec.structs.replace(shown().recipe, seeds=(("weight", 11),), half_seed=11), "offset"
    )
    assert not has_script(msgspec.structs.replace(shown().recipe, family="unheard"), "contiguous")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_script_is_short_and_needs_no_gate(family: str) -> None:
    """It fits on a screen."""
    script = render_script(ALEXNET_CONV1, shown(family, batch=1001))
    assert len(script.splitlines()) <= MAX_LINES
    assert "import kernelgate" not in script


@pytest.mark.parametrize(("shift", "wrong"), [("0.0", 0), ("1e6", 55)])
def test_a_script_counts_what_is_wrong(tmp_path: Path, shift: str, wrong: int) -> None:
    """Here on the CPU, by a file whose answer is right but for a column."""
    (tmp_path / "k.py").write_text(KERNEL.replace("SHIFT", shift))
    script = render_script(ALEXNET_CONV1, shown()).replace("x.cuda()", "x")
    (tmp_path / "reproduce.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "reproduce.py", "k.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("out[1, 5, 7, 0]: got ")
    assert f"{wrong} of 290400 elements of image 1 are wrong" in done.stdout
