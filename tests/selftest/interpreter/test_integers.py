"""Integers of every width wrap, divide, shift and compare as the hardware does."""

# ruff: noqa: ANN001, ANN201, N803 - kernels are written in Triton's own idiom

import numpy as np
import pytest
import triton
import triton.language as tl

from tests.selftest.interpreter.compiled import run

SIZE = 64
SIGNED = ["int8", "int16", "int32", "int64"]
WIDTHS = [*SIGNED, "uint8", "uint16", "uint32", "uint64"]


@triton.jit
def combine(a, b, out, OP: tl.constexpr, SIZE: tl.constexpr):  # noqa: PLR0912
    place = tl.arange(0, SIZE)
    x, y = tl.load(a + place), tl.load(b + place)
    if OP == "add":
        z = x + y
    elif OP == "sub":
        z = x - y
    elif OP == "mul":
        z = x * y
    elif OP == "div":
        z = x // y
    elif OP == "rem":
        z = x % y
    elif OP == "and":
        z = x & y
    elif OP == "or":
        z = x | y
    elif OP == "xor":
        z = x ^ y
    elif OP == "shl":
        z = x << y
    elif OP == "shr":
        z = x >> y
    elif OP == "min":
        z = tl.minimum(x, y)
    elif OP == "max":
        z = tl.maximum(x, y)
    elif OP == "neg":
        z = -x
    elif OP == "not":
        z = ~x
    elif OP == "less":
        z = (x < y).to(x.dtype)
    elif OP == "at least":
        z = (x >= y).to(x.dtype)
    else:
        z = (x == y).to(x.dtype)
    tl.store(out + place, z)


def cut(quotient: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    exact = [
        abs(int(a)) // abs(int(b)) * (1 if (int(a) < 0) == (int(b) < 0) else -1)
        for a, b in zip(x, y, strict=True)
    ]
    return np.array([each % 2 ** (8 * x.itemsize) for each in exact], f"u{x.itemsize}").view(quotient.dtype)


TRUTH = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": lambda x, y: cut(x, x, y),
    "rem": lambda x, y: (x - cut(x, x, y) * y).astype(x.dtype),
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "shl": lambda x, y: np.left_shift(x, np.abs(y) % (8 * x.itemsize)),
    "shr": lambda x, y: np.right_shift(x, np.abs(y) % (8 * x.itemsize)),
    "min": np.minimum,
    "max": np.maximum,
    "neg": lambda x, _: np.zeros_like(x) - x,
    "not": lambda x, _: ~x,
    "less": np.less,
    "at least": np.greater_equal,
    "equal": np.equal,
}


def numbers(kind: str, seed: int) -> np.ndarray:
    """Return numbers of a type: its ends, small ones, and ones from all of its range."""
    info = np.iinfo(kind)
    random = np.random.default_rng(seed)
    drawn = random.integers(info.min, info.max, SIZE - 16, dtype=kind, endpoint=True)
    small = random.integers(max(info.min, -5), 6, 12).astype(kind)
    return random.permutation(np.concatenate([drawn, small, np.array([info.min, info.max] * 2, kind)]))


@pytest.mark.parametrize("operation", list(TRUTH))
@pytest.mark.parametrize("kind", WIDTHS)
def test_two_numbers(operation: str, kind: str) -> None:
    x, y = numbers(kind, 1), numbers(kind, 2)
    if operation in ("div", "rem"):
        y[y == 0] = 3
    if operation in ("shl", "shr"):
        y = (np.abs(y.astype(np.int64)) % (8 * x.itemsize)).astype(kind)
    out = np.zeros(SIZE, kind)
    assert not run(combine, (1,), {"a": x, "b": y, "out": out}, {"OP": operation, "SIZE": SIZE}).findings
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(out, TRUTH[operation](x, y).astype(kind))


@triton.jit
def convert(a, out, SIZE: tl.constexpr):
    place = tl.arange(0, SIZE)
    tl.store(out + place, tl.load(a + place).to(out.dtype.element_ty))


@pytest.mark.parametrize("to", [*WIDTHS, "float32", "float64", "float16"])
@pytest.mark.parametrize("kind", WIDTHS)
def test_conversions(kind: str, to: str) -> None:
    x, out = numbers(kind, 3), np.zeros(SIZE, to)
    run(convert, (1,), {"a": x, "out": out}, {"SIZE": SIZE})
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(out, x.astype(to))


@pytest.mark.parametrize("to", WIDTHS)
def test_floats_are_cut_and_stay_in_range(to: str) -> None:
    info = np.iinfo(to)
    x = np.array([0.9, -0.9, 1.5, 2.5, 100.7, 3e38, -3e38, np.nan, np.inf, -np.inf] + [0.0] * 6, np.float32)
    out = np.zeros(16, to)
    run(convert, (1,), {"a": x, "out": out}, {"SIZE": 16})
    assert out[:9].tolist() == [0, 0, 1, 2, 100, info.max, info.min, 0, info.max]


@triton.jit
def high_halves(a, b, out, SIZE: tl.constexpr):
    place = tl.arange(0, SIZE)
    tl.store(out + place, tl.umulhi(tl.load(a + place), tl.load(b + place)))


@pytest.mark.parametrize("kind", ["uint32", "uint64"])
def test_high_half_of_a_product(kind: str) -> None:
    x, y, out = numbers(kind, 4), numbers(kind, 5), np.zeros(SIZE, kind)
    run(high_halves, (1,), {"a": x, "b": y, "out": out}, {"SIZE": SIZE})
    assert out.tolist() == [int(a) * int(b) >> (8 * out.itemsize) for a, b in zip(x, y, strict=True)]


@triton.jit
def shift_far(out, by, SIZE: tl.constexpr):
    place = tl.arange(0, SIZE)
    tl.store(out + place, tl.full((SIZE,), -8, tl.int32) >> by)
    tl.store(out + SIZE + place, tl.full((SIZE,), -8, tl.int32) << by)
    tl.store(out + 2 * SIZE + place, tl.full((SIZE,), 0xFFFFFFF8, tl.uint32) >> by)


def test_a_shift_beyond_the_width_leaves_zeros_or_the_sign() -> None:
    out = np.zeros(12, np.int32)
    run(shift_far, (1,), {"out": out, "by": 32}, {"SIZE": 4})
    assert out.tolist() == [-1] * 4 + [0] * 8


@triton.jit
def flags(a, b, out, SIZE: tl.constexpr):
    place = tl.arange(0, SIZE)
    x, y = tl.load(a + place) > 0, tl.load(b + place) > 0
    tl.store(out + place, (x & y).to(tl.int32) + 2 * (x | y) + 4 * (x ^ y) + 8 * (x < y) + 16 * (~x))


def test_flags() -> None:
    a, b, out = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.zeros(4, np.int32)
    run(flags, (1,), {"a": a, "b": b, "out": out}, {"SIZE": 4})
    assert out.tolist() == [16, 2 + 4 + 8 + 16, 2 + 4, 1 + 2]
