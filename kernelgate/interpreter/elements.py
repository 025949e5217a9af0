"""Numbers as the interpreter holds them, and their bits as memory holds them.

A value is an array whose first axis counts programs; an axis of extent 1 stands for any extent along which
nothing changes. Floats that NumPy lacks: bfloat16 is held in float32, rounded after each operation; the
8-bit ones are held as their codes.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelgate.interpreter.errors import CannotInterpretError

Array = NDArray[Any]

HELD: dict[str, np.dtype[Any]] = {
    name: np.dtype(kind)
    for name, kind in {
        "i1": np.bool_,
        "i8": np.int8,
        "i16": np.int16,
        "i32": np.int32,
        "i64": np.int64,
        "index": np.int64,
        "ptr": np.int64,
        "f16": np.float16,
        "bf16": np.float32,
        "f32": np.float32,
        "f64": np.float64,
        "f8E4M3FN": np.uint8,
        "f8E5M2": np.uint8,
    }.items()
}
"""How a value of an element type is held."""

BYTES: dict[str, int] = {name: kind.itemsize for name, kind in HELD.items()} | {"bf16": 2}
"""Bytes of an element in memory."""

FLOATS = frozenset(["f16", "bf16", "f32", "f64"])
TINY_FLOATS = frozenset(["f8E4M3FN", "f8E5M2"])
TF32_BITS = np.uint32(0xFFFFE000)
"""Sign, exponent and 10 fraction bits: what the hardware reads of a float32 operand (PTX ISA, .tf32)."""


def held_as(element: str) -> np.dtype[Any]:
    """Return how values of an element type are held; raises CannotInterpretError."""
    try:
        return HELD[element]
    except KeyError:
        raise CannotInterpretError(f"numbers of type {element} are not interpreted") from None


def to_bits(values: Array, element: str) -> Array:
    """Return the values as unsigned integers, as wide as memory holds them."""
    if element == "bf16":
        return (np.ascontiguousarray(values).view(np.uint32) >> np.uint32(16)).astype(np.uint16)
    if element == "i1":
        return values.astype(np.uint8)
    return values.view(np.dtype(f"uint{8 * values.itemsize}"))


def from_bits(bits: Array, element: str) -> Array:
    """Return the values that these bits are; an i1 is true where its byte is not zero."""
    if element == "bf16":
        return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
    if element == "i1":
        found: Array = bits != 0
        return found
    return bits.view(held_as(element))


def cut_to_tf32(values: Array) -> Array:
    """Return float32 values without the fraction bits that TF32 lacks."""
    return (np.ascontiguousarray(values).view(np.uint32) & TF32_BITS).view(np.float32)


def round_to_tf32(values: Array) -> Array:
    """Return float32 values rounded to TF32, ties away from zero, as `cvt.rna.tf32.f32` does."""
    raised = (np.ascontiguousarray(values).view(np.uint32) + np.uint32(0x1000)).view(np.float32)
    return np.where(np.isfinite(values), cut_to_tf32(raised), values)


def round_to_bf16(values: Array) -> Array:
    """Return float32 values rounded to bfloat16, ties to even; a NaN stays one."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    even = (bits >> np.uint32(16)) & np.uint32(1)
    rounded = (bits + (np.uint32(0x7FFF) + even)) & np.uint32(0xFFFF0000)
    nan = (bits | np.uint32(0x00400000)) & np.uint32(0xFFFF0000)
    return np.where(np.isnan(values), nan, rounded).view(np.float32)


def cut_to_bf16(values: Array) -> Array:
    """Return float32 values cut to bfloat16, towards zero."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    nan = (bits | np.uint32(0x00400000)) & np.uint32(0xFFFF0000)
    return np.where(np.isnan(values), nan, bits & np.uint32(0xFFFF0000)).view(np.float32)


def as_float(values: Array, element: str) -> Array:
    """Return values of a float type as float32, float64 as it is."""
    if element in TINY_FLOATS:
        return _codes(element)[values]
    return values if element in ("f32", "f64", "bf16") else values.astype(np.float32)


def as_element(values: Array, element: str, rounding: str = "rtne") -> Array:
    """Return floats rounded to a float type, to nearest even or (`rtz`) towards zero."""
    if element in TINY_FLOATS:
        return _round_to_codes(values, element, rounding)
    if rounding == "rtz" and element == "bf16":
        return cut_to_bf16(values)
    if element == "bf16":
        return round_to_bf16(_narrow(values))
    rounded = values.astype(held_as(element))
    return _towards_zero(values, rounded) if rounding == "rtz" else rounded


def _narrow(values: Array) -> Array:
    """Return float64 as float32 such that one more rounding gives what one alone would (round to odd)."""
    narrow = values.astype(np.float32)
    if values.dtype != np.float64:
        return narrow
    cut = _towards_zero(values, narrow)
    inexact = np.isfinite(cut) & (cut.astype(values.dtype) != values)
    found: Array = (cut.view(np.uint32) | inexact.astype(np.uint32)).view(np.float32)
    return found


def _towards_zero(exact: Array, rounded: Array) -> Array:
    """Return the rounded values, those that were rounded away from zero one step nearer to it."""
    beyond = np.abs(rounded.astype(np.float64)) > np.abs(exact.astype(np.float64))
    return np.where(beyond, np.nextafter(rounded, rounded.dtype.type(0)), rounded)


@cache
def _codes(element: str) -> NDArray[np.float32]:
    """Return what each of the 256 codes of an 8-bit float stands for (OCP 8-bit Floating Point, table 1)."""
    exponent_bits, fraction_bits, bias = (4, 3, 7) if element == "f8E4M3FN" else (5, 2, 15)
    code = np.arange(256)
    sign = np.where(code >> 7, -1.0, 1.0)
    exponent = (code >> fraction_bits) & (2**exponent_bits - 1)
    fraction = (code & (2**fraction_bits - 1)) / 2**fraction_bits
    normal = (1 + fraction) * 2.0 ** (exponent - bias)
    values = sign * np.where(exponent == 0, fraction * 2.0 ** (1 - bias), normal)
    if element == "f8E4M3FN":
        values[(code & 0x7F) == 0x7F] = np.nan
    else:
        top = exponent == 31
        values[top] = np.where(fraction[top] == 0, sign[top] * np.inf, np.nan)
    found: NDArray[np.float32] = values.astype(np.float32)
    return found


def _round_to_codes(values: Array, element: str, rounding: str) -> NDArray[np.uint8]:
    """Return the nearest codes; what is too large becomes the largest finite one, as `cvt.satfinite` does."""
    steps = _codes(element)[:128].astype(np.float64)
    finite = steps[np.isfinite(steps)]
    size = np.abs(values.astype(np.float64))
    above = np.clip(np.searchsorted(finite, size, side="left"), 0, len(finite) - 1)
    below = np.maximum(above - 1, 0)
    to_above, to_below = finite[above] - size, size - finite[below]
    nearer = (to_above < to_below) | ((to_above == to_below) & (above % 2 == 0))
    up = (size >= finite[above]) if rounding == "rtz" else nearer | (size >= finite[above])
    code = np.where(up, above, below)
    code = np.where(np.isnan(values), 0x7F, code)
    return (code | np.where(np.signbit(values), 0x80, 0)).astype(np.uint8)
