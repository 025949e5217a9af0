"""The arithmetic of a compiled kernel, read off its PTX, against what the operation declares.

An operation that declares `tf32` is right in TF32 or in anything more precise; on float32 tensors a product
in fp16, bf16 or fp8 is named here, before the kernel runs, whatever its rounding would look like on the
inputs that are tried.
"""

import re
from collections.abc import Iterable, Iterator

from kernelgate.operations.declaration.argument import Dtype

NARROW = ("f16", "bf16", "e4m3", "e5m2", "e2m3", "e3m2", "e2m1")
"""Floating-point types of fewer fraction bits, or a smaller range, than TF32 (PTX ISA, fundamental types)."""

NARROW_INTEGERS = ("s8", "u8", "s4", "u4", "b1")
SPLIT = ("bf16x3", "bf16x6")
"""Products of bf16 parts that add up to more bits than TF32 has (Triton, `input_precision` of tl.dot)."""

_NO_CODE = re.compile(r'"[^"\n]*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_INSTRUCTION = re.compile(r"(?:^|[;{}:])\s*(?:@!?%?\w+\s+)?([a-z_0-9]+(?:\.[a-zA-Z_0-9:]+)+)", re.MULTILINE)
"""Inline assembly may hold several on one line, between braces."""

_DOT = re.compile(r"tt\.dot.*?->")
_FLOAT32_OPERAND = re.compile(r"\dxf32\b")
_ARITHMETIC = ("fma", "mul", "add", "sub", "min", "max", "cvt")


def read_products(ptx: str) -> tuple[str, ...]:
    """Return the operand types of tensor-core products, and `fma` for those of float32 without them."""
    found = set()
    for name in _instructions(ptx):
        parts = name.split(".")
        if parts[0] in ("mma", "wgmma"):
            found |= {part for part in parts if part in (*NARROW, *NARROW_INTEGERS, "tf32", "f64")}
        if name.startswith(("fma.rn.f32", "fma.rn.ftz.f32")):
            found.add("fma")
    return tuple(sorted(found))


def find_narrow(ptx: str, ttir: str) -> tuple[str, ...]:
    """Return the instructions that compute in less than TF32, each once; none of a split product's."""
    split = _is_split(ttir)
    return tuple(dict.fromkeys(name for name in _instructions(ptx) if _is_narrow(name, split=split)))


def narrower_than(dtype: Dtype, names: Iterable[str]) -> tuple[str, ...]:
    """Return those of narrow instructions that an operation on such tensors may not have.

    Products of bfloat16 tensors are exact in float32, and their answer is rounded to bfloat16.
    """
    if dtype == "float32":
        return tuple(names)
    too_narrow = {*NARROW, *NARROW_INTEGERS} - {"bf16"}
    return tuple(name for name in names if _types(name) & too_narrow)


def _types(name: str) -> set[str]:
    return {part.removesuffix("x2").removesuffix("x4") for part in name.split(".")[1:]}


def _instructions(ptx: str) -> Iterator[str]:
    return (match[1] for match in _INSTRUCTION.finditer(_NO_CODE.sub("", ptx)))


def _is_narrow(name: str, *, split: bool) -> bool:
    kind, types = name.split(".", maxsplit=1)[0], _types(name)
    narrow = types & set(NARROW) - ({"bf16"} if split else set())
    if kind in ("mma", "wgmma"):
        return bool(narrow or types & set(NARROW_INTEGERS))
    return kind in _ARITHMETIC and bool(narrow)


def _is_split(ttir: str) -> bool:
    """Whether every product is of float32 operands, in parts."""
    dots = _DOT.findall(ttir)
    return bool(dots) and all(
        len(_FLOAT32_OPERAND.findall(dot)) == 2 and any(kind in dot for kind in SPLIT) for dot in dots
    )
