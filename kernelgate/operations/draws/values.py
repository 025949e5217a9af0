"""Families of input values: each stands for a way in which kernels go wrong."""

import math
import random
from collections.abc import Callable
from functools import cache

import msgspec
import torch
from torch import Generator, Tensor

from kernelgate.operations.declaration.argument import Role, Shape

Draw = Callable[[Shape, Generator], Tensor]

HUGE, TINY = 2.0**60, 2.0**-60
"""Far from ordinary values, and as far from overflow and subnormals: sums of many products stay clear."""

MAGNITUDES = (1.0, 2.0**-22, 2.0**-44, 2.0**-66)
"""Twenty decades in all: what is small is right by its own size, beside whatever is large."""

FAR = 1000.0
"""Its exponential is infinite in float32, and one over it zero."""

TAPS = 1024
"""Integers up to here are exact in TF32, and so is each alone beside another in a float32 sum."""

SPECIALS = torch.tensor([math.nan, math.inf, -math.inf])
"""NaN in its canonical form: TF32 drops the low bits of another payload, and would make an Inf of some."""


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """How an item, a matrix or filters, and a vector are drawn.

    `exact` where float32 sums of products, of any order, are exact, `special` where NaN and infinities are
    among the values.
    """

    x: Draw
    weight: Draw
    bias: Draw
    exact: bool = False
    special: bool = False

    def of(self, role: Role) -> Draw:
        """Return how a tensor of that role is drawn."""
        return {"x": self.x, "weight": self.weight, "bias": self.bias}[role]


def _normal(shape: Shape, generator: Generator) -> Tensor:
    return torch.randn(shape, generator=generator)


def _uniform(shape: Shape, generator: Generator) -> Tensor:
    return torch.rand(shape, generator=generator)


def _zero(shape: Shape, _generator: Generator) -> Tensor:
    return torch.zeros(shape)


def _wide_range(shape: Shape, generator: Generator) -> Tensor:
    exponents = torch.randint(-12, 13, shape, generator=generator).float()
    return _normal(shape, generator) * torch.exp2(exponents)


def _channel_range(shape: Shape, generator: Generator) -> Tensor:
    exponents = torch.randint(-10, 11, shape[:1], generator=generator).float()
    return _normal(shape, generator) * torch.exp2(exponents).reshape(-1, *[1] * (len(shape) - 1))


