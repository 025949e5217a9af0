"""Division, roots and powers may be off by what PTX allows, the same each time."""

# ruff: noqa: ANN001, ANN201, N803 - kernels are written in Triton's own idiom

import numpy as np
import pytest
import triton
import triton.language as tl

from kernelgate.interpreter.dialects.approximations import move
from tests.selftest.interpreter.compiled import run

SIZE = 1024
PARTS = 8


@triton.jit
def functions(a, b, out, SIZE: tl.constexpr):
    place = tl.arange(0, SIZE)
    x, y = tl.load(a + place), tl.load(b + place)
    tl.store(out + place, x / y)
    tl.store(out + SIZE + place, tl.sqrt(x))
    tl.store(out + 2 * SIZE + place, tl.rsqrt(x))
    tl.store(out + 3 * SIZE + place, tl.exp(-x))
    tl.store(out + 4 * SIZE + place, tl.exp2(x))
    tl.store(out + 5 * SIZE + place, tl.div_rn(x, y))
    tl.store(out + 6 * SIZE + place, tl.sqrt_rn(x))
    tl.store(out + 7 * SIZE + place, x * y)


def results(seed: int | None) -> np.ndarray:
    random = np.random.default_rng(2)
    a, b = random.uniform(0.1, 9, (2, SIZE)).astype(np.float32)
    out = np.zeros((PARTS, SIZE), np.float32)
    run(functions, (1,), {"a": a, "b": b, "out": out}, {"SIZE": SIZE}, rounding_seed=seed)
    return out


def test_only_what_is_approximate_moves_and_no_further_than_it_may() -> None:
    nearest, moved = results(None), results(7)
    units = np.abs(moved.view(np.int32) - nearest.view(np.int32)).max(axis=1)
    assert units.tolist() == [2, 1, 2, 2, 2, 0, 0, 0]


def test_a_seed_gives_the_same_bits_another_one_others() -> None:
    np.testing.assert_array_equal(results(7), results(7))
    assert (results(7)[:5] != results(8)[:5]).any(axis=1).all()


@pytest.mark.parametrize("value", [0.0, -0.0, np.inf, -np.inf, 1e-45, 1.2e-38, 3.4e38])
def test_what_has_no_neighbours_stays(value: float) -> None:
    values = np.full(8, value, np.float32)
    assert all((move(values, 2, seed) == values).all() for seed in range(20))
    assert np.isnan(move(np.full(8, np.nan, np.float32), 2, 3)).all()
