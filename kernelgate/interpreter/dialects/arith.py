"""Dialect arith: integers that wrap, floats that round to their type, comparisons, conversions.

Where LLVM leaves a result open, PTX decides: a shift by more than the width gives zeros, a float that no
integer holds the nearest one.
"""

from typing import Any

import numpy as np

from kernelgate.interpreter.dialects.registry import Compute, computes, lacking
from kernelgate.interpreter.elements import (
    BYTES,
    FLOATS,
    TINY_FLOATS,
    Array,
    as_element,
    from_bits,
    held_as,
    round_to_bf16,
)
from kernelgate.interpreter.text.module import Operation, Type

_INTEGER = {
    "arith.addi": np.add,
    "arith.subi": np.subtract,
    "arith.muli": np.multiply,
    "arith.andi": np.bitwise_and,
    "arith.ori": np.bitwise_or,
    "arith.xori": np.bitwise_xor,
    "arith.maxsi": np.maximum,
    "arith.minsi": np.minimum,
}
_BOOLEAN = {
    "arith.addi": np.logical_xor,
    "arith.subi": np.logical_xor,
    "arith.muli": np.logical_and,
    "arith.maxsi": np.logical_and,
    "arith.minsi": np.logical_or,
}
"""Of one bit: the sum wraps, and true is -1 where a sign is asked for."""

_FLOAT = {
    "arith.addf": np.add,
    "arith.subf": np.subtract,
    "arith.mulf": np.multiply,
    "arith.divf": np.divide,
    "tt.precise_divf": np.divide,
    "arith.remf": np.fmod,
    "arith.maximumf": np.maximum,
    "arith.minimumf": np.minimum,
    "arith.maxnumf": np.fmax,
    "arith.minnumf": np.fmin,
}
_SIGNED = {
    "eq": np.equal,
    "ne": np.not_equal,
    "slt": np.less,
    "sle": np.less_equal,
    "sgt": np.greater,
    "sge": np.greater_equal,
}
_UNSIGNED = {"ult": np.less, "ule": np.less_equal, "ugt": np.greater, "uge": np.greater_equal}
_MIRRORED = {"slt": np.greater, "sle": np.greater_equal, "sgt": np.less, "sge": np.less_equal}
_ORDERED = {
    "oeq": np.equal,
    "ogt": np.greater,
    "oge": np.greater_equal,
    "olt": np.less,
    "ole": np.less_equal,
    "une": np.not_equal,
}
_UNORDERED = {"ueq": "one", "ugt": "ole", "uge": "olt", "ult": "oge", "ule": "ogt"}
"""Each is what its counterpart is not."""


@computes("arith.constant")
def make_constant(operation: Operation) -> Compute:
    """Return the constant, one element for all where all are the same."""
    value = constant_array(operation.attributes["value"], operation)
    return lambda: value


def constant_array(value: Any, operation: Operation) -> Array:
    """Return a constant's array with an axis of programs."""
    kind = operation.inputs[-1] if operation.inputs else Type(element="i1")
    element, ones = kind.element, (1,) * (1 + len(kind.shape))
    if isinstance(value, bytes):
        stored = np.frombuffer(value, dtype=f">u{BYTES[element]}").astype(f"u{BYTES[element]}")
        return from_bits(stored, element).reshape(1, *kind.shape)
    if isinstance(value, tuple):
        return np.stack([_number(each, element) for each in _flatten(value)]).reshape(1, *kind.shape)
    return _number(value, element).reshape(ones)


def _flatten(value: Any) -> list[Any]:
    return [each for part in value for each in _flatten(part)] if isinstance(value, tuple | list) else [value]


def _number(value: Any, element: str) -> Array:
    """Return a constant's element in an array of no axes."""
    if isinstance(value, str) and value.startswith("0x") and element in FLOATS | TINY_FLOATS:
        return from_bits(np.array([int(value, 16)], dtype=f"u{BYTES[element]}"), element).reshape(())
    if isinstance(value, str):
        value = int(value, 16)
    if element in FLOATS | TINY_FLOATS:
        return as_element(np.array([value], dtype=np.float64), element).reshape(())
    if element == "i1":
        return np.array(bool(value))
    bits = 8 * BYTES[element]
    return np.array((int(value) + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1), dtype=held_as(element))


@computes(*_INTEGER)
def make_integer(operation: Operation) -> Compute:
    """Return the ufunc, that of logic for integers of one bit."""
    if operation.inputs[0].element == "i1":
        return _BOOLEAN.get(operation.name, _INTEGER[operation.name])
    return _INTEGER[operation.name]


@computes("arith.maxui", "arith.minui")
def make_unsigned_extreme(operation: Operation) -> Compute:
    """Return the larger or smaller one, both read without a sign."""
    choose = np.maximum if operation.name == "arith.maxui" else np.minimum
    return lambda a, b: choose(unsigned(a), unsigned(b)).view(a.dtype)


def unsigned(values: Array) -> Array:
    """Return integers read without a sign."""
    return values if values.dtype == np.bool_ else values.view(f"u{values.itemsize}")


@computes("arith.divsi", "arith.floordivsi", "arith.remsi")
def make_signed_division(operation: Operation) -> Compute:
    """Return the quotient that is cut (or floored), or the remainder with the sign of the dividend."""
    return {"divsi": divide, "floordivsi": _floor_divide, "remsi": remainder}[operation.name[6:]]


def _floor_divide(a: Array, b: Array) -> Array:
    return np.where(b == 0, np.array(-1, a.dtype), np.floor_divide(a, b)).astype(a.dtype)


