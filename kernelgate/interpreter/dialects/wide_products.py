"""Dialects arith and tt: products of integers that are twice as wide, and the upper half of them."""

import numpy as np

from kernelgate.interpreter.dialects.arith import unsigned
from kernelgate.interpreter.dialects.registry import Compute, computes
from kernelgate.interpreter.elements import (
    Array,
)
from kernelgate.interpreter.text.module import Operation


@computes("arith.mulsi_extended", "arith.mului_extended")
def make_wide_product(operation: Operation) -> Compute:
    """Return the low and the high half of a product."""
    signed = operation.name == "arith.mulsi_extended"
    return lambda a, b: (a * b, high_product(a, b, signed=signed))


@computes("tt.mulhiui")
def make_high_product(operation: Operation) -> Compute:  # noqa: ARG001 - all are alike
    """Return the high half of a product of integers without a sign."""
    return lambda a, b: high_product(a, b, signed=False)


def high_product(a: Array, b: Array, *, signed: bool) -> Array:
    """Return the bits of a * b above the width of both."""
    width = 8 * a.itemsize
    if width < 64:
        wide = np.int64 if signed else np.uint64
        u, v = (a, b) if signed else (unsigned(a), unsigned(b))
        return (u.astype(wide) * v.astype(wide) >> wide(width)).astype(f"u{a.itemsize}").view(a.dtype)
    high = _high_of_64(unsigned(a), unsigned(b))
    if signed:
        high = high - np.where(a < 0, unsigned(b), 0).astype(np.uint64)
        high = high - np.where(b < 0, unsigned(a), 0).astype(np.uint64)
    return high.view(np.int64)


def _high_of_64(a: Array, b: Array) -> Array:
    half, mask = np.uint64(32), np.uint64(0xFFFFFFFF)
    a1, a0, b1, b0 = a >> half, a & mask, b >> half, b & mask
    middle = a1 * b0 + (a0 * b0 >> half)
    other = a0 * b1 + (middle & mask)
    found: Array = a1 * b1 + (middle >> half) + (other >> half)
    return found
