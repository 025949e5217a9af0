"""Elements stand where reshapes, transposes, joins and the like put them; reductions, scans and sorts."""

# ruff: noqa: ANN001, ANN201, N803 - kernels are written in Triton's own idiom

import numpy as np
import pytest
import triton
import triton.language as tl

from kernelgate.interpreter.errors import CannotInterpretError
from tests.selftest.interpreter.compiled import run

RANDOM = np.random.default_rng(0)


@triton.jit
def move(a, out, M: tl.constexpr, N: tl.constexpr):
    place = tl.arange(0, M)[:, None] * N + tl.arange(0, N)[None, :]
    flat = tl.arange(0, M * N)
    x = tl.load(a + place)
    tl.store(out + flat, tl.reshape(x, (M * N,)))
    tl.store(out + M * N + tl.reshape(tl.trans(place), (N, M)), tl.trans(x))
    both = tl.join(x, x + 100)
    tl.store(out + 2 * M * N + tl.arange(0, 2 * M * N), tl.reshape(both, (2 * M * N,)))
    first, second = tl.split(tl.permute(both, (1, 0, 2)))
    tl.store(out + 4 * M * N + flat, tl.reshape(first - 2 * second, (M * N,)))
    tl.store(out + 5 * M * N + tl.arange(0, 2 * M * N), tl.reshape(tl.interleave(x, -x), (2 * M * N,)))
    wide = tl.broadcast_to(tl.arange(0, M)[:, None], (M, N))
    tl.store(out + 7 * M * N + flat, tl.reshape(wide, (M * N,)).to(tl.float32))
    tl.store(out + 8 * M * N + flat, tl.reshape(tl.flip(x, 1), (M * N,)))


def test_moves() -> None:
    x = RANDOM.standard_normal((4, 8)).astype(np.float32)
    out = np.zeros(9 * 32, np.float32)
    assert not run(move, (1,), {"a": x, "out": out}, {"M": 4, "N": 8}).findings
    both = np.stack([x, x + 100], axis=-1)
    turned = both.transpose(1, 0, 2)
    expected = [
        x, x, both, turned[..., 0] - 2 * turned[..., 1], np.stack([x, -x], axis=-1),
        np.repeat(np.arange(4), 8), x[:, ::-1],
    ]  # fmt: skip
    np.testing.assert_array_equal(out, np.concatenate([each.reshape(-1) for each in expected]))


