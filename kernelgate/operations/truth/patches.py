"""The truth of a 2-d convolution: matrix products over patches, which owe nothing to the vendor's."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, pad

from kernelgate.operations.truth.reference import Positions, Tensors, Truth, round_to_tf32

if TYPE_CHECKING:  # it imports this module when the truth is asked for
    from kernelgate.operations.truth.convolution import Convolution

IMAGES_AT_ONCE = 32
"""Unfolded in float64 these take 300 MB: the reference must fit beside a worker on a 24 GB GPU."""

IMAGES_AT_ONCE_ON_CPU = 1
"""Its 9 MB stay in the heap and near the cache: the C library gives more than that fresh pages each time."""


NEIGHBOURS = 2
"""A tile of F(2x2, 3x3) reads what outputs so many rows and columns away read: `accuracy` derives it."""

PLACES_AT_ONCE = 4096
"""Places with all their neighbours, far apart as they may be, take 300 MB in float64."""


def everywhere(shape: "Convolution", tensors: Tensors, *, nearby: bool) -> Truth:
    """Return the truth at every output position, [N, C_out, OH, OW], on the device of the tensors."""
    x, weight, bias = tensors["x"], tensors["weight"].double().flatten(1), _column(tensors["bias"])
    rounded, sizes = round_to_tf32(tensors["weight"]).double().flatten(1), (weight.abs(), bias.abs())
    outputs = len(x), shape.out_channels, shape.out_size, shape.out_size
    exact, magnitude, yardstick = (
        torch.empty(outputs, dtype=torch.float64, device=x.device) for _ in range(3)
    )
    step = IMAGES_AT_ONCE if x.is_cuda else IMAGES_AT_ONCE_ON_CPU
    for first in range(0, len(x), step):
        images, span = x[first : first + step], slice(first, first + step)
        patches = _unfold(shape, images)
        exact[span].flatten(2).copy_(weight @ patches + bias)
        magnitude[span].flatten(2).copy_(sizes[0] @ patches.abs_() + sizes[1])
        patches = _unfold(shape, round_to_tf32(images))
        yardstick[span].flatten(2).copy_((rounded @ patches + bias).float())
    if nearby:
        largest, special = _magnitudes_around(shape, tensors)
        return Truth(exact, largest, yardstick, special)
    return Truth(exact, magnitude, yardstick)


def at(shape: "Convolution", tensors: Tensors, positions: Positions, *, nearby: bool) -> Truth:
    """Return the truth at the given output positions, one-dimensional, on the device of the tensors."""
    x, weight, bias = tensors["x"], tensors["weight"], tensors["bias"]
    image, channel, row, column = positions
    places, patch_of = torch.unique(
        (image * shape.out_size + row) * shape.out_size + column, return_inverse=True
    )
    patches = _patches(shape, x, places)

    def products(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        table = x.double() @ weight.double().flatten(1).T + bias.double()
        return table[patch_of, channel]

    yardstick = products(round_to_tf32(patches), round_to_tf32(weight), bias).float().double()
    exact = products(patches, weight, bias)
    if nearby:
        parts = [_magnitudes_near(shape, tensors, some) for some in torch.split(places, PLACES_AT_ONCE)]
        largest, special = (torch.cat(each)[patch_of, channel] for each in zip(*parts, strict=True))
        return Truth(exact, largest, yardstick, special)
    return Truth(exact, products(patches.abs(), weight.abs(), bias.abs()), yardstick)


def vendor(shape: "Convolution", tensors: Tensors) -> Tensor:
    """Return cuDNN's answer, TF32 allowed, its heuristics' choice of algorithm."""
    x, weight, bias = tensors["x"], tensors["weight"], tensors["bias"]
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, allow_tf32=True):
        return conv2d(x, weight, bias, stride=shape.stride, padding=shape.padding)


def _column(bias: Tensor) -> Tensor:
    return bias.double()[:, None]


def _unfold(shape: "Convolution", images: Tensor) -> Tensor:
    """Return the padded patches of every output pixel in float64, [N, C_in * KH * KW, OH * OW]."""
    padded = pad(images.double(), (shape.padding,) * 4)
    image, channel, row, column = padded.stride()
    size, out, stride = shape.kernel_size, shape.out_size, shape.stride
    windows = padded.as_strided(
        (len(images), shape.in_channels, size, size, out, out),
        (image, channel, row, column, row * stride, column * stride),
    )
    return windows.reshape(len(images), shape.reduction, out * out)


def _magnitudes_around(shape: "Convolution", tensors: Tensors) -> tuple[Tensor, Tensor]:
    """Return the `magnitude` and `beside_special` of all outputs, [N, C_out, OH, OW] each."""
    wide, window = shape.widened(NEIGHBOURS), 2 * NEIGHBOURS + 1
    weight, bias = tensors["weight"].double().abs().flatten(1), tensors["bias"].double().abs()[:, None]
    step = IMAGES_AT_ONCE if tensors["x"].is_cuda else IMAGES_AT_ONCE_ON_CPU
    largest, special = [], []
    for images in torch.split(tensors["x"], step):
        sums = weight @ _unfold(wide, images).abs_() + bias
        sums = sums.view(*sums.shape[:2], wide.out_size, wide.out_size)
        finite = sums.isfinite()
        largest.append(max_pool2d(torch.where(finite, sums, 0), window, stride=1))
        special.append(max_pool2d((~finite).float(), window, stride=1) > 0)
    return torch.cat(largest), torch.cat(special)


def _magnitudes_near(shape: "Convolution", tensors: Tensors, places: Tensor) -> tuple[Tensor, Tensor]:
    """Return the same at output places (n, oh, ow, flattened), [P, C_out]."""
    wide, shifts = shape.widened(NEIGHBOURS), torch.arange(2 * NEIGHBOURS + 1, device=places.device)
    rows, columns = (places // shape.out_size)[:, None], (places % shape.out_size)[:, None]
    rows = rows // shape.out_size * wide.out_size + rows % shape.out_size + shifts
    near = rows[:, :, None] * wide.out_size + (columns + shifts)[:, None, :]
    found, found_of = torch.unique(near.flatten(1), return_inverse=True)
    patches, weight = (
        _patches(wide, tensors["x"], found).double().abs(),
        tensors["weight"].double().abs().flatten(1),
    )
    sums = patches @ weight.T + tensors["bias"].double().abs()
    finite = sums.isfinite()
    kept = torch.where(finite, sums, 0)
    largest, special = kept[found_of[:, 0]], ~finite[found_of[:, 0]]
    for each in found_of.T[1:]:
        largest, special = torch.maximum(largest, kept[each]), special | ~finite[each]
    return largest, special


def _patches(shape: "Convolution", x: Tensor, places: Tensor) -> Tensor:
    """Return the padded input patch of each output place (n, oh, ow, flattened), [P, C_in * KH * KW]."""
    span = torch.arange(shape.kernel_size, device=x.device)
    image = places // shape.out_size**2
    rows = (places // shape.out_size % shape.out_size)[:, None] * shape.stride
    columns = (places % shape.out_size)[:, None] * shape.stride
    rows, columns = rows - shape.padding + span, columns - shape.padding + span
    inside = _inside(shape, rows)[:, None, :, None] & _inside(shape, columns)[:, None, None, :]
    edge = shape.in_size - 1
    channels = torch.arange(shape.in_channels, device=x.device)
    values = x[
        image[:, None, None, None],
        channels[None, :, None, None],
        rows.clamp(0, edge)[:, None, :, None],
        columns.clamp(0, edge)[:, None, None, :],
    ]
    return torch.where(inside, values, 0).flatten(1)


def _inside(shape: "Convolution", coordinate: Tensor) -> Tensor:
    return (coordinate >= 0) & (coordinate < shape.in_size)