def divide(a: Array, b: Array) -> Array:
    """Return a / b cut towards zero; -1, all bits set, where b is zero."""
    quotient = np.floor_divide(a, b)
    if a.min() >= 0 and b.min() > 0:
        return quotient
    inexact = quotient * b != a
    quotient = quotient + (inexact & ((a < 0) != (b < 0))).astype(a.dtype)
    return np.where(b == 0, np.array(-1, a.dtype), quotient)


def remainder(a: Array, b: Array) -> Array:
    """Return what division leaves, with the sign of a; a itself where b is zero."""
    if a.min() >= 0 and b.min() > 0:
        found: Array = a - np.floor_divide(a, b) * b
        return found
    return np.where(b == 0, a, np.fmod(a, b))


@computes("arith.divui", "arith.remui", "arith.ceildivui")
def make_unsigned_division(operation: Operation) -> Compute:
    """Return the quotient or remainder of integers without a sign."""
    name = operation.name[6:]

    def compute(a: Array, b: Array) -> Array:
        u, v = unsigned(a), unsigned(b)
        quotient = np.floor_divide(u, v)
        if name == "remui":
            return np.where(v == 0, u, u - quotient * v).view(a.dtype)
        up = (quotient * v != u) if name == "ceildivui" else np.zeros(1, np.bool_)
        return np.where(v == 0, ~np.zeros(1, u.dtype), quotient + up.astype(u.dtype)).view(a.dtype)

    return compute


@computes("arith.shli", "arith.shrsi", "arith.shrui")
def make_shift(operation: Operation) -> Compute:
    """Return the shifted bits; a shift by the width or more leaves zeros, or copies of the sign."""
    name = operation.name[6:]

    def compute(a: Array, b: Array) -> Array:
        width = 8 * a.itemsize
        by = np.minimum(unsigned(b), np.array(width - 1, unsigned(b).dtype)).astype(a.dtype)
        if name == "shrsi":
            found: Array = np.right_shift(a, by)
            return found
        shift = np.left_shift if name == "shli" else np.right_shift
        shifted = shift(unsigned(a), unsigned(by)).view(a.dtype)
        beyond = unsigned(b) >= width
        return np.where(beyond, np.array(0, a.dtype), shifted) if beyond.any() else shifted

    return compute


@computes(*_FLOAT)
def make_float(operation: Operation) -> Compute:
    """Return the ufunc; in bfloat16 its result is rounded to that."""
    return rounded(_FLOAT[operation.name], operation)


def rounded(compute: Compute, operation: Operation) -> Compute:
    """Return the computation with its result rounded to bfloat16, if that is the type of the operation."""
    if operation.result_type.element == "bf16":
        return lambda *values: round_to_bf16(compute(*values))
    if operation.result_type.element in TINY_FLOATS:
        raise lacking(operation, "on 8-bit floats")
    return compute


@computes("arith.negf")
def make_negation(operation: Operation) -> Compute:
    """Return the value with its sign changed."""
    return rounded(np.negative, operation)


@computes("arith.cmpi")
def make_integer_comparison(operation: Operation) -> Compute:
    """Return the comparison by its predicate."""
    predicate = operation.words[0]
    if predicate in _UNSIGNED:
        compare = _UNSIGNED[predicate]
        return lambda a, b: compare(unsigned(a), unsigned(b))
    if predicate not in _SIGNED:
        raise lacking(operation, predicate)
    if operation.inputs[0].element == "i1":
        return _MIRRORED.get(predicate, _SIGNED[predicate])
    return _SIGNED[predicate]


@computes("arith.cmpf")
def make_float_comparison(operation: Operation) -> Compute:
    """Return the comparison by its predicate: ordered ones are false, unordered ones true of a NaN."""
    return float_comparison(operation.words[0], operation)


def float_comparison(predicate: str, operation: Operation) -> Compute:
    """Return the comparison of that name."""
    if predicate in _ORDERED:
        return _ORDERED[predicate]
    if predicate in _UNORDERED:
        opposite = float_comparison(_UNORDERED[predicate], operation)
        return lambda a, b: ~opposite(a, b)
    special: dict[str, Compute] = {
        "one": lambda a, b: (a < b) | (a > b),
        "ord": lambda a, b: ~(np.isnan(a) | np.isnan(b)),
        "uno": lambda a, b: np.isnan(a) | np.isnan(b),
        "true": lambda a, b: np.ones(np.broadcast_shapes(a.shape, b.shape), np.bool_),
        "false": lambda a, b: np.zeros(np.broadcast_shapes(a.shape, b.shape), np.bool_),
    }
    if predicate not in special:
        raise lacking(operation, predicate)
    return special[predicate]


@computes("arith.select")
def make_select(operation: Operation) -> Compute:  # noqa: ARG001 - all are alike
    """Return elements of one value or the other; a scalar condition chooses whole tensors."""

    def compute(condition: Array, yes: Array, no: Array) -> Array:
        rank = max(yes.ndim, no.ndim)
        if condition.ndim < rank:
            condition = condition.reshape(condition.shape + (1,) * (rank - condition.ndim))
        return np.where(condition, yes, no)

    return compute


@computes("ub.poison")
def make_poison(operation: Operation) -> Compute:
    """Return what nobody may rely on: bits that are a NaN, or a large integer."""
    kind = operation.inputs[-1]
    size = BYTES[kind.element]
    bits = np.array([0x7FF97FB97FD97FB9 % 2 ** (8 * size)], dtype=f"u{size}")
    value = from_bits(bits, kind.element).reshape((1,) * (1 + len(kind.shape)))
    return lambda: value
