"""CUDA's libdevice by name: real functions, bits and conversions. Others are lacking, and named."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from kernelgate.interpreter.dialects.arith import unsigned
from kernelgate.interpreter.dialects.conversions import float_to_integer
from kernelgate.interpreter.dialects.math import (
    REAL,
    by_torch,
    fma,
    leading_zeros,
    reciprocal_root,
    set_bits,
    trailing_zeros,
)
from kernelgate.interpreter.dialects.registry import Compute, computes, lacking
from kernelgate.interpreter.dialects.wide_products import high_product
from kernelgate.interpreter.elements import Array, held_as
from kernelgate.interpreter.text.module import Operation

Function = Callable[..., Array]


def _is(test: Callable[[Array], Any]) -> Function:
    return lambda a: np.asarray(test(a)).astype(np.int32)


def _reciprocal(a: Array) -> Array:
    found: Array = np.divide(a.dtype.type(1), a)
    return found


def _clip_to_one(a: Array) -> Array:
    found: Array = np.fmin(np.fmax(a, a.dtype.type(0)), a.dtype.type(1))
    return found


def _positive_difference(a: Array, b: Array) -> Array:
    return np.where(a > b, a - b, np.where(np.isnan(a) | np.isnan(b), a.dtype.type(np.nan), a.dtype.type(0)))


def _of_pi(function: Callable[[Array], Array]) -> Function:
    return lambda a: function(np.fmod(a.astype(np.float64), 2.0) * np.pi).astype(a.dtype)


def _scaled(a: Array, by: Array) -> Array:
    return np.ldexp(a, by).astype(a.dtype)


def _root_of_squares(*values: Array) -> Array:
    squares = sum(each.astype(np.float64) ** 2 for each in values)
    return np.sqrt(squares).astype(values[0].dtype)


def _first_set(a: Array) -> Array:
    return np.where(a == 0, 0, trailing_zeros(a) + 1).astype(np.int32)


def _reversed_bits(a: Array) -> Array:
    bits = np.unpackbits(np.ascontiguousarray(unsigned(a)).reshape(-1).view(np.uint8), bitorder="little")
    width = 8 * a.itemsize
    turned = np.packbits(bits.reshape(-1, width)[:, ::-1], bitorder="little", axis=1)
    return np.ascontiguousarray(turned).view(a.dtype).reshape(a.shape)


def _log_of_exponent(a: Array) -> Array:
    return (np.frexp(a)[1] - 1).astype(a.dtype)


_REAL: dict[str, Function] = REAL | {
    "acosh": np.arccosh,
    "asinh": np.arcsinh,
    "atanh": np.arctanh,
    "cospi": _of_pi(np.cos),
    "cyl_bessel_i0": by_torch("i0"),
    "cyl_bessel_i1": by_torch("i1"),
    "erfc": by_torch("erfc"),
    "erfcx": by_torch("erfcx"),
    "erfinv": by_torch("erfinv"),
    "exp10": lambda a: np.power(10.0, a.astype(np.float64)).astype(a.dtype),
    "fabs": np.abs,
    "fdim": _positive_difference,
    "fdivide": np.divide,
    "fmax": np.fmax,
    "fmin": np.fmin,
    "fmod": np.fmod,
    "hypot": np.hypot,
    "j0": by_torch("bessel_j0"),
    "j1": by_torch("bessel_j1"),
    "ldexp": _scaled,
    "lgamma": by_torch("gammaln"),
    "logb": _log_of_exponent,
    "nearbyint": np.rint,
    "nextafter": np.nextafter,
    "norm3d": _root_of_squares,
    "norm4d": _root_of_squares,
    "normcdf": by_torch("ndtr"),
    "normcdfinv": by_torch("ndtri"),
    "pow": np.power,
    "powi": lambda a, n: np.power(a.astype(np.float64), n.astype(np.float64)).astype(a.dtype),
    "rcbrt": lambda a: _reciprocal(np.cbrt(a)),
    "remainder": lambda a, b: (a - np.rint(a.astype(np.float64) / b) * b).astype(a.dtype),
    "rhypot": lambda a, b: _reciprocal(np.hypot(a, b)),
    "rint": np.rint,
    "saturate": _clip_to_one,
    "scalbn": _scaled,
    "sinpi": _of_pi(np.sin),
    "y0": by_torch("bessel_y0"),
    "y1": by_torch("bessel_y1"),
}
"""Of float and double; a name's last `f` says float."""

