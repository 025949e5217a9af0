"""Runs kernels with inline PTX under the interpreter; prints what they computed or were told as JSON."""

# ruff: noqa: ANN001, ANN201, N803 - kernels are written in Triton's own idiom

import json
import math
import sys

import torch
import triton
import triton.language as tl

from kernelgate.worker.interpret.inline_ptx import interpret_ptx

HINTS = [
    "prefetch.global.L2 [$1];",
    "prefetch.global.L1 [$1]; bar.warp.sync -1;",
    "{ membar.gl; fence.acq_rel.gpu; }",
]
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
VALUES = [1 + 2.0**-11, 1 + 2.0**-12, -1 - 2.0**-11, 3.4028234663852886e38, float("inf"), 0.0, 1e-39, 2.5]


@triton.jit
def map_kernel(x_ptr, out_ptr, ASM: tl.constexpr, PACK: tl.constexpr):
    place = tl.arange(0, 8)
    x = tl.load(x_ptr + place)
    dtype: tl.constexpr = out_ptr.dtype.element_ty
    out = tl.inline_asm_elementwise(ASM, "=r,r", [x], dtype, is_pure=False, pack=PACK)
    tl.store(out_ptr + place, out)


@triton.jit
def alone_kernel(out_ptr):
    number = tl.inline_asm_elementwise("bar.warp.sync -1; mov.b32 $0, -17;", "=r", [], tl.int32, False, 1)
    tl.store(out_ptr, number)


def run(asm: str, pack: int = 1, dtype: torch.dtype = torch.float32) -> list[float]:
    """Return what the lines make of the values."""
    out = torch.zeros(8, dtype=dtype)
    map_kernel[(1,)](torch.tensor(VALUES), out, asm, pack)
    return [float(each) for each in out]


def said(asm: str, pack: int = 1) -> str:
    """Return what a launch raises."""
    try:
        return f"nothing, and computed {run(asm, pack)}"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what a user would see
        return str(error)


if __name__ == "__main__":
    interpret_ptx()
    alone = torch.zeros(1, dtype=torch.int32)
    alone_kernel[(1,)](alone)
    found = {
        "hints": [run(hint + " mov.b32 $0, $1;") for hint in HINTS],
        "values": [float(each) for each in torch.tensor(VALUES)],
        "rounded": run("cvt.rna.tf32.f32 $0, $1;"),
        "nan stays": all(map(math.isnan, run("mov.b32 $1, 0x7fffffff; cvt.rna.tf32.f32 $0, $1;"))),
        "bits": run("mov.b32 $0, $1;", dtype=torch.int32)[-1],
        "alone": int(alone[0]),
        "unknown": {asm: said(asm) for asm in UNKNOWN},
        "packed": said("mov.b32 $0, $1;", pack=2),
    }
    json.dump(found, sys.stdout)
