"""The open form: nearly anything, but for the parts that the gate itself calls."""

import pytest

from kernelgate.kernel_file.open_form import check_open_form
from kernelgate.kernel_file.source import KernelFile
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from tests.selftest.corpus.planted.form_alikes import FORMS, KERNELBENCH
from tests.selftest.corpus.planted.host_alikes import HOST_CODE, LAUNCHES

SMALL = """import triton


@triton.jit
def kernel(x_ptr): pass


class ModelNew(Base):
    def forward(self, x, stride=4): pass
"""


def broken(source: str) -> list[tuple[str, int]]:
    """Return the broken rules and their lines."""
    found = check_open_form(KernelFile(path="k.py", sha256="0" * 64, source=source), ALEXNET_CONV1)
    return [(violation.rule, violation.line) for violation in found]


@pytest.mark.parametrize("honest", [*FORMS, *HOST_CODE, *LAUNCHES], ids=lambda each: each.name)
def test_what_people_write_has_the_open_form(honest: object) -> None:
    """Whatever stands before, between and after the parts."""
    assert broken(honest.source) == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("old", "new", "rule", "line"),
    [
        ("@triton.jit\n", "", "kernel-missing", 1),
        ("ModelNew", "Model", "model-missing", 1),
        ("x, stride=4", "x, weight", "model-forward", 9),
        ("x, stride=4", "", "model-forward", 9),
        ("    def f", "    def __init__(self, width): pass\n    def f", "model-init", 9),
        ("import triton", "import triton\n(", "not-python", 2),
    ],
)
def test_what_the_gate_calls_must_be_there(old: str, new: str, rule: str, line: int) -> None:
    """A kernel, a model, and a forward that takes x alone."""
    assert broken(SMALL) == []
    assert (rule, line) in broken(SMALL.replace(old, new, 1))


def test_who_asks_for_parameters_in_forward_is_told_where_they_belong() -> None:
    """By what names or shapes the gate finds them in the model."""
    source = SMALL.replace("x, stride=4", "x, weight, bias")
    kernel = KernelFile(path="k.py", sha256="a" * 64, source=source)
    (said,) = [each.message for each in check_open_form(kernel, ALEXNET_CONV1)]
    assert "forward requires ['x', 'weight', 'bias']; allowed: x, and whatever has a default" in said
    assert said.endswith("in __init__, by these names or of these shapes: conv1.weight, conv1.bias")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    def f", "    def __init__(self, num_classes): pass\n    def f"),
        ("    def f", "    def __init__(self, *sizes, **more): pass\n    def f"),
        ("    def f", "    def __init__(self, width): pass\n    def f"),
        ("class ModelNew", "class Fast"),
        ("    def forward(self, x, stride=4): pass", "    pass"),
    ],
)
def test_a_model_may_be_made_and_inherited_in_any_way(old: str, new: str) -> None:
    """By num_classes, by what the file says itself, or under another name first."""
    end = "\ndef get_init_inputs(): return [3]\n\nModelNew = Fast\n"
    assert broken(SMALL.replace(old, new, 1) + end) == []


def test_the_message_says_what_is_there_and_what_to_write() -> None:
    """A file with the reference alone is told which class it lacks."""
    source = KERNELBENCH.replace("class ModelNew(Model)", "class Fast(Model)")
    (violation,) = check_open_form(KernelFile(path="k.py", sha256="0" * 64, source=source), ALEXNET_CONV1)
    assert "got Model, Fast" in violation.message
    assert "class ModelNew" in violation.message
