"""Runs small kernels under the interpreter, its arithmetic a GPU's; prints what they computed as JSON."""

# ruff: noqa: ANN001, ANN201, N803 - kernels are written in Triton's own idiom

import dataclasses
import json
import sys

import numpy as np
import torch
import triton
import triton.language as tl
from triton.runtime import interpreter

from kernelgate.worker.interpret.arithmetic import compute_as_gpu, cut_to_tf32

ROWS, INNER, COLUMNS = 32, 64, 32


@triton.jit
def multiply(
    a_ptr, b_ptr, out_ptr, PRECISION: tl.constexpr, M: tl.constexpr, K: tl.constexpr, N: tl.constexpr
):
    m, k, n = tl.arange(0, M), tl.arange(0, K), tl.arange(0, N)
    a = tl.load(a_ptr + m[:, None] * K + k[None, :])
    b = tl.load(b_ptr + k[:, None] * N + n[None, :])
    start = tl.full((M, N), 0.5, dtype=tl.float32)
    total = tl.dot(a, b, start) if PRECISION == "" else tl.dot(a, b, start, input_precision=PRECISION)
    tl.store(out_ptr + m[:, None] * N + n[None, :], total)


@triton.jit
def step_over(value_ptr, out_ptr):
    value = tl.load(value_ptr)
    tl.store(out_ptr, value + 1)
    tl.store(out_ptr + 1, value * 2)
    tl.store(out_ptr + 2, -value - 2)


def product(a: torch.Tensor, b: torch.Tensor, precision: str = "tf32") -> torch.Tensor:
    """Return a @ b + 0.5 as the kernel computes it."""
    out = torch.empty(len(a), b.shape[1])
    multiply[(1,)](a, b, out, precision, *a.shape, b.shape[1])
    return out


def show_precision() -> dict[str, object]:
    """Return what becomes of operands that TF32 cannot hold, and of those of half the width."""
    fine = torch.full((ROWS, INNER), 1 + 2.0**-11)
    ones = torch.ones(INNER, COLUMNS)
    shown: dict[str, object] = {
        name: product(fine, ones, name)[0, 0].item() for name in ("tf32", "tf32x3", "ieee", "")
    }
    shown["right operand"] = product(torch.ones(ROWS, INNER), torch.full((INNER, COLUMNS), 1 + 2.0**-11))[
        0, 0
    ].item()
    shown["half"] = product(fine.half(), ones.half())[0, 0].item()
    return shown


def show_places() -> dict[str, bool]:
    """Return whether an element's bits stay as it moves about the tile, or comes into a smaller one."""
    random = torch.Generator().manual_seed(3)
    a, b = (torch.randn(shape, generator=random) for shape in ((ROWS, INNER), (INNER, COLUMNS)))
    rows, columns = torch.randperm(ROWS, generator=random), torch.randperm(COLUMNS, generator=random)
    whole = product(a, b, "ieee")
    return {
        "moved": torch.equal(product(a[rows], b[:, columns].contiguous(), "ieee"), whole[rows][:, columns]),
        "narrow": torch.equal(product(a, b[:, :4].contiguous(), "ieee"), whole[:, :4]),
        "close": torch.allclose(whole, a @ b + 0.5, atol=1e-4),
    }


def show_integers() -> list[int]:
    """Return what one step over the end of int32 gives, doubling, and negation."""
    value, out = torch.tensor([2**31 - 1], dtype=torch.int32), torch.zeros(3, dtype=torch.int32)
    step_over[(1,)](value, out)
    return [int(each) for each in out]


if __name__ == "__main__":
    compute_as_gpu()
    builder = interpreter.interpreter_builder
    builder.options = dataclasses.replace(
        builder.options, debug=True
    )  # else no check of the library's would speak
    cut = cut_to_tf32(np.array([1 + 2.0**-10, 1 + 2.0**-11, -1 - 2.0**-11, np.inf, 0.0], dtype=np.float32))
    found = {
        "precision": show_precision(),
        "places": show_places(),
        "integers": show_integers(),
        "cut": [float(each) for each in cut[:3]] + [bool(np.isinf(cut[3])), float(cut[4])],
    }
    json.dump(found, sys.stdout)
