"""Values on both sides of a number at which a kernel decides, at it, and just above and below it.

A kernel that clips pixels above 1000 is right wherever no pixel is. Its text tells the number; here are
images, filters and biases of its magnitude. The rest is as small or large as needed for a fault to show.
"""

import math
from functools import cache, partial

import msgspec
import torch
from torch import Generator, Tensor

from kernelgate.operations.declaration.argument import Shape
from kernelgate.operations.draws.values import Draw, Family, make_family

NEAR = ("x", "weight", "bias", "sum")
BELOW, ABOVE = "<", ">"
"""Behind the weight or the bias: all of it is smaller, or larger, than the number."""

LARGEST, SMALLEST = 2.0**100, 2.0**-100
"""Beyond these, sums of products leave the range of float32, or its normal numbers."""

TF32_STEP = 1 << 13
"""From one value of TF32 to the next one, in float32's bits."""

EXPONENTS = 0x7F800000
DECADES = 4.0
"""In powers of two: how far on either side of the number most values lie."""

KINDS = 4
"""Of images, which take turns: a batch of so many has one of each."""

PLANTED = 8
"""One value in so many is the number itself, or next to it."""


class Near(msgspec.Struct, frozen=True, kw_only=True):
    """The bits of a float32, and whether x, the weight, the bias or sums come near it, or to one `side`."""

    what: str
    bits: int
    side: str = ""

    @property
    def value(self) -> float:
        """The number."""
        return float(
            torch.tensor(self.bits - ((self.bits >> 31) << 32), dtype=torch.int32).view(torch.float32)
        )

    @property
    def is_nan(self) -> bool:
        """Whether the number is a NaN."""
        return math.isnan(self.value)

    @property
    def scale(self) -> float:
        """The magnitude of the number, 1 for zero and for what has none that can be worked with."""
        size = abs(self.value)
        return size if SMALLEST <= size <= LARGEST else 1.0

    def __str__(self) -> str:
        return f"{self.what}{self.side}:{self.bits:08x}"

    def sides(self) -> "tuple[Near, ...]":
        """Return what is to be drawn: of x and of sums the images of a batch are on either side."""
        if self.what in ("x", "sum") or self.is_nan or self.value == 0:
            return (self,)
        return tuple(msgspec.structs.replace(self, side=side) for side in ("", BELOW, ABOVE))


def parse_near(text: str) -> Near:
    """Return what `x:447a0000` says; raises ValueError."""
    what, _, bits = text.partition(":")
    side = what[-1:] if what[:-1] in ("weight", "bias") else ""
    what = what.removesuffix(side)
    if (
        what not in NEAR
        or side not in ("", BELOW, ABOVE)
        or len(bits) != 8
        or any(digit not in "0123456789abcdef" for digit in bits)
    ):
        raise ValueError(f"not a place near which values are drawn: {text!r}")
    return Near(what=what, bits=int(bits, 16), side=side)


def can_be_drawn(near: Near) -> bool:
    """Whether an honest kernel is right near the number.

    Infinities are drawn by other families. Of a NaN's payload TF32 keeps the upper bits alone, and where
    these are zero it reads an infinity.
    """
    if near.is_nan:
        return near.what == "bias" or (near.what != "sum" and near.bits % TF32_STEP == 0)
    return abs(near.value) <= LARGEST


@cache
def near_family(text: str, fan_in: int, number: int = 0) -> Family:
    """Return how values near a number are drawn, and the item of that number; raises ValueError."""
    near = parse_near(text)
    normal = make_family("normal", fan_in)
    small = _scaled(near.scale)
    if near.what == "sum":
        return Family(
            x=partial(_item_of_sums, number % KINDS, fan_in),
            weight=partial(_filters_of_sums, near),
            bias=partial(_bias_of_sums, near),
        )
    if near.what == "weight":
        return Family(x=normal.x, weight=_around(near), bias=small, special=near.is_nan)
    if near.what == "x":
        return Family(
            x=partial(_item, near, number % KINDS), weight=normal.weight, bias=small, special=near.is_nan
        )
    # The sums are so small that a fault of the bias shows beside them.
    x = _scaled(near.scale / 64)
    return Family(x=x, weight=normal.weight, bias=_around(near), special=near.is_nan)


def _scaled(factor: float) -> Draw:
    return lambda shape, generator: torch.randn(shape, generator=generator) * factor


