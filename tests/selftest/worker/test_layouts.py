"""The layouts of x: the same values in other strides, in memory of their own, with NaN beside."""

import subprocess
import sys

import pytest
import torch

from kernelgate.correctness.case import EXPANDED, GREY, LAYOUTS
from kernelgate.worker.tensors.layouts import OFFSET, lay_out, overwrite

SHAPE = (3, 2, 4, 6)
STRIDES = {
    "contiguous": (48, 24, 6, 1),
    "channels-last": (48, 1, 12, 2),
    "every-second-item": (96, 24, 6, 1),
    "column-slice": (176, 88, 22, 1),
    "offset": (48, 24, 6, 1),
    "odd-offset": (48, 24, 6, 1),
    "expanded": (0, 24, 6, 1),
    "grey": (24, 0, 6, 1),
    "transposed": (48, 24, 1, 4),
}


def shown(x: torch.Tensor, layout: str) -> torch.Tensor:
    """Return what a layout shows of values: one image of an expanded batch, one channel of a grey one."""
    return {EXPANDED: x[:1].expand(x.shape), GREY: x[:, :1].expand(x.shape)}.get(layout, x)


@pytest.fixture
def x() -> torch.Tensor:
    return torch.arange(144, dtype=torch.float32).reshape(SHAPE)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_has_the_same_values_in_strides_of_its_own(x: torch.Tensor, layout: str) -> None:
    """Every layout that a case may name."""
    laid = lay_out(x, layout)
    assert torch.equal(laid, shown(x, layout))
    assert laid.stride() == STRIDES[layout]
    assert laid.is_contiguous() == (layout in ("contiguous", "offset", "odd-offset"))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_beside_what_belongs_to_x_lies_nan(x: torch.Tensor, layout: str) -> None:
    """All else in its memory is not a number, so that a wrong stride shows."""
    laid = lay_out(x, layout)
    whole = torch.empty(0).set_(laid.untyped_storage())
    own = {EXPANDED: x[:1], GREY: x[:, :1]}.get(layout, x)
    overwrite(laid, torch.zeros_like(x))
    assert int(whole.isnan().sum()) == whole.numel() - own.numel()


def test_an_offset_x_begins_within_its_memory_on_a_whole_cache_line(x: torch.Tensor) -> None:
    """The pointer is as round as any, and what lies before it is not x's."""
    laid = lay_out(x, "offset")
    assert laid.storage_offset() == OFFSET
    assert OFFSET * laid.element_size() % 128 == 0


def test_an_odd_offset_is_a_multiple_of_nothing(x: torch.Tensor) -> None:
    """Whoever loads two values at once, or sixteen bytes, must ask where it begins."""
    assert lay_out(x, "odd-offset").storage_offset() == 1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_a_copy(x: torch.Tensor, layout: str) -> None:
    """What is done to it is not done to the values that the judge compares with."""
    overwrite(lay_out(x, layout), torch.zeros_like(x))
    assert torch.equal(x, torch.arange(144, dtype=torch.float32).reshape(SHAPE))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_new_contents_come_into_the_same_memory_unannounced(x: torch.Tensor, layout: str) -> None:
    """As a raw copy would bring them: a cache that asks for PyTorch's version of the tensor sees none."""
    laid = lay_out(x, layout)
    address, version = laid.data_ptr(), laid._version
    overwrite(laid, -x)
    assert torch.equal(laid, shown(-x, layout))
    assert (laid.data_ptr(), laid._version) == (address, version)
    laid[:1, :1].copy_(x[:1, :1])
    assert laid._version > version


def test_a_layout_that_is_not_known_is_refused(x: torch.Tensor) -> None:
    """By its name."""
    with pytest.raises(KeyError, match="sideways"):
        lay_out(x, "sideways")


def test_no_layout_costs_an_import() -> None:
    """PyTorch imports SymPy for some copies of tensors without memory: three seconds of every worker."""
    code = """
import sys, torch
from kernelgate.worker.tensors.layouts import _LAYOUTS, lay_out
x = torch.empty((2, 3, 5, 5), device="meta")
before = set(sys.modules)
for layout in _LAYOUTS: lay_out(x, layout)
print(sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
