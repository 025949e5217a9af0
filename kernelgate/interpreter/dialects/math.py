"""Dialect math, in float32 for narrower types; functions of which the hardware has approximations too."""

from collections.abc import Callable
from typing import Any

import numpy as np

from kernelgate.interpreter.dialects.arith import rounded, unsigned
from kernelgate.interpreter.dialects.registry import Compute, computes
from kernelgate.interpreter.elements import TINY_FLOATS, Array
from kernelgate.interpreter.text.module import Operation

Real = Callable[..., Array]


def by_torch(name: str) -> Real:
    """Return a function of torch.special that NumPy lacks, computed in float64."""

    def compute(*values: Array) -> Array:
        import torch  # noqa: PLC0415 - heavy, and seldom needed

        tensors = [torch.from_numpy(np.ascontiguousarray(each, dtype=np.float64)) for each in values]
        found: Array = getattr(torch.special, name)(*tensors).numpy()
        return found.astype(values[0].dtype)

    return compute


def fma(a: Array, b: Array, c: Array) -> Array:
    """Return a * b + c, rounded once but for a tie in ten million float32."""
    if a.dtype == np.float64:
        return a * b + c
    wide = a.astype(np.float64) * b.astype(np.float64) + c.astype(np.float64)
    return wide.astype(a.dtype)


def round_half_away(a: Array) -> Array:
    """Return the nearest whole number, ties away from zero."""
    whole = np.trunc(a)
    found: Array = whole + np.copysign((np.abs(a - whole) >= 0.5).astype(a.dtype), a)
    return found


def reciprocal_root(a: Array) -> Array:
    """Return 1 / sqrt(a)."""
    return (1 / np.sqrt(a.astype(np.float64))).astype(a.dtype)


REAL: dict[str, Real] = {
    "absf": np.abs,
    "acos": np.arccos,
    "asin": np.arcsin,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "cbrt": np.cbrt,
    "ceil": np.ceil,
    "copysign": np.copysign,
    "cos": np.cos,
    "cosh": np.cosh,
    "erf": by_torch("erf"),
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "floor": np.floor,
    "fma": fma,
    "log": np.log,
    "log10": np.log10,
    "log1p": np.log1p,
    "log2": np.log2,
    "powf": np.power,
    "round": round_half_away,
    "roundeven": np.rint,
    "rsqrt": reciprocal_root,
    "sin": np.sin,
    "sinh": np.sinh,
    "sqrt": np.sqrt,
    "tan": np.tan,
    "tanh": np.tanh,
    "trunc": np.trunc,
}


@computes(*(f"math.{name}" for name in REAL), "tt.precise_sqrt")
def make_real(operation: Operation) -> Compute:
    """Return the function of real numbers; of 8-bit ones only the absolute value, which drops the sign."""
    if operation.name == "math.absf" and operation.result_type.element in TINY_FLOATS:
        return lambda a: a & np.uint8(0x7F)
    name = operation.name.removeprefix("math.").removeprefix("tt.precise_")
    return rounded(REAL[name], operation)


@computes("math.absi")
def make_absolute(operation: Operation) -> Compute:  # noqa: ARG001 - all are alike
    """Return the absolute value of integers; that of the least one wraps."""
    return np.abs


@computes("math.ctpop", "math.ctlz", "math.cttz")
def make_bit_count(operation: Operation) -> Compute:
    """Return how many bits are set, or how many zeros lead or trail."""
    count = {"ctpop": set_bits, "ctlz": leading_zeros, "cttz": trailing_zeros}[operation.name[5:]]
    return lambda a: count(a).astype(a.dtype)


def set_bits(a: Array) -> Array:
    """Return how many bits of each integer are set."""
    return np.bitwise_count(unsigned(a)).astype(np.int64)


def leading_zeros(a: Array) -> Array:
    """Return how many zeros come before the first bit that is set."""
    spread: Any = unsigned(a)
    for step in (1, 2, 4, 8, 16, 32):
        if step < 8 * a.itemsize:
            spread = spread | (spread >> spread.dtype.type(step))
    return 8 * a.itemsize - set_bits(spread)


def trailing_zeros(a: Array) -> Array:
    """Return how many zeros follow the last bit that is set; the width where none is."""
    bits = unsigned(a)
    return set_bits(~bits & (bits - bits.dtype.type(1)))


@computes("tt.clampf")
def make_clamp(operation: Operation) -> Compute:
    """Return x within bounds; a NaN stays one if it shall be propagated, and else becomes a bound."""
    if operation.attributes.get("propagateNan") == "all":
        return rounded(lambda x, low, high: np.minimum(np.maximum(x, low), high), operation)
    return rounded(lambda x, low, high: np.fmin(np.fmax(x, low), high), operation)
