"""Tensor descriptors, made on the device: kept on Hopper, rewritten to pointers on Ada."""

# ruff: noqa: ANN001, ANN201, N803 - kernels are written in Triton's own idiom

import numpy as np
import pytest
import triton
import triton.language as tl

from tests.selftest.interpreter.compiled import ADA, HOPPER, run


@triton.jit
def move(a, out, rows, columns, M: tl.constexpr, N: tl.constexpr, PADDING: tl.constexpr):
    source = tl.make_tensor_descriptor(a, [rows, columns], [columns, 1], [M, N], padding_option=PADDING)
    target = tl.make_tensor_descriptor(out, [rows, columns], [columns, 1], [M, N])
    row, column = tl.program_id(0) * M, tl.program_id(1) * N
    value = source.load([row, column])
    if tl.program_id(1) % 2 == 0:
        target = tl.make_tensor_descriptor(out, [rows - 1, columns], [columns, 1], [M, N])
    target.store([row, column], value + 1)
    corner = source.load([rows - 1, columns - 1])
    tl.store(out + rows * columns + tl.arange(0, M)[:, None] * N + tl.arange(0, N)[None, :], corner)


@pytest.mark.parametrize("capability", [ADA, HOPPER])
@pytest.mark.parametrize("padding", ["zero", "nan"])
def test_blocks_at_the_edges(capability: int, padding: str) -> None:
    a = np.arange(6 * 12, dtype=np.float32).reshape(6, 12)
    out = np.full(6 * 12 + 4 * 8, -1, np.float32)
    given = {"a": a, "out": out, "rows": 6, "columns": 12}
    result = run(move, (2, 2), given, {"M": 4, "N": 8, "PADDING": padding}, capability=capability)
    assert {each.kind for each in result.findings} == {"same-value"}  # the corner, written by all programs
    expected = a + 1
    expected[5, :8] = -1
    np.testing.assert_array_equal(out[:72].reshape(6, 12), expected)
    corner = np.full((4, 8), np.nan if padding == "nan" else 0, np.float32)
    corner[0, 0] = a[-1, -1]
    np.testing.assert_array_equal(out[72:].reshape(4, 8), corner)


@triton.jit
def add_to(a, out, rows, M: tl.constexpr, N: tl.constexpr):
    target = tl.make_tensor_descriptor(out, [rows, N], [N, 1], [M, N])
    value = tl.load(a + tl.arange(0, M)[:, None] * N + tl.arange(0, N)[None, :])
    target.atomic_add([tl.program_id(0), 0], value)


def test_sums_by_descriptor() -> None:
    a, out = np.arange(16, dtype=np.float32).reshape(4, 4), np.zeros((6, 4), np.float32)
    given = {"a": a, "out": out, "rows": 5}
    assert run(add_to, (3,), given, {"M": 4, "N": 4}, capability=HOPPER).findings == ()
    expected = np.zeros((7, 4), np.float32)
    for program in range(3):
        expected[program : program + 4] += a
    expected[5:] = 0
    np.testing.assert_array_equal(out, expected[:6])


@triton.jit
def reduce_into(out, a, KIND: tl.constexpr, SIZE: tl.constexpr):
    target = tl.make_tensor_descriptor(out, [SIZE], [1], [SIZE])
    value = tl.make_tensor_descriptor(a, [SIZE], [1], [SIZE]).load([0])
    if KIND == "max":
        target.atomic_max([0], value)
    elif KIND == "min":
        target.atomic_min([0], value)
    else:
        target.atomic_xor([0], value)


@pytest.mark.parametrize("kind", ["max", "min", "xor"])
@pytest.mark.parametrize("dtype", [np.int32, np.uint32])
def test_integers_of_a_descriptor_have_a_sign(kind: str, dtype: type) -> None:
    """Whether the largest one is below zero or far above it is the descriptor's to say."""
    random = np.random.default_rng(3)
    a, out = random.integers(0, 2**32, (2, 32), dtype=np.uint32).view(dtype)
    expected = {"max": np.maximum, "min": np.minimum, "xor": np.bitwise_xor}[kind](a, out)
    run(reduce_into, (1,), {"out": out, "a": a}, {"KIND": kind, "SIZE": 32}, capability=HOPPER)
    np.testing.assert_array_equal(out, expected)


@triton.jit
def advance(a, out, rows, columns, M: tl.constexpr, N: tl.constexpr):
    block = tl.make_block_ptr(a, (rows, columns), (columns, 1), (0, 0), (M, N), (1, 0))
    total = tl.zeros((M, N), tl.float32)
    for _ in range(0, columns, N):
        total += tl.load(block, boundary_check=(0, 1), padding_option="zero")
        block = tl.advance(block, (0, N))
    tl.store(out + tl.arange(0, M)[:, None] * N + tl.arange(0, N)[None, :], total)


@pytest.mark.filterwarnings("ignore:tl.make_block_ptr")
def test_block_pointers() -> None:
    a, out = np.arange(6 * 12, dtype=np.float32).reshape(6, 12), np.zeros((8, 8), np.float32)
    assert run(advance, (1,), {"a": a, "out": out, "rows": 6, "columns": 12}, {"M": 8, "N": 8}).findings == ()
    padded = np.zeros((8, 16), np.float32)
    padded[:6, :12] = a
    np.testing.assert_array_equal(out, padded[:, :8] + padded[:, 8:])
