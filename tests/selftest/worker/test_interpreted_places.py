"""Where a finding is: a tensor's element by its axes, and the line of the kernel file."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from kernelgate.interpreter.findings import Finding
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.worker.interpret.places import Places

TTIR = """#loc = loc("/tmp/kernel.py":20:0)
module {
  %1 = tt.load %0 : !tt.ptr<f32> loc(#loc7)
} loc(#loc)
#loc3 = loc("/tmp/kernel.py":88:13)
#loc7 = loc("patch"(#loc3))
"""
X_BYTES = 4 * 3 * 224 * 224
PLAN: Any = SimpleNamespace(
    batch=1,
    buffers=(SimpleNamespace(role="x", bytes=X_BYTES), SimpleNamespace(role="weight", bytes=4 * 96 * 363)),
    answer=SimpleNamespace(offset=0),
    programs=(SimpleNamespace(kernel="conv", ttir="a"),),
)


def describe(plan: Any = PLAN, **changes: Any) -> str:
    finding = Finding(kind="outside", kernel="conv", program=(0, 0, 0), text="seen", **changes)
    return Places(ALEXNET_CONV1, cast("Any", plan), lambda _: TTIR).describe(finding)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"buffer": "x", "offset": 4 * (2 * 224 * 224 + 5 * 224 + 7)}, "seen at x[0,2,5,7]"),
        ({"buffer": "x", "offset": X_BYTES}, "seen at what would be x[1,0,0,0]"),
        ({"buffer": "x", "offset": -4}, "seen at what would be x[-1,2,223,223]"),
        ({"buffer": "weight", "offset": 4 * 364}, "seen at weight[1,0,0,1]"),
        ({"buffer": "the answer", "offset": 4 * 55}, "seen at out[0,0,1,0]"),
        ({"buffer": "bias", "offset": 4 * 96}, "seen at what would be bias[96]"),
        ({"buffer": "temporary 3", "offset": 4}, "seen"),
        ({}, "seen"),
    ],
)
def test_an_element_is_named_by_its_axes(where: dict[str, Any], said: str) -> None:
    """Beyond the ends it is the one that would be there; of other memory nothing is known."""
    assert describe(**where) == said


def test_the_line_is_that_of_the_kernel_file() -> None:
    """By the locations that the compiler keeps."""
    assert describe(line=3) == "seen (line 88 of the kernel file)"
    assert describe(line=2) == "seen"


def test_what_lies_elsewhere_or_is_not_certain_is_not_told() -> None:
    """An x of other strides; two programs of one name."""
    strided = SimpleNamespace(**{**vars(PLAN), "buffers": (SimpleNamespace(role="x", bytes=2 * X_BYTES),)})
    assert describe(strided, buffer="x", offset=4) == "seen"
    twins = (*PLAN.programs, SimpleNamespace(kernel="conv", ttir="b"))
    assert describe(SimpleNamespace(**{**vars(PLAN), "programs": twins}), line=3) == "seen"