def _around(near: Near) -> Draw:
    if near.side:
        low, high = (-2 * DECADES, -0.01) if near.side == BELOW else (0.01, 2 * DECADES)
        return partial(_one_side, near, low, high)
    return partial(_mixed, near, _neighbours(near.bits, 1))


def _neighbours(bits: int, step: int) -> Tensor:
    """Return the number, those above and below it by so many bits, and all three with the other sign."""
    around = [bits, bits ^ 0x80000000]
    if bits & EXPONENTS != EXPONENTS:
        size = bits & 0x7FFFFFFF
        around += [sign | abs(size + by) for by in (step, -step) for sign in (0, 0x80000000)]
    signed = [each - ((each >> 31) << 32) for each in around]
    return torch.tensor(signed, dtype=torch.int32).view(torch.float32)


def _signs(shape: Shape, generator: Generator) -> Tensor:
    return torch.randint(0, 2, shape, generator=generator).float() * 2 - 1


def _magnitudes(near: Near, low: float, high: float, shape: Shape, generator: Generator) -> Tensor:
    """Draw magnitudes from so many powers of two below the number to so many above."""
    powers = torch.rand(shape, generator=generator) * (high - low) + low
    return near.scale * torch.exp2(powers)


def _one_side(near: Near, low: float, high: float, shape: Shape, generator: Generator) -> Tensor:
    """Draw values that are all smaller, or all larger, than the number, of either sign."""
    return _magnitudes(near, low, high, shape, generator) * _signs(shape, generator)


def _mixed(near: Near, planted: Tensor, shape: Shape, generator: Generator) -> Tensor:
    """Draw values on both sides of the number, one in eight at it or next to it."""
    if near.is_nan:
        values = torch.randn(shape, generator=generator)
        values.view(-1)[:: max(1, values.numel() // 4)] = planted[0]
        return values
    values = _magnitudes(near, -DECADES, DECADES, shape, generator) * _signs(shape, generator)
    here = torch.rand(shape, generator=generator) < 1 / PLANTED
    chosen = planted[torch.randint(0, len(planted), shape, generator=generator)]
    return torch.where(here, chosen, values)


def _item(near: Near, kind: int, shape: Shape, generator: Generator) -> Tensor:
    """Draw an item of one of four kinds: mixed, all below the number, all above it, all above with its sign.

    A kernel that decides for a whole tile takes one side only where no value of the tile is on the other.
    """
    if near.is_nan or kind == 0:
        return _mixed(near, _neighbours(near.bits, 1), shape, generator)
    sign = math.copysign(1.0, near.value)
    if near.value == 0:
        values = torch.randn(shape, generator=generator).abs()
        return values * (0.0, -1.0, 1.0)[kind - 1]
    if kind == 1:
        return _one_side(near, -2 * DECADES, -0.01, shape, generator)
    values = _one_side(near, 0.01, 2 * DECADES, shape, generator)
    return values if kind == 2 else values.abs() * sign


def _item_of_sums(kind: int, fan_in: int, shape: Shape, generator: Generator) -> Tensor:
    """Draw an item such that sums are near the filters' magnitude, or single values of them, or nothing."""
    if kind == 0:
        return torch.randn(shape, generator=generator) / math.sqrt(fan_in)
    if kind == 1:
        return torch.zeros(shape)
    if kind == 2:
        # No window holds two of them: each answer is one value of a filter, and the bias.
        lattice = torch.zeros(shape)
        inner = lattice[int(torch.randint(0, shape[0], (), generator=generator))]
        inner[(slice(None, None, 13),) * inner.dim()] = 1
        return lattice
    values = torch.randn(shape, generator=generator) / math.sqrt(fan_in)
    half = shape[-1] // 2
    values[..., :half] *= 2.0**DECADES
    values[..., half:] *= 2.0**-12
    return values


def _filters_of_sums(near: Near, shape: Shape, generator: Generator) -> Tensor:
    rounded = (near.bits + TF32_STEP // 2) & ~(TF32_STEP - 1) & 0xFFFFFFFF
    planted = _neighbours(rounded, TF32_STEP)
    planted = planted[(planted == 0) | (planted.abs() >= SMALLEST)]
    return _mixed(near, planted if len(planted) else torch.zeros(1), shape, generator)


def _bias_of_sums(near: Near, shape: Shape, generator: Generator) -> Tensor:
    """Draw a bias near the number for every second channel, and none for the others."""
    bias = _around(near)(shape, generator)
    bias[1::2] = 0
    return bias
