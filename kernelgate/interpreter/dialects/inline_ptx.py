"""Inline PTX: lines that hint, order, copy or round to TF32. Any other is lacking, and named."""

import re
from collections.abc import Callable

import numpy as np

from kernelgate.interpreter.dialects.registry import Compute, computes, lacking
from kernelgate.interpreter.elements import BYTES, Array, from_bits, round_to_tf32, to_bits
from kernelgate.interpreter.text.module import Operation

WITHOUT_RESULT = ("bar.warp.sync", "fence", "membar", "prefetch", "prefetchu")
"""Hints, and orders among threads: programs that run operation by operation need neither (PTX ISA)."""

COPIES = {f"mov.{kind}{bits}" for kind in "busf" for bits in (16, 32, 64)}
ROUNDS = "cvt.rna.tf32.f32"
INTEGER = re.compile(r"-?(0[xX][0-9a-fA-F]+|0|[1-9][0-9]*)")
"""One that reads the same in PTX and here: no octal, no suffix."""

_BETWEEN_WORDS = str.maketrans(",{}", "   ")

Registers = dict[str, Array]
"""Bits, as unsigned integers, by the registers' names."""

Line = Callable[[Registers], None]


@computes("tt.elementwise_inline_asm")
def make_inline_ptx(operation: Operation) -> Compute:
    """Return what the lines leave in the result registers. Without a line for one it holds an odd NaN."""
    if operation.attributes.get("packed_element", 1) != 1:
        raise lacking(operation, "with elements that share a register")
    outputs = [each.element for each in operation.outputs]
    inputs = [each.element for each in operation.inputs]
    ones = (1,) * (1 + len(operation.result_type.shape))
    lines = [_read(words, operation) for words in _lines_of(operation.texts[0])]

    def compute(*values: Array) -> Array | tuple[Array, ...]:
        registers = {f"${n}": _unset(BYTES[each]).reshape(ones) for n, each in enumerate(outputs)}
        for number, (value, element) in enumerate(zip(values, inputs, strict=True), start=len(outputs)):
            registers[f"${number}"] = to_bits(value, element)
        for line in lines:
            line(registers)
        found = tuple(_as(registers[f"${n}"], each) for n, each in enumerate(outputs))
        return found[0] if len(found) == 1 else found

    return compute


def _unset(size: int) -> Array:
    """Return what a register holds that nothing was written to."""
    return np.array([0x7FE97FE97FE97FE9 & (2 ** (8 * size) - 1)], f"u{size}")


def _as(bits: Array, element: str) -> Array:
    return from_bits(bits.astype(f"u{BYTES[element]}"), element)


def _lines_of(text: str) -> list[list[str]]:
    return [words for line in text.translate(_BETWEEN_WORDS).split(";") if (words := line.split())]


def _read(words: list[str], operation: Operation) -> Line:
    """Return what an instruction, given as its words, does to registers."""
    match words:
        case [name, *_] if name.split(".")[0] in WITHOUT_RESULT or name in WITHOUT_RESULT:
            return lambda _: None
        case [name, target, source] if name in COPIES and source.startswith("$"):
            return _line(target, source, operation)
        case [name, target, number] if name in COPIES and INTEGER.fullmatch(number):
            return _line(target, target, operation, _filled_with(int(number, 0)))
        case [name, target, source] if name == ROUNDS and source.startswith("$"):
            return _line(target, source, operation, _rounded_bits)
    known = ", ".join((*WITHOUT_RESULT, "mov", ROUNDS))
    raise lacking(operation, f"`{' '.join(words)}`: inline PTX other than {known}")


def _line(
    target: str, source: str, operation: Operation, change: Callable[[Array], Array] = lambda bits: bits
) -> Line:
    """Return what puts into one register what is made of another one's bits."""
    known = {f"${number}" for number in range(len(operation.outputs) + len(operation.operands))}
    if strange := [name for name in (target, source) if name not in known]:
        raise lacking(operation, f"with register {strange[0]}")

    def run(registers: Registers) -> None:
        registers[target] = change(registers[source])

    return run


def _filled_with(number: int) -> Callable[[Array], Array]:
    return lambda held: np.full((1,) * held.ndim, number % 2 ** (8 * held.itemsize), held.dtype)


def _rounded_bits(bits: Array) -> Array:
    values = round_to_tf32(np.ascontiguousarray(bits).view(np.float32))
    return np.ascontiguousarray(values).view(np.uint32)