def _striped(shape: Shape, generator: Generator) -> Tensor:
    """Draw columns of four magnitudes side by side, so that a tile of any shape holds all of them."""
    values, width = _normal(shape, generator), -(-shape[-1] // len(MAGNITUDES))
    for place, number in enumerate(torch.randperm(len(MAGNITUDES), generator=generator).tolist()):
        values[..., place * width : (place + 1) * width] *= MAGNITUDES[number]
    return values


def _as_a_new_layer(fan_in: int) -> Draw:
    """Return what a new layer of PyTorch draws: within one over the root of its fan-in."""
    return lambda shape, generator: (2 * _uniform(shape, generator) - 1) / math.sqrt(fan_in)


def _scaled(factor: float) -> Draw:
    return lambda shape, generator: _normal(shape, generator) * factor


def _about(middle: float) -> Draw:
    return lambda shape, generator: _normal(shape, generator) + middle


def _cancelling(shape: Shape, generator: Generator) -> Tensor:
    sign = torch.ones(shape[-1])
    sign[1::2] = -1
    return (4 + 0.01 * _normal(shape, generator)) * sign


def _sparse(shape: Shape, generator: Generator) -> Tensor:
    kept = torch.rand(shape, generator=generator) < 0.01
    return _normal(shape, generator) * kept


def _constant(shape: Shape, generator: Generator) -> Tensor:
    # Exact in TF32: one rounding error shared by every element would be no unit to measure truncation in.
    return torch.full(shape, torch.randint(64, 193, (), generator=generator).item() / 128)


def _small_integers(shape: Shape, generator: Generator) -> Tensor:
    return torch.randint(-8, 9, shape, generator=generator).float()


def _taps(shape: Shape, generator: Generator) -> Tensor:
    return torch.randint(-TAPS, TAPS + 1, shape, generator=generator).float()


def _one_hot(shape: Shape, generator: Generator) -> Tensor:
    """Set a single 1; half of the time in an outermost row and column, where halo faults live."""
    hot = torch.zeros(shape)
    place = [int(torch.randint(0, size, (), generator=generator)) for size in shape]
    if bool(torch.randint(0, 2, (), generator=generator)):
        outer = zip(place[-2:], shape[-2:], strict=True)
        place[-2:] = [axis % 2 * (size - 1) for axis, size in outer]
    hot[tuple(place)] = 1
    return hot


def _one_hot_filters(shape: Shape, generator: Generator) -> Tensor:
    """Set a single 1 in each filter, or row."""
    return torch.stack([_one_hot(shape[1:], generator) for _ in range(shape[0])])


def _smooth(shape: Shape, generator: Generator) -> Tensor:
    """Draw low-frequency values, a picture where there are rows: neighbours nearly equal."""
    channels = math.prod(shape[:-2])
    phase = torch.rand((channels, 2, 1), generator=generator) * 2 * math.pi
    rows, columns = (torch.linspace(0, 2 * math.pi, extent) for extent in (1, 1, *shape)[-2:])
    waves = torch.sin(rows + phase[:, 0])[:, :, None] * torch.sin(columns + phase[:, 1])[:, None, :]
    return waves.reshape(shape)


def _half_black(shape: Shape, generator: Generator) -> Tensor:
    """Return normal values over zeros: whole blocks of a product see nothing but the latter."""
    values = _normal(shape, generator)
    axis = min(1, len(shape) - 1)
    values.narrow(axis, shape[axis] // 4, shape[axis] - shape[axis] // 4).zero_()
    return values


def _with_specials(count: int, margin: int = 0) -> Draw:
    """Return normal values of which `count` are NaN or infinite, none within the margin of the borders.

    The first that may be is NaN: a kernel that asks one value whether to work asks that one.
    """

    def draw(shape: Shape, generator: Generator) -> Tensor:
        values = _normal(shape, generator)
        inner = [min(margin, (size - 1) // 2) for size in shape[-2:]]
        margins = [0] * (len(shape) - len(inner)) + inner
        for number in range(count):
            place = (
                margins[-len(shape) :]
                if number == 0
                else [
                    int(torch.randint(m, size - m, (), generator=generator))
                    for size, m in zip(shape, margins[-len(shape) :], strict=True)
                ]
            )
            kind = 0 if number == 0 else int(torch.randint(0, 3, (), generator=generator))
            values[tuple(place)] = SPECIALS[kind]
        return values

    return draw


def _ordinary(x: Draw) -> Family:
    return Family(x=x, weight=_normal, bias=_normal)


_FAMILIES: dict[str, Family] = {
    "normal": _ordinary(_normal),
    "uniform": _ordinary(_uniform),
    # The parameters are those of a new layer, which depend on its fan-in: `make_family` has them.
    "new-layer": _ordinary(_normal),
    "integer": Family(x=_small_integers, weight=_small_integers, bias=_small_integers, exact=True),
    "zero": Family(x=_zero, weight=_normal, bias=_normal, exact=True),
    "one-hot": Family(x=_one_hot, weight=_taps, bias=_taps, exact=True),
    "one-hot-weight": Family(x=_taps, weight=_one_hot_filters, bias=_taps, exact=True),
    "constant": _ordinary(_constant),
    "sparse": _ordinary(_sparse),
    "smooth": _ordinary(_smooth),
    "cancelling": _ordinary(_cancelling),
    "channel-range": _ordinary(_channel_range),
    "wide-range": _ordinary(_wide_range),
    # A bias of ordinary size would hide what is small.
    "magnitudes": Family(x=_striped, weight=_normal, bias=_zero),
    # Bias and x alike: beside a bias of ordinary size, tiny products would not show in a float32.
    "tiny": Family(x=_scaled(TINY), weight=_normal, bias=_scaled(TINY)),
    "huge": Family(x=_scaled(HUGE), weight=_normal, bias=_scaled(HUGE)),
    "special": Family(x=_with_specials(40), weight=_normal, bias=_normal, special=True),
    # Not where a tap may meet the padding: what zero times infinity is there, is not said.
    "special-weight": Family(
        x=_half_black, weight=_with_specials(4, margin=2), bias=_with_specials(2), special=True
    ),
}

FAMILIES = tuple(_FAMILIES)
"""Their names, the simplest first: shrinking ends in the earliest family that still fails."""

_MEASURED = {
    # What they have in common is far larger than what sets them apart: sums of squares lose the latter.
    "far-above-zero": _ordinary(_about(FAR)),
    # A maximum that pads with zeros is wrong where all values are negative.
    "far-below-zero": _ordinary(_about(-FAR)),
}

MEASURED_FAMILIES = tuple(_MEASURED)
"""Of operations whose error is measured, beside the others. To sums of products they are nothing new."""

ALL_FAMILIES = (*FAMILIES, *MEASURED_FAMILIES)


@cache
def make_family(name: str, fan_in: int) -> Family:
    """Return a family for an operation of that fan-in; raises KeyError for a name that is none."""
    family = (_FAMILIES | _MEASURED)[name]
    if name != "new-layer":
        return family
    parameters = _as_a_new_layer(fan_in)
    return msgspec.structs.replace(family, weight=parameters, bias=parameters)


def seeded(seed: int, role: str) -> Generator:
    """Return a generator for one tensor of a seed: an item by its number, a parameter by its name."""
    mixed = random.Random(f"{seed} {role}").getrandbits(62)  # noqa: S311 - replayable, not secret
    return torch.Generator().manual_seed(mixed)
