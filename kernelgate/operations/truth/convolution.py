"""The truth of a 2-d convolution: matrix products over patches, which owe nothing to the vendor's."""

import msgspec
import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, pad

from kernelgate.operations.declaration.error_model import ErrorModel, Math, Multilinear
from kernelgate.operations.truth.reference import Positions, Tensors, Truth, round_to_tf32

IMAGES_AT_ONCE = 32
"""Unfolded in float64 these take 300 MB: the reference must fit beside a worker on a 24 GB GPU."""

IMAGES_AT_ONCE_ON_CPU = 1
"""Its 9 MB stay in the heap and near the cache: the C library gives more than that fresh pages each time."""


NEIGHBOURS = 2
"""A tile of F(2x2, 3x3) reads what outputs so many rows and columns away read: `accuracy` derives it."""

PLACES_AT_ONCE = 4096
"""Places with all their neighbours, far apart as they may be, take 300 MB in float64."""


class Convolution(msgspec.Struct, frozen=True, kw_only=True):
    """The geometry of a 2-d convolution of square images and filters, NCHW, and its truth.

    Tensors are x [N, C_in, H, W], weight [C_out, C_in, KH, KW] and bias [C_out].
    """

    in_channels: int
    out_channels: int
    in_size: int
    kernel_size: int
    stride: int
    padding: int

    @property
    def out_size(self) -> int:
        """Height and width of the output, in pixels."""
        return (self.in_size + 2 * self.padding - self.kernel_size) // self.stride + 1

    @property
    def reduction(self) -> int:
        """K: products summed for one output element."""
        return self.in_channels * self.kernel_size**2

    @property
    def math(self) -> Math:
        """Products in TF32, sums in float32."""
        return "tf32"

    @property
    def error_model(self) -> ErrorModel:
        """A sum of `reduction` products, and the bias."""
        return Multilinear(self.reduction)

    @property
    def vendor_name(self) -> str:
        """Whose code the vendor's answer is."""
        return "cuDNN, TF32 allowed"

    @property
    def padded_places(self) -> tuple[int, ...]:
        """The rows of the output, and likewise the columns, that have taps in the padding."""
        starts = ((place, place * self.stride - self.padding) for place in range(self.out_size))
        return tuple(p for p, first in starts if first < 0 or first + self.kernel_size > self.in_size)

    def widened(self, places: int) -> "Convolution":
        """Return the same with so many rows and columns of output more on every side, over padding."""
        return msgspec.structs.replace(self, padding=self.padding + places * self.stride)

    def everywhere(self, tensors: Tensors, *, nearby: bool) -> Truth:
        """Return the truth at every output position, [N, C_out, OH, OW], on the device of the tensors."""
        x, weight, bias = tensors["x"], tensors["weight"].double().flatten(1), _column(tensors["bias"])
        rounded, sizes = round_to_tf32(tensors["weight"]).double().flatten(1), (weight.abs(), bias.abs())
        outputs = len(x), self.out_channels, self.out_size, self.out_size
        exact, magnitude, yardstick = (
            torch.empty(outputs, dtype=torch.float64, device=x.device) for _ in range(3)
        )
        step = IMAGES_AT_ONCE if x.is_cuda else IMAGES_AT_ONCE_ON_CPU
        for first in range(0, len(x), step):
            images, span = x[first : first + step], slice(first, first + step)
            patches = _unfold(self, images)
            exact[span].flatten(2).copy_(weight @ patches + bias)
            magnitude[span].flatten(2).copy_(sizes[0] @ patches.abs_() + sizes[1])
            patches = _unfold(self, round_to_tf32(images))
            yardstick[span].flatten(2).copy_((rounded @ patches + bias).float())
        if nearby:
            largest, special = _magnitudes_around(self, tensors)
            return Truth(exact, largest, yardstick, special)
        return Truth(exact, magnitude, yardstick)

    def at(self, tensors: Tensors, positions: Positions, *, nearby: bool) -> Truth:
        """Return the truth at the given output positions, one-dimensional, on the device of the tensors."""
        x, weight, bias = tensors["x"], tensors["weight"], tensors["bias"]
        image, channel, row, column = positions
        places, patch_of = torch.unique(
            (image * self.out_size + row) * self.out_size + column, return_inverse=True
        )
        patches = _patches(self, x, places)

        def products(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
            table = x.double() @ weight.double().flatten(1).T + bias.double()
            return table[patch_of, channel]

        yardstick = products(round_to_tf32(patches), round_to_tf32(weight), bias).float().double()
        exact = products(patches, weight, bias)
        if nearby:
            parts = [_magnitudes_near(self, tensors, some) for some in torch.split(places, PLACES_AT_ONCE)]
            largest, special = (torch.cat(each)[patch_of, channel] for each in zip(*parts, strict=True))
            return Truth(exact, largest, yardstick, special)
        return Truth(exact, products(patches.abs(), weight.abs(), bias.abs()), yardstick)

    def vendor(self, tensors: Tensors) -> Tensor:
        """Return cuDNN's answer, TF32 allowed, its heuristics' choice of algorithm."""
        x, weight, bias = tensors["x"], tensors["weight"], tensors["bias"]
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, allow_tf32=True):
            return conv2d(x, weight, bias, stride=self.stride, padding=self.padding)

    def script(self) -> tuple[str, str]:
        """Return expressions for the truth, and for what errors scale with."""
        call = f"torch.nn.functional.conv2d({{}}, stride={self.stride}, padding={self.padding})"
        return call.format("x, weight, bias"), call.format("x.abs(), weight.abs(), bias.abs()")


def _column(bias: Tensor) -> Tensor:
    return bias.double()[:, None]


def _unfold(shape: Convolution, images: Tensor) -> Tensor:
    """Return the padded patches of every output pixel in float64, [N, C_in * KH * KW, OH * OW]."""
    padded = pad(images.double(), (shape.padding,) * 4)
    image, channel, row, column = padded.stride()
    size, out, stride = shape.kernel_size, shape.out_size, shape.stride
    windows = padded.as_strided(
        (len(images), shape.in_channels, size, size, out, out),
        (image, channel, row, column, row * stride, column * stride),
    )
    return windows.reshape(len(images), shape.reduction, out * out)


def _magnitudes_around(shape: Convolution, tensors: Tensors) -> tuple[Tensor, Tensor]:
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


def _magnitudes_near(shape: Convolution, tensors: Tensors, places: Tensor) -> tuple[Tensor, Tensor]:
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


def _patches(shape: Convolution, x: Tensor, places: Tensor) -> Tensor:
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


def _inside(shape: Convolution, coordinate: Tensor) -> Tensor:
    return (coordinate >= 0) & (coordinate < shape.in_size)