@triton.jit
def any_order(a, out, SIZE: tl.constexpr):
    x = tl.load(a + tl.arange(0, SIZE))
    tl.store(out + tl.arange(0, SIZE), tl.reshape(x, (SIZE // 2, 2), can_reorder=True).reshape(SIZE))
    tl.store(out + SIZE + tl.arange(0, 2 * SIZE), tl.cat(x, x + SIZE, can_reorder=True))


def test_an_order_that_nobody_may_rely_on_is_another_one() -> None:
    x, out = np.arange(8, dtype=np.int32), np.zeros(24, np.int32)
    run(any_order, (1,), {"a": x, "out": out}, {"SIZE": 8})
    for part, size in ((out[:8], 8), (out[8:], 16)):
        assert sorted(part.tolist()) == list(range(size))
        assert part.tolist() != list(range(size))


@triton.jit
def reduce_all(a, out, M: tl.constexpr, N: tl.constexpr, AXIS: tl.constexpr, LEFT: tl.constexpr):
    x = tl.load(a + tl.arange(0, M)[:, None] * N + tl.arange(0, N)[None, :])
    place = tl.arange(0, LEFT)
    tl.store(out + place, tl.sum(x, AXIS))
    tl.store(out + LEFT + place, tl.max(x, AXIS))
    tl.store(out + 2 * LEFT + place, tl.argmin(x, AXIS).to(tl.float32))
    value, index = tl.max(x, AXIS, return_indices=True)
    tl.store(out + 3 * LEFT + place, value)
    tl.store(out + 4 * LEFT + place, index.to(tl.float32))
    tl.store(out + 5 * LEFT + place, tl.xor_sum((x * 8).to(tl.int32), AXIS).to(tl.float32))
    tl.store(out + 6 * LEFT + place, tl.sum(x) + tl.zeros((LEFT,), tl.float32))


@pytest.mark.parametrize("axis", [0, 1])
def test_reductions(axis: int) -> None:
    x = (RANDOM.integers(-40, 40, (8, 16)) / 8).astype(np.float32)
    left = 16 if axis == 0 else 8
    out = np.zeros((7, left), np.float32)
    run(reduce_all, (1,), {"a": x, "out": out}, {"M": 8, "N": 16, "AXIS": axis, "LEFT": left})
    expected = [
        x.sum(axis), x.max(axis), x.argmin(axis), x.max(axis), x.argmax(axis),
        np.bitwise_xor.reduce((x * 8).astype(np.int32), axis=axis), np.full(left, x.sum()),
    ]  # fmt: skip
    np.testing.assert_array_equal(out, np.array(expected, np.float32))


@triton.jit
def larger(a, i, b, j):
    if a > b:
        value = a
        index = i
    else:
        value = b
        index = j
    return value, index


@triton.jit
def affine(a, b, c, d):
    return a * c, b * c + d


@triton.jit
def custom(a, out, SIZE: tl.constexpr):
    place = tl.arange(0, SIZE)
    x = tl.load(a + tl.program_id(0) * SIZE + place)
    value, index = tl.reduce((x, place), 0, larger)
    tl.store(out + tl.program_id(0) * 4 * SIZE + place, value + index)
    slope, offset = tl.associative_scan((x, x + 1), 0, affine)
    tl.store(out + tl.program_id(0) * 4 * SIZE + SIZE + place, slope)
    tl.store(out + tl.program_id(0) * 4 * SIZE + 2 * SIZE + place, offset)
    tl.store(out + tl.program_id(0) * 4 * SIZE + 3 * SIZE + place, tl.cumsum(x, 0, reverse=True))


def test_regions_of_ones_own_may_branch() -> None:
    x, out = RANDOM.integers(1, 3, (3, 16)).astype(np.float32), np.zeros((3, 4, 16), np.float32)
    x[:, 5], x[1, 9] = 7, 8
    run(custom, (3,), {"a": x, "out": out}, {"SIZE": 16})
    for program in range(3):
        slope, offset, slopes, offsets = 1.0, 0.0, [], []
        for value in x[program]:
            slope, offset = slope * value, offset * value + value + 1
            slopes.append(slope)
            offsets.append(offset)
        np.testing.assert_array_equal(out[program, 0], np.full(16, x[program].max() + x[program].argmax()))
        np.testing.assert_allclose(out[program, 1], slopes, rtol=1e-5)
        np.testing.assert_allclose(out[program, 2], offsets, rtol=1e-5)
        np.testing.assert_array_equal(out[program, 3], x[program][::-1].cumsum()[::-1])


@triton.jit
def order(x, y):
    if x < y:
        return -1
    if x == y:
        return 0
    return 1


@triton.jit
def quotients(x0, x1, y0, y1):
    return x0 // y0, x1 // y1, x0 % y0, x1 % y1


@triton.jit
def mapped(a, b, out, SIZE: tl.constexpr):
    place = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    x, y = tl.load(a + place), tl.load(b + place)
    tl.store(out + 3 * place, tl.map_elementwise(order, x, y))
    quotient, remainder = tl.map_elementwise(quotients, x, y, pack=2)
    tl.store(out + 3 * place + 1, quotient)
    tl.store(out + 3 * place + 2, remainder)


def test_a_region_of_several_blocks_is_run_to_its_end() -> None:
    """Of a function that returns early, lane by lane or two lanes at once."""
    x, y = RANDOM.integers(0, 5, (2, 3, 16)).astype(np.int32)
    y += 1
    out = np.full((3, 16, 3), 77, np.int32)
    run(mapped, (3,), {"a": x, "b": y, "out": out}, {"SIZE": 16})
    np.testing.assert_array_equal(out, np.stack([np.sign(x - y), x // y, x % y], axis=-1))


@triton.jit
def sort_all(a, out, M: tl.constexpr, N: tl.constexpr):
    place = tl.arange(0, M)[:, None] * N + tl.arange(0, N)[None, :]
    x = tl.load(a + place)
    tl.store(out + place, tl.sort(x))
    tl.store(out + M * N + place, tl.sort(x, descending=True))
    tl.store(out + 2 * M * N + place, tl.cumsum(x, 1))
    tl.store(out + 3 * M * N + place, tl.cumprod(x, 0))
    tl.store(out + 4 * M * N + tl.arange(0, M)[:, None] * 4 + tl.arange(0, 4)[None, :], tl.topk(x, 4))


def test_sorts_and_scans() -> None:
    x = RANDOM.permutation(64).reshape(4, 16).astype(np.float32)
    out = np.zeros(4 * 64 + 16, np.float32)
    run(sort_all, (1,), {"a": x, "out": out}, {"M": 4, "N": 16})
    expected = [np.sort(x), -np.sort(-x), x.cumsum(1), x.cumprod(0), -np.sort(-x)[:, :4]]
    np.testing.assert_array_equal(out, np.concatenate([each.reshape(-1) for each in expected]))


@triton.jit
def choose(a, at, out, M: tl.constexpr, N: tl.constexpr):
    place = tl.arange(0, M)[:, None] * N + tl.arange(0, N)[None, :]
    tl.store(out + place, tl.gather(tl.load(a + place), tl.load(at + place), 1))


def test_gather() -> None:
    x, at = RANDOM.standard_normal((4, 8)).astype(np.float32), RANDOM.integers(0, 8, (4, 8)).astype(np.int32)
    out = np.zeros((4, 8), np.float32)
    run(choose, (1,), {"a": x, "at": at, "out": out}, {"M": 4, "N": 8})
    np.testing.assert_array_equal(out, np.take_along_axis(x, at, 1))
    at[2, 3] = 8
    with pytest.raises(CannotInterpretError, match="outside the axis"):
        run(choose, (1,), {"a": x, "at": at, "out": out}, {"M": 4, "N": 8})


@triton.jit
def count(a, out, SIZE: tl.constexpr, BINS: tl.constexpr):
    x = tl.load(a + tl.program_id(0) * SIZE + tl.arange(0, SIZE))
    bins = tl.arange(0, BINS)
    tl.store(out + tl.program_id(0) * 2 * BINS + bins, tl.histogram(x, BINS))
    tl.store(out + tl.program_id(0) * 2 * BINS + BINS + bins, tl.histogram(x, BINS, mask=x > 3))


def test_histogram() -> None:
    x, out = RANDOM.integers(0, 8, (3, 64)).astype(np.int32), np.zeros((3, 2, 8), np.int32)
    run(count, (3,), {"a": x, "out": out}, {"SIZE": 64, "BINS": 8})
    for program in range(3):
        np.testing.assert_array_equal(out[program, 0], np.bincount(x[program], minlength=8))
        np.testing.assert_array_equal(out[program, 1], np.bincount(x[program][x[program] > 3], minlength=8))
