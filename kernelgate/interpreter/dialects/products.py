"""Dialect tt: products of matrices as tensor cores form them, in float32 sums.

A float32 operand is cut to TF32, or split as the compiler splits it for `tf32x3`, `bf16x3` and `bf16x6`
(Triton, F32DotTC.cpp). All elements of a tile sum in one order, wherever they stand in it.
"""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from kernelgate.interpreter.dialects.registry import Compute, computes, lacking
from kernelgate.interpreter.elements import (
    TINY_FLOATS,
    Array,
    as_element,
    as_float,
    cut_to_tf32,
    round_to_bf16,
    round_to_tf32,
)
from kernelgate.interpreter.text.module import Operation

Product = Callable[[Array, Array], Array]

STEPS = (32, 16, 8)
"""Terms that are summed at once where the library does not sum all of them in one order."""

ROWS = (8, 4)
"""Rows that are multiplied at once where it does not treat all of them alike."""

TRIALS = 8


@computes("tt.dot")
def make_dot(operation: Operation) -> Compute:
    """Return a @ b + c in the type of c."""
    left, right = operation.inputs[0], operation.inputs[1]
    kind = operation.result_type
    product = _product_of(operation, left.element, right.element, kind.element)

    def compute(a: Array, b: Array, c: Array) -> Array:
        a = np.broadcast_to(a, (a.shape[0], *left.shape))
        b = np.broadcast_to(b, (b.shape[0], *right.shape))
        if kind.element in ("f16", "bf16"):
            return as_element(product(a, b) + c.astype(np.float32), kind.element)
        return product(a, b) + c

    return compute


def _product_of(operation: Operation, left: str, right: str, result: str) -> Product:
    if left == "f32" and right == "f32":
        precision = operation.attributes.get("inputPrecision", "ieee")
        if precision not in _PRECISIONS:
            raise lacking(operation, f"with {precision}")
        return _PRECISIONS[precision]
    if left == right == "i8" and result == "i32":
        return _integer_product
    if left == right == "f64":
        return ordered_product
    narrow = TINY_FLOATS | {"f16", "bf16"}
    if left in narrow and right in narrow:
        return lambda a, b: ordered_product(as_float(a, left), as_float(b, right))
    raise lacking(operation, f"of {left} and {right}")


def _integer_product(a: Array, b: Array) -> Array:
    """Return the product of int8 in int32; float64 holds every sum exactly."""
    return (a.astype(np.float64) @ b.astype(np.float64)).astype(np.int64).astype(np.int32)


def ordered_product(a: Array, b: Array) -> Array:
    """Return a @ b, each element's sum in the same order."""
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    (rows, inner), columns = a.shape[-2:], b.shape[-1]
    height, step = _ordered_part(rows, inner, columns, a.dtype.name)
    if not step:
        found: Array = np.einsum("...mk,...kn->...mn", a, b, optimize=False)
        return found
    a, b = a.reshape(*a.shape[:-2], rows // height, height, inner), b[..., None, :, :]
    total: Array = a[..., :step] @ b[..., :step, :]
    for k in range(step, inner, step):
        total += a[..., k : k + step] @ b[..., k : k + step, :]
    return total.reshape(*total.shape[:-3], rows, columns)


@cache
def _ordered_part(rows: int, inner: int, columns: int, kind: str) -> tuple[int, int]:
    """Return how many rows and terms at once the library sums in one order, wherever an element stands.

    Both are 0 if it does so for none.
    """
    heights = (rows, *(height for height in ROWS if height < rows and rows % height == 0))
    steps = (inner, *(step for step in STEPS if step < inner and inner % step == 0))
    parts = ((height, step) for step in steps for height in heights)
    return next((part for part in parts if _keeps_order(part[0], part[1], columns, kind)), (0, 0))


def _keeps_order(rows: int, inner: int, columns: int, kind: str) -> bool:
    """Whether all elements of a product of equal rows and equal columns have the same bits.

    A library's kernels may sum in another order at the edges of what they work on at once.
    """
    random = np.random.default_rng(0)
    for _ in range(TRIALS):
        row, column = random.standard_normal((2, inner)).astype(kind)
        alike = np.tile(row, (rows, 1)) @ np.repeat(column[:, None], columns, axis=1)
        if not (alike == alike[0, 0]).all():
            return False
    return True


def _tf32(a: Array, b: Array) -> Array:
    return ordered_product(cut_to_tf32(a), cut_to_tf32(b))


def _split_tf32(values: Array) -> list[Array]:
    big = round_to_tf32(values)
    with np.errstate(invalid="ignore"):
        return [big, values - big]


def _split_bf16(values: Array) -> list[Array]:
    parts: list[Array] = []
    with np.errstate(invalid="ignore"):
        for _ in range(3):
            parts.append(round_to_bf16(values))
            values = values - parts[-1]
    return parts


def _sum_of_parts(
    split: Callable[[Array], list[Array]], product: Product, terms: Sequence[tuple[int, int]]
) -> Product:
    """Return a product of operands in parts, its largest term last; what else is not finite is left out."""

    def compute(a: Array, b: Array) -> Array:
        left, right = split(a), split(b)
        small = [product(left[i], right[j]) for i, j in terms[:-1]]
        total = small[0]
        for each in small[1:]:
            total = total + each
        return np.where(np.isnan(total), np.float32(0), total) + product(left[0], right[0])

    return compute


_THREE = ((1, 0), (0, 1), (0, 0))
_SIX = ((2, 0), (1, 1), (0, 2), (1, 0), (0, 1), (0, 0))
_PRECISIONS: dict[str, Product] = {
    "ieee": ordered_product,
    "tf32": _tf32,
    "tf32x3": _sum_of_parts(_split_tf32, _tf32, _THREE),
    "bf16x3": _sum_of_parts(_split_bf16, ordered_product, _THREE),
    "bf16x6": _sum_of_parts(_split_bf16, ordered_product, _SIX),
}
