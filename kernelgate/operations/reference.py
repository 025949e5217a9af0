"""The truth: the convolution in float64, and the yardsticks that its error bounds need."""

from collections.abc import Callable

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, pad

from kernelgate.operations.convolution import Convolution
from kernelgate.operations.inputs import Inputs, make_images, make_parameters
from kernelgate.operations.recipe import Recipe

Positions = tuple[Tensor, Tensor, Tensor, Tensor]
"""Output positions as four equally long int64 tensors: image, channel, row, column."""


IMAGES_AT_ONCE = 32
"""Unfolded in float64 these take 300 MB: the reference must fit beside a worker on a 24 GB GPU."""

IMAGES_AT_ONCE_ON_CPU = 1
"""Its 9 MB stay in the heap and near the cache: the C library gives more than that fresh pages each time."""


NEIGHBOURS = 2
"""A tile of F(2x2, 3x3) reads what outputs so many rows and columns away read: `accuracy` derives it."""

PLACES_AT_ONCE = 4096
"""Places with all their neighbours, far apart as they may be, take 300 MB in float64."""


class Truth(msgspec.Struct, frozen=True):
    """Float64 values at the same output positions, in the same shape.

    `exact` is the convolution; `magnitude` the same with |x|, |w| and |b|; `yardstick` the convolution of
    operands rounded to TF32, to nearest even, stored as float32.

    Where any algorithm is allowed `magnitude` is the largest finite one within NEIGHBOURS rows and columns,
    outputs beyond the edge included, and `beside_special` is whether one there is not finite.
    """

    exact: Tensor
    magnitude: Tensor
    yardstick: Tensor
    beside_special: Tensor | None = None

    def flattened(self) -> "Truth":
        """Return the same with one dimension."""
        return self._each(Tensor.flatten)

    def at(self, chosen: Tensor) -> "Truth":
        """Return the truth of the chosen elements, one-dimensional."""
        return self._each(lambda part: part[chosen])

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Truth":
        beside = None if self.beside_special is None else change(self.beside_special)
        return Truth(change(self.exact), change(self.magnitude), change(self.yardstick), beside)


