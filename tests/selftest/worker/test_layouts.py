"""The layouts of x: the same values in other strides, in memory of their own, with NaN beside."""

import pytest
import torch

from kernelgate.correctness.case import LAYOUTS
from kernelgate.worker.tensors.layouts import OFFSET, lay_out, overwrite, stored_images

SHAPE = (3, 2, 4, 6)
STRIDES = {
    "contiguous": (48, 24, 6, 1),
    "channels-last": (48, 1, 12, 2),
    "every-second-image": (96, 24, 6, 1),
    "column-slice": (176, 88, 22, 1),
    "offset": (48, 24, 6, 1),
    "odd-offset": (48, 24, 6, 1),
    "expanded": (0, 24, 6, 1),
    "transposed": (48, 24, 1, 4),
}


def make_x(layout: str = "contiguous") -> torch.Tensor:
    """Return values of which no two are alike; of an expanded batch the images are."""
    x = torch.arange(144, dtype=torch.float32).reshape(SHAPE)
    return x[:1].repeat(3, 1, 1, 1) if layout == "expanded" else x


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_has_the_same_values_in_strides_of_its_own(layout: str) -> None:
    """Every layout that a case may name."""
    x = make_x(layout)
    laid = lay_out(x, layout)
    assert torch.equal(laid, x)
    assert laid.stride() == STRIDES[layout]
    assert laid.is_contiguous() == (layout in ("contiguous", "offset", "odd-offset"))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_beside_what_belongs_to_x_lies_nan(layout: str) -> None:
    """All else in its memory is not a number, so that a wrong stride shows."""
    laid = lay_out(make_x(layout), layout)
    whole = torch.empty(0).set_(laid.untyped_storage())
    stored = stored_images(laid).fill_(0)
    assert int(whole.isnan().sum()) == whole.numel() - stored.numel()


def test_an_offset_x_begins_within_its_memory_on_a_whole_cache_line() -> None:
    """The pointer is as round as any, and what lies before it is not x's."""
    laid = lay_out(make_x(), "offset")
    assert laid.storage_offset() == OFFSET
    assert OFFSET * laid.element_size() % 128 == 0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_a_copy(layout: str) -> None:
    """What is done to it is not done to the values that the judge compares with."""
    x = make_x(layout)
    stored_images(lay_out(x, layout)).zero_()
    assert torch.equal(x, make_x(layout))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_new_contents_come_into_the_same_memory_unannounced(layout: str) -> None:
    """As a raw copy would bring them: a cache that asks for PyTorch's version of the tensor sees none."""
    x = make_x(layout)
    laid = lay_out(x, layout)
    address, version = laid.data_ptr(), laid._version
    overwrite(laid, -x)
    assert torch.equal(laid, -x)
    assert (laid.data_ptr(), laid._version) == (address, version)
    stored_images(laid).neg_()
    assert laid._version > version


def test_a_layout_that_is_not_known_is_refused() -> None:
    """By its name."""
    with pytest.raises(KeyError, match="sideways"):
        lay_out(make_x(), "sideways")
