"""The layouts that inputs come in: the same values, other strides. Beside what belongs to one lies NaN."""

from collections.abc import Callable

import torch

CONTIGUOUS = "contiguous"
CHANNELS_LAST = "channels-last"
PICTURE_RANK = 4
"""Axes of pictures and of filters: PyTorch's `channels_last` is for these alone."""

OFFSET = 1024
"""Elements before and after x in layout `offset`: a whole number of cache lines."""

ELEMENTS_BEFORE = {"offset": OFFSET, "odd-offset": 1}
"""So many elements lie before x, and as many behind it."""


def lies_item_by_item(layout: str, rank: int) -> bool:
    """Whether x [N, ...] of that rank lies as its items do, each laid out by itself, one after the other."""
    return layout != "transposed" or rank >= 3  # of two axes one is N


def lay_out(x: torch.Tensor, layout: str) -> torch.Tensor:
    """Return x [N, ...] in another memory of that layout; raises KeyError for one that is not known."""
    return _LAYOUTS[layout](x)


def lay_out_weight(weight: torch.Tensor, layout: str) -> torch.Tensor:
    """Return a parameter as it lies beside inputs of that layout: channels-last is said of a whole model."""
    pictures = layout == CHANNELS_LAST and weight.dim() == PICTURE_RANK
    return _channels_last(weight) if pictures else weight


def bytes_of(tensor: torch.Tensor) -> torch.Tensor:
    """Return the whole storage that a tensor lies in, as bytes."""
    return torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(tensor.untyped_storage())


def overwrite(x: torch.Tensor, values: torch.Tensor) -> None:
    """Write values into the memory of x, as a raw copy would: the version that PyTorch counts stays."""
    stored = stored_items(x.data)
    stored.copy_(values[tuple(map(slice, stored.shape))])


def stored_items(x: torch.Tensor) -> torch.Tensor:
    """Return what of x lies in memory: one item of an expanded batch, one channel of grey pictures."""
    if x.stride(0) == 0:
        return x[:1]
    return x[:, :1] if x.dim() == PICTURE_RANK and x.stride(1) == 0 else x


def _channels_last(x: torch.Tensor) -> torch.Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _every_second_item(x: torch.Tensor) -> torch.Tensor:
    return _within(x, (2 * x.shape[0], *x.shape[1:]), lambda whole: whole[::2])


def _column_slice(x: torch.Tensor) -> torch.Tensor:
    margin = 8
    shape = (*x.shape[:-1], x.shape[-1] + 2 * margin)
    return _within(x, shape, lambda whole: whole[..., margin:-margin])


def _offset(x: torch.Tensor) -> torch.Tensor:
    return _set_off(x, ELEMENTS_BEFORE["offset"])


def _odd_offset(x: torch.Tensor) -> torch.Tensor:
    return _set_off(x, ELEMENTS_BEFORE["odd-offset"])


def _set_off(x: torch.Tensor, by: int) -> torch.Tensor:
    return _within(x, (x.numel() + 2 * by,), lambda whole: whole[by:-by].view(x.shape))


def _expanded(x: torch.Tensor) -> torch.Tensor:
    return x[:1].clone().expand(x.shape)


def _grey(x: torch.Tensor) -> torch.Tensor:
    return x[:, :1].clone(memory_format=torch.contiguous_format).expand(x.shape)


def _transposed(x: torch.Tensor) -> torch.Tensor:
    return x.transpose(-2, -1).contiguous().transpose(-2, -1)


def _within(
    x: torch.Tensor, shape: tuple[int, ...], cut: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    part = cut(torch.full(shape, torch.nan, dtype=x.dtype, device=x.device))
    part.copy_(x)
    return part


_LAYOUTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    CONTIGUOUS: lambda x: x.clone(),
    CHANNELS_LAST: _channels_last,
    "every-second-item": _every_second_item,
    "column-slice": _column_slice,
    "offset": _offset,
    "odd-offset": _odd_offset,
    "expanded": _expanded,
    "grey": _grey,
    "transposed": _transposed,
}
