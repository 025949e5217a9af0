"""The truth: the convolution in float64, and the yardsticks that its error bounds need."""

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import conv2d, unfold

from kernelgate.operations.convolution import Convolution
from kernelgate.operations.inputs import Inputs, make_images, make_parameters
from kernelgate.operations.recipe import Recipe

Positions = tuple[Tensor, Tensor, Tensor, Tensor]
"""Output positions as four equally long int64 tensors: image, channel, row, column."""


IMAGES_AT_ONCE = 32
"""Unfolded in float64 these take 300 MB: the reference must fit beside a worker on a 24 GB GPU."""


class Truth(msgspec.Struct, frozen=True):
    """Float64 values at the same output positions, in the same shape.

    `exact` is the convolution; `magnitude` the same with |x|, |w| and |b|; `yardstick` the convolution of
    operands rounded to TF32, to nearest even, stored as float32.
    """

    exact: Tensor
    magnitude: Tensor
    yardstick: Tensor

    def flattened(self) -> "Truth":
        """Return the same with one dimension."""
        return Truth(self.exact.flatten(), self.magnitude.flatten(), self.yardstick.flatten())


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
    rounded = round_to_tf32(inputs.weight).double().flatten(1)
    parts: tuple[list[Tensor], list[Tensor], list[Tensor]] = ([], [], [])
    for first in range(0, inputs.x.shape[0], IMAGES_AT_ONCE):
        images = inputs.x[first : first + IMAGES_AT_ONCE]
        patches = _unfold(operation, images)
        parts[0].append(weight @ patches + bias)
        parts[1].append(weight.abs() @ patches.abs_() + bias.abs())
        patches = _unfold(operation, round_to_tf32(images))
        parts[2].append((rounded @ patches + bias).float().double())
    shape = operation.output_shape(inputs.x.shape[0])
    exact, magnitude, yardstick = (torch.cat(part).reshape(shape) for part in parts)
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

    yardstick = products(round_to_tf32(patches), round_to_tf32(inputs.weight), inputs.bias)
    return Truth(
        products(patches, inputs.weight, inputs.bias),
        products(patches.abs(), inputs.weight.abs(), inputs.bias.abs()),
        yardstick.float().double(),
    )


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
    return unfold(images.double(), operation.kernel_size, padding=operation.padding, stride=operation.stride)


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
