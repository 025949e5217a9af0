"""Inline PTX: hints, copies and TF32's rounding are run, all else is named."""

# ruff: noqa: ANN001, ANN201, N803 - kernels are written in Triton's own idiom

import numpy as np
import pytest
import triton
import triton.language as tl

from kernelgate.interpreter.errors import CannotInterpretError
from tests.selftest.interpreter.compiled import run

VALUES = np.array([1 + 2.0**-11, 1 + 2.0**-12, -1 - 2.0**-11, 3.4e38, np.inf, 0, 1e-39, 2.5], np.float32)
UNKNOWN = [
    "ex2.approx.f32 $0, $1;",
    "@p mov.b32 $0, $1;",
    "prefetches [$1];",
    "bar.sync 0;",
    "griddepcontrol.wait;",
    "mov.b32 $0, $7;",
    "mov.b32 $0, 017;",
    "mov.b32 $0, %clock;",
]


@triton.jit
def map_kernel(x_ptr, out_ptr, ASM: tl.constexpr, PACK: tl.constexpr, WHOLE: tl.constexpr):
    place = tl.arange(0, 8)
    x = tl.load(x_ptr + place)
    if WHOLE:
        out = tl.inline_asm_elementwise(ASM, "=r,r", [x], tl.int32, is_pure=False, pack=PACK)
    else:
        out = tl.inline_asm_elementwise(ASM, "=r,r", [x], tl.float32, is_pure=False, pack=PACK)
    tl.store(out_ptr + place, out)


def mapped(asm: str, pack: int = 1, kind: str = "float32") -> np.ndarray:
    out = np.zeros(8, kind)
    constants = {"ASM": asm, "PACK": pack, "WHOLE": kind == "int32"}
    run(map_kernel, (1,), {"x_ptr": VALUES.copy(), "out_ptr": out}, constants)
    return out


@pytest.mark.parametrize(
    "hint",
    [
        "prefetch.global.L2 [$1];",
        "prefetch.global.L1 [$1]; bar.warp.sync -1;",
        "{ membar.gl; fence.acq_rel.gpu; }",
    ],
)
def test_hints_change_nothing(hint: str) -> None:
    np.testing.assert_array_equal(mapped(f"{hint} mov.b32 $0, $1;"), VALUES)


def test_rounding_to_tf32() -> None:
    found = mapped("cvt.rna.tf32.f32 $0, $1;")
    assert found[:3].tolist() == [1 + 2.0**-10, 1, -1 - 2.0**-10]
    assert found[[4, 5, 7]].tolist() == [np.inf, 0, 2.5]
    assert np.isnan(mapped("mov.b32 $1, 0x7fffffff; cvt.rna.tf32.f32 $0, $1;")).all()


def test_bits_are_copied_and_set() -> None:
    np.testing.assert_array_equal(mapped("mov.b32 $0, $1;", kind="int32"), VALUES.view(np.int32))
    assert (mapped("mov.b32 $0, -17;", kind="int32") == -17).all()
    assert (mapped("mov.b32 $0, 0x3f000000;") == 0.5).all()


def test_a_register_that_nothing_writes_holds_no_number() -> None:
    assert np.isnan(mapped("bar.warp.sync -1;")).all()


@pytest.mark.parametrize("asm", UNKNOWN)
def test_other_lines_are_named(asm: str) -> None:
    with pytest.raises(CannotInterpretError, match="cannot be interpreted"):
        mapped(asm)


def test_elements_that_share_a_register() -> None:
    with pytest.raises(CannotInterpretError, match="share a register"):
        mapped("mov.b32 $0, $1;", pack=2)


@triton.jit
def two_results(x_ptr, out_ptr):
    place = tl.arange(0, 8)
    asm: tl.constexpr = "mov.b32 $0, $2; mov.b32 $1, 5;"
    first, second = tl.inline_asm_elementwise(
        asm, "=r,=r,r", [tl.load(x_ptr + place)], (tl.float32, tl.int32), is_pure=True, pack=1
    )
    tl.store(out_ptr + place, first + second)
    number = tl.inline_asm_elementwise("mov.b32 $0, 3;", "=r", [], tl.int32, is_pure=False, pack=1)
    tl.store(out_ptr + 8, number)


def test_several_results_and_no_operands() -> None:
    out = np.zeros(9, np.float32)
    run(two_results, (1,), {"x_ptr": VALUES.copy(), "out_ptr": out})
    np.testing.assert_array_equal(out[:8], VALUES + 5)
    assert out[8] == 3
