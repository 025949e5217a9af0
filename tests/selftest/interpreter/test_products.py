"""Products of matrices: what each precision keeps, narrow operands, one order of sums."""

# ruff: noqa: ANN001, ANN201, N803 - kernels are written in Triton's own idiom

import numpy as np
import pytest
import torch
import triton
import triton.language as tl

from kernelgate.interpreter.dialects import products
from tests.selftest.interpreter.compiled import Typed, run

M, K, N = 32, 64, 16
SIZES = {"M": M, "K": K, "N": N}


@triton.jit
def multiply(a, b, out, PRECISION: tl.constexpr, M: tl.constexpr, K: tl.constexpr, N: tl.constexpr):
    m, k, n = tl.arange(0, M), tl.arange(0, K), tl.arange(0, N)
    x = tl.load(a + m[:, None] * K + k[None, :])
    y = tl.load(b + k[:, None] * N + n[None, :])
    out_type: tl.constexpr = out.dtype.element_ty
    z = tl.dot(x, y, input_precision=PRECISION, out_dtype=out_type)
    tl.store(out + m[:, None] * N + n[None, :], z)


def product(a: np.ndarray, b: np.ndarray, precision: str) -> np.ndarray:
    out = np.zeros((M, N), np.float32)
    run(multiply, (1,), {"a": a, "b": b, "out": out}, {"PRECISION": precision} | SIZES)
    return out


def operands() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    return random.standard_normal((M, K)).astype(np.float32), random.standard_normal((K, N)).astype(
        np.float32
    )


@pytest.mark.parametrize(
    ("precision", "error"),
    [("ieee", 1e-6), ("tf32", 2e-3), ("tf32x3", 2e-6), ("bf16x3", 1e-4), ("bf16x6", 2e-6)],
)
def test_errors_of_each_precision(precision: str, error: float) -> None:
    a, b = operands()
    size = np.abs(a).astype(np.float64) @ np.abs(b)
    worst = np.max(np.abs(product(a, b, precision) - a.astype(np.float64) @ b) / size)
    assert error / 100 < worst < error


def test_tf32_cuts_what_it_does_not_keep() -> None:
    fine, ones = np.full((M, K), 1 + 2.0**-11, np.float32), np.ones((K, N), np.float32)
    kept = np.full((M, K), 1 + 2.0**-10, np.float32)
    assert (product(fine, ones, "tf32") == K).all()
    assert (product(kept, ones, "tf32") == K * (1 + 2.0**-10)).all()
    assert (product(fine, ones, "ieee") == K * (1 + 2.0**-11)).all()
    assert (product(fine, ones, "tf32x3") == K * (1 + 2.0**-11)).all()


@pytest.mark.parametrize("precision", ["tf32x3", "bf16x3", "bf16x6"])
def test_an_infinity_is_not_lost_in_parts(precision: str) -> None:
    a, b = np.ones((M, K), np.float32), np.ones((K, N), np.float32)
    a[3, 5] = np.inf
    out = product(a, b, precision)
    assert np.isposinf(out[3]).all()
    assert (np.delete(out, 3, axis=0) == K).all()


@pytest.mark.parametrize(
    ("name", "kind"),
    [("fp16", torch.float16), ("bf16", torch.bfloat16), ("fp8e4nv", torch.float8_e4m3fn),
     ("fp8e5", torch.float8_e5m2)],
)  # fmt: skip
def test_narrow_operands_are_exact(name: str, kind: torch.dtype) -> None:
    a, b = (torch.from_numpy(each).to(kind) for each in operands())
    stored = torch.uint8 if kind.itemsize == 1 else torch.int16
    given = {n: Typed(each.view(stored).numpy(), f"*{name}") for n, each in (("a", a), ("b", b))}
    out = np.zeros((M, N), np.float32)
    run(multiply, (1,), given | {"out": out}, {"PRECISION": "tf32"} | SIZES)
    np.testing.assert_allclose(out, (a.double() @ b.double()).numpy(), rtol=1e-5, atol=1e-5)


def test_float16_sums_are_rounded() -> None:
    a, b = (each.astype(np.float16) for each in operands())
    out = np.zeros((M, N), np.float16)
    run(multiply, (1,), {"a": a, "b": b, "out": out}, {"PRECISION": "tf32"} | SIZES)
    np.testing.assert_allclose(out, (a.astype(np.float64) @ b).astype(np.float16), rtol=2e-3, atol=2e-3)


def test_int8() -> None:
    random = np.random.default_rng(4)
    a, b = (
        random.integers(-128, 128, (M, K)).astype(np.int8),
        random.integers(-128, 128, (K, N)).astype(np.int8),
    )
    out = np.zeros((M, N), np.int32)
    run(multiply, (1,), {"a": a, "b": b, "out": out}, {"PRECISION": "tf32"} | SIZES)
    np.testing.assert_array_equal(out, a.astype(np.int32) @ b.astype(np.int32))


@pytest.mark.parametrize("inner", [16, 64, 96, 512])
@pytest.mark.parametrize(("rows", "columns"), [(16, 8), (32, 64), (128, 32)])
def test_an_element_has_the_same_bits_wherever_it_stands(rows: int, inner: int, columns: int) -> None:
    random = np.random.default_rng(5)
    a = random.standard_normal((3, rows, inner)).astype(np.float32)
    b = random.standard_normal((3, inner, columns)).astype(np.float32)
    whole = products.ordered_product(a, b)
    np.testing.assert_allclose(whole, a.astype(np.float64) @ b, rtol=1e-3, atol=1e-4)
    m, n = random.permutation(rows), random.permutation(columns)
    moved = products.ordered_product(a[[2, 0, 1]][:, m], b[[2, 0, 1]][:, :, n])
    np.testing.assert_array_equal(moved, whole[[2, 0, 1]][:, m][:, :, n])


@pytest.mark.parametrize(
    ("height", "terms", "tried"), [(0, 0, 12), (32, 64, 1), (8, 64, 2), (32, 16, 7), (4, 8, 12)]
)
def test_a_library_is_used_as_far_as_it_sums_in_order(
    monkeypatch: pytest.MonkeyPatch, height: int, terms: int, tried: int
) -> None:
    a, b = operands()
    seen: list[tuple[int, int]] = []

    def keeps_order(rows: int, inner: int, _columns: int, _kind: str) -> bool:
        seen.append((rows, inner))
        return rows <= height and inner <= terms

    monkeypatch.setattr(products, "_keeps_order", keeps_order)
    products._ordered_part.cache_clear()
    found = products.ordered_product(a, b)
    products._ordered_part.cache_clear()
    assert seen == [(rows, inner) for inner in (64, 32, 16, 8) for rows in (32, 8, 4)][:tried]
    np.testing.assert_allclose(found, a.astype(np.float64) @ b, rtol=1e-4, atol=1e-5)
