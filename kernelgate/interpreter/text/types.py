"""Types as MLIR writes them: `i32`, `tensor<32x64x!tt.ptr<f32>>`, `!tt.tensordesc<tensor<32x32xf32>>`."""

import re
from functools import lru_cache

from kernelgate.interpreter.text.module import Type

ELEMENTS = frozenset(
    ["i1", "i8", "i16", "i32", "i64", "index", "f16", "bf16", "f32", "f64", "f8E4M3FN", "f8E5M2"]
)
SIGNED = frozenset(f"{sign}i{bits}" for sign in "su" for bits in (8, 16, 32, 64))
"""Of the blocks of a descriptor, whose minimum and maximum ask for the sign; values have none."""

_TENSOR = re.compile(r"tensor<((?:\d+x)*)(.*)>")
_POINTER = re.compile(r"(?:!tt\.ptr)?<(.*?)(?:, \d+)?>")
_DESCRIPTOR = re.compile(r"!tt\.tensordesc<(.*)>")


@lru_cache(maxsize=4096)
def parse_type(text: str) -> Type:
    """Return the type that the text names; raises ValueError."""
    if text in ELEMENTS | SIGNED:
        return Type(element=text)
    if match := _TENSOR.fullmatch(text):
        shape = tuple(int(extent) for extent in match[1].split("x") if extent)
        inner = parse_type(match[2])
        if inner.shape:
            raise ValueError(f"type {text} is not known")
        return Type(element=inner.element, shape=shape, pointee=inner.pointee)
    if match := _DESCRIPTOR.fullmatch(text):
        return Type(element="desc", pointee=parse_type(match[1]))
    if match := _POINTER.fullmatch(text):
        return Type(element="ptr", pointee=parse_type(match[1]))
    raise ValueError(f"type {text} is not known")