_OTHERS: dict[str, Function] = {
    "isnan": _is(np.isnan),
    "isinf": _is(np.isinf),
    "finite": _is(np.isfinite),
    "isfinite": _is(np.isfinite),
    "signbit": _is(np.signbit),
    "popc": lambda a: set_bits(a).astype(np.int32),
    "popcll": lambda a: set_bits(a).astype(np.int32),
    "clz": lambda a: leading_zeros(a).astype(np.int32),
    "clzll": lambda a: leading_zeros(a).astype(np.int32),
    "ffs": _first_set,
    "ffsll": _first_set,
    "brev": _reversed_bits,
    "brevll": _reversed_bits,
    "mulhi": lambda a, b: high_product(a, b, signed=True),
    "umulhi": lambda a, b: high_product(a, b, signed=False),
    "mul64hi": lambda a, b: high_product(a, b, signed=True),
    "umul64hi": lambda a, b: high_product(a, b, signed=False),
    "abs": np.abs,
    "llabs": np.abs,
    "float_as_int": lambda a: np.ascontiguousarray(a).view(np.int32),
    "float_as_uint": lambda a: np.ascontiguousarray(a).view(np.int32),
    "int_as_float": lambda a: np.ascontiguousarray(a).view(np.float32),
    "uint_as_float": lambda a: np.ascontiguousarray(a).view(np.float32),
    "double_as_longlong": lambda a: np.ascontiguousarray(a).view(np.int64),
    "longlong_as_double": lambda a: np.ascontiguousarray(a).view(np.float64),
    "hadd": lambda a, b: ((a.astype(np.int64) + b) >> 1).astype(np.int32),
}
_NEAREST: dict[str, Function] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "sqrt": np.sqrt,
    "rcp": _reciprocal,
    "rsqrt": reciprocal_root,
    "ma": fma,
}
"""`__nv_fadd_rn` and the like."""

_NEAREST_NAME = re.compile(r"[fd](add|sub|mul|div|sqrt|rcp|rsqrt|ma)_rn|(?:fma|fmaf)_rn")
_TO_INTEGER = re.compile(r"(?:float|double)2(u?)(int|ll)_(rn|rz|ru|rd)")
_TO_FLOAT = re.compile(r"(u?)(?:int|ll)2(float|double)_rn|double2float_rn")
_ROUNDED: dict[str, Function] = {"rn": np.rint, "rz": np.trunc, "ru": np.ceil, "rd": np.floor}


@computes("tt.extern_elementwise")
def make_extern(operation: Operation) -> Compute:
    """Return the function of that name, with its result as the text's type."""
    symbol = str(operation.attributes.get("symbol", ""))
    function = _find(symbol.removeprefix("__nv_"), operation) if symbol.startswith("__nv_") else None
    if function is None:
        raise lacking(operation, symbol)
    found, kind = function, held_as(operation.result_type.element)
    return lambda *values: found(*values).astype(kind, copy=False)


def _find(name: str, operation: Operation) -> Function | None:
    name = name.removeprefix("fast_")
    element = operation.inputs[0].element
    for known in (name, name[:-1]):
        if known in _OTHERS:
            return _OTHERS[known]
        if known in _REAL and (known == name) == (element == "f64"):
            return _REAL[known]
    return _find_conversion(name, operation)


def _find_conversion(name: str, operation: Operation) -> Function | None:
    if match := _NEAREST_NAME.fullmatch(name):
        return _NEAREST[match[1] or "ma"]
    if match := _TO_INTEGER.fullmatch(name):
        round_it, kind, signed = _ROUNDED[match[3]], held_as(operation.result_type.element), not match[1]
        return lambda a: float_to_integer(round_it(a), kind, signed=signed)
    if match := _TO_FLOAT.fullmatch(name):
        without_sign = match[1] == "u"
        return lambda a: unsigned(a) if without_sign else a
    return None
