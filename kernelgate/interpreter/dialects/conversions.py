"""Dialect arith, conversions: between integers and floats of every width, and bits as they lie."""

from typing import Any

import numpy as np

from kernelgate.interpreter.dialects.arith import unsigned
from kernelgate.interpreter.dialects.registry import Compute, computes, lacking
from kernelgate.interpreter.elements import (
    Array,
    as_element,
    as_float,
    from_bits,
    held_as,
    to_bits,
)
from kernelgate.interpreter.text.module import Operation


@computes("arith.extsi", "arith.extui", "arith.trunci", "arith.index_cast", "arith.index_castui")
def make_integer_conversion(operation: Operation) -> Compute:
    """Return the integer in another width: with copies of its sign, with zeros, or cut."""
    target, source = held_as(operation.result_type.element), operation.inputs[0].element
    if operation.name == "arith.trunci" and target == np.bool_:
        return lambda a: (a & 1).astype(np.bool_)
    if operation.name in ("arith.extui", "arith.index_castui"):
        return lambda a: unsigned(a).astype(target)
    if source == "i1":
        return lambda a: -a.astype(target)
    return lambda a: a.astype(target)


@computes("arith.sitofp", "arith.uitofp")
def make_to_float(operation: Operation) -> Compute:
    """Return the integer as a float, rounded to nearest even."""
    element, signed = operation.result_type.element, operation.name == "arith.sitofp"

    def compute(a: Array) -> Array:
        values = (-a.astype(np.int8) if a.dtype == np.bool_ else a) if signed else unsigned(a)
        if element == "f16" and values.itemsize > 2:
            return as_element(values.astype(np.float64), element)
        return (
            as_element(values.astype(np.float64), element)
            if element == "bf16"
            else values.astype(held_as(element))
        )

    return compute


@computes("arith.fptosi", "arith.fptoui")
def make_to_integer(operation: Operation) -> Compute:
    """Return the float cut to an integer; the nearest one of the type if it is out of range, 0 for NaN."""
    target, signed = held_as(operation.result_type.element), operation.name == "arith.fptosi"
    return lambda a: float_to_integer(np.trunc(a), target, signed=signed)


def float_to_integer(values: Array, target: np.dtype[Any], *, signed: bool) -> Array:
    """Return whole floats as integers of a type, the nearest one where it is out of range, 0 for NaN."""
    if target == np.bool_:
        return np.nan_to_num(values).astype(np.int64).astype(np.bool_)
    bounds = np.iinfo(target if signed else f"u{target.itemsize}")
    wide = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=np.inf, neginf=-np.inf)
    inside = np.clip(wide, float(bounds.min), np.nextafter(float(bounds.max) + 1, 0.0))
    cut = inside.astype(bounds.dtype)
    top = np.array(bounds.max, bounds.dtype)
    return np.where(wide > float(bounds.max), top, cut).astype(bounds.dtype).view(target)


@computes("arith.extf", "arith.truncf", "tt.fp_to_fp")
def make_float_conversion(operation: Operation) -> Compute:
    """Return the float in another format."""
    source, target = operation.inputs[0].element, operation.result_type.element
    rounding = operation.attributes.get("rounding", "rtne")
    if rounding not in ("rtne", "rtz"):
        raise lacking(operation, f"with rounding {rounding}")
    return lambda a: as_element(as_float(a, source), target, rounding)


@computes("arith.bitcast", "tt.bitcast")
def make_bitcast(operation: Operation) -> Compute:
    """Return the same bits as another type."""
    source, target = operation.inputs[0].element, operation.result_type.element
    if "i1" in (source, target):
        return lambda a: a.astype(held_as(target))
    return lambda a: from_bits(to_bits(a, source), target)