def round_to_tf32(values: Tensor) -> Tensor:
    """Return float32 values rounded to 10 fraction bits, to nearest even; NaN and Inf stay."""
    bits = values.contiguous().view(torch.int32)
    kept = (bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFF
    return torch.where(torch.isfinite(values), kept.view(torch.float32), values)


def truth_everywhere(operation: Convolution, inputs: Inputs) -> Truth:
    """Return the truth at every output position, [N, C_out, OH, OW], on the device of the inputs.

    It is a matrix product over unfolded patches: the truth owes nothing to the vendor's convolution.
    """
    weight, bias = inputs.weight.double().flatten(1), inputs.bias.double()[:, None]
    rounded, sizes = round_to_tf32(inputs.weight).double().flatten(1), (weight.abs(), bias.abs())
    shape, x = operation.output_shape(inputs.x.shape[0]), inputs.x
    exact, magnitude, yardstick = (torch.empty(shape, dtype=torch.float64, device=x.device) for _ in range(3))
    step = IMAGES_AT_ONCE if x.is_cuda else IMAGES_AT_ONCE_ON_CPU
    for first in range(0, x.shape[0], step):
        images, span = x[first : first + step], slice(first, first + step)
        patches = _unfold(operation, images)
        exact[span].flatten(2).copy_(weight @ patches + bias)
        magnitude[span].flatten(2).copy_(sizes[0] @ patches.abs_() + sizes[1])
        patches = _unfold(operation, round_to_tf32(images))
        yardstick[span].flatten(2).copy_((rounded @ patches + bias).float())
    if operation.algorithm == "any":
        largest, special = _magnitudes_around(operation, inputs)
        return Truth(exact, largest, yardstick, special)
    return Truth(exact, magnitude, yardstick)


def truth_at(operation: Convolution, recipe: Recipe, positions: Positions) -> Truth:
    """Return the truth at the given output positions only, one-dimensional, on the CPU.

    Only the images of these positions are made: at the end of the domain the whole input takes 4.4 GB.
    """
    images, image = torch.unique(positions[0], return_inverse=True)
    inputs = Inputs(make_images(operation, recipe, images.tolist()), *make_parameters(operation, recipe))
    return truth_of(operation, inputs, (image, *positions[1:]))


def truth_of(operation: Convolution, inputs: Inputs, positions: Positions) -> Truth:
    """Return the truth at the given output positions of these inputs, one-dimensional, on their device."""
    image, channel, row, column = (axis.to(inputs.x.device) for axis in positions)
    place = (image * operation.out_size + row) * operation.out_size + column
    places, patch_of = torch.unique(place, return_inverse=True)
    patches = _patches(operation, inputs.x, places)

    def products(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        table = x.double() @ weight.double().flatten(1).T + bias.double()
        return table[patch_of, channel]

    yardstick = products(round_to_tf32(patches), round_to_tf32(inputs.weight), inputs.bias).float().double()
    exact = products(patches, inputs.weight, inputs.bias)
    if operation.algorithm == "any":
        parts = [_magnitudes_near(operation, inputs, some) for some in torch.split(places, PLACES_AT_ONCE)]
        largest, special = (torch.cat(each)[patch_of, channel] for each in zip(*parts, strict=True))
        return Truth(exact, largest, yardstick, special)
    return Truth(exact, products(patches.abs(), inputs.weight.abs(), inputs.bias.abs()), yardstick)


def vendor_answer(operation: Convolution, inputs: Inputs) -> Tensor:
    """Return cuDNN's answer, TF32 allowed, its heuristics' choice of algorithm: what users compare with."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, allow_tf32=True):
        return conv2d(
            inputs.x, inputs.weight, inputs.bias, stride=operation.stride, padding=operation.padding
        )


def unravel(operation: Convolution, flat: NDArray[np.int64]) -> Positions:
    """Return the output positions of flat NCHW offsets; the batch does not matter."""
    rest, column = np.divmod(flat, operation.out_size)
    rest, row = np.divmod(rest, operation.out_size)
    image, channel = np.divmod(rest, operation.out_channels)
    return (
        torch.from_numpy(image),
        torch.from_numpy(channel),
        torch.from_numpy(row),
        torch.from_numpy(column),
    )


def _unfold(operation: Convolution, images: Tensor) -> Tensor:
    """Return the padded patches of every output pixel in float64, [N, C_in * KH * KW, OH * OW]."""
    padded = pad(images.double(), (operation.padding,) * 4)
    image, channel, row, column = padded.stride()
    size, out, stride = operation.kernel_size, operation.out_size, operation.stride
    windows = padded.as_strided(
        (len(images), operation.in_channels, size, size, out, out),
        (image, channel, row, column, row * stride, column * stride),
    )
    return windows.reshape(len(images), operation.reduction, out * out)


def _magnitudes_around(operation: Convolution, inputs: Inputs) -> tuple[Tensor, Tensor]:
    """Return the `magnitude` and `beside_special` of all outputs, [N, C_out, OH, OW] each."""
    wide, window = operation.widened(NEIGHBOURS), 2 * NEIGHBOURS + 1
    weight, bias = inputs.weight.double().abs().flatten(1), inputs.bias.double().abs()[:, None]
    step = IMAGES_AT_ONCE if inputs.x.is_cuda else IMAGES_AT_ONCE_ON_CPU
    largest, special = [], []
    for images in torch.split(inputs.x, step):
        sums = weight @ _unfold(wide, images).abs_() + bias
        sums = sums.view(*sums.shape[:2], wide.out_size, wide.out_size)
        finite = sums.isfinite()
        largest.append(max_pool2d(torch.where(finite, sums, 0), window, stride=1))
        special.append(max_pool2d((~finite).float(), window, stride=1) > 0)
    return torch.cat(largest), torch.cat(special)


def _magnitudes_near(operation: Convolution, inputs: Inputs, places: Tensor) -> tuple[Tensor, Tensor]:
    """Return the same at output places (n, oh, ow, flattened), [P, C_out]."""
    wide, shifts = operation.widened(NEIGHBOURS), torch.arange(2 * NEIGHBOURS + 1, device=places.device)
    rows, columns = (places // operation.out_size)[:, None], (places % operation.out_size)[:, None]
    rows = rows // operation.out_size * wide.out_size + rows % operation.out_size + shifts
    near = rows[:, :, None] * wide.out_size + (columns + shifts)[:, None, :]
    found, found_of = torch.unique(near.flatten(1), return_inverse=True)
    patches, weight = _patches(wide, inputs.x, found).double().abs(), inputs.weight.double().abs().flatten(1)
    sums = patches @ weight.T + inputs.bias.double().abs()
    finite = sums.isfinite()
    kept = torch.where(finite, sums, 0)
    largest, special = kept[found_of[:, 0]], ~finite[found_of[:, 0]]
    for each in found_of.T[1:]:
        largest, special = torch.maximum(largest, kept[each]), special | ~finite[each]
    return largest, special


def _patches(operation: Convolution, x: Tensor, places: Tensor) -> Tensor:
    """Return the padded input patch of each output place (n, oh, ow, flattened), [P, C_in * KH * KW]."""
    span = torch.arange(operation.kernel_size, device=x.device)
    image = places // operation.out_size**2
    rows = (places // operation.out_size % operation.out_size)[:, None] * operation.stride
    columns = (places % operation.out_size)[:, None] * operation.stride
    rows, columns = rows - operation.padding + span, columns - operation.padding + span
    inside = _inside(operation, rows)[:, None, :, None] & _inside(operation, columns)[:, None, None, :]
    edge = operation.in_size - 1
    channels = torch.arange(operation.in_channels, device=x.device)
    values = x[
        image[:, None, None, None],
        channels[None, :, None, None],
        rows.clamp(0, edge)[:, None, :, None],
        columns.clamp(0, edge)[:, None, None, :],
    ]
    return torch.where(inside, values, 0).flatten(1)


def _inside(operation: Convolution, coordinate: Tensor) -> Tensor:
    return (coordinate >= 0) & (coordinate < operation.in_size)
