"""Inline PTX under the interpreter, which has none: lines that hint, order, copy or round to TF32.

A kernel may not ask whether it is interpreted, so it cannot leave them out. Others are refused by name.
"""

import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from triton.runtime import interpreter

from kernelgate.worker.interpret.arithmetic import cut_to_tf32

WITHOUT_RESULT = ("bar.warp.sync", "fence", "membar", "prefetch", "prefetchu")
"""Hints, and orders among threads: programs that run one after the other need neither (PTX ISA)."""

COPIES = {f"mov.{kind}{bits}" for kind in "busf" for bits in (16, 32, 64)}
ROUNDS = "cvt.rna.tf32.f32"
"""To nearest, ties away from zero, as the operands of a TF32 product are best prepared."""

INTEGER = re.compile(r"-?(0[xX][0-9a-fA-F]+|0|[1-9][0-9]*)")
"""One that Python reads as PTX does: no octal, no suffix."""

BETWEEN_WORDS = str.maketrans(",{}", "   ")

Registers = dict[str, NDArray[Any]]


class Results(NamedTuple):
    """What the library's builder returns of a call: an operation, asked for its results."""

    handles: tuple[interpreter.TensorHandle, ...]

    def get_result(self, number: int) -> interpreter.TensorHandle:
        """Return one of them."""
        return self.handles[number]


def interpret_ptx() -> None:
    """Make every interpreted `tl.inline_asm_elementwise` run its lines.

    A launch raises NotImplementedError for a line that is not known here, or if elements share a register.
    """

    def create_inline_asm(
        _builder: Any,
        asm: str,
        _constraints: str,
        values: list[Any],
        types: list[Any],
        _pure: bool,
        pack: int,
    ) -> Results:
        if pack != 1:
            raise NotImplementedError(f"inline PTX with pack={pack}: the gate's interpreter runs pack=1 only")
        shape = values[0].data.shape if values else (1,)
        dtypes = [interpreter._get_np_dtype(each.scalar) for each in types]
        registers = {f"${number}": np.zeros(shape, dtype) for number, dtype in enumerate(dtypes)}
        registers |= {f"${number}": value.data for number, value in enumerate(values, start=len(types))}
        for line in asm.translate(BETWEEN_WORDS).split(";"):
            _run(line.split(), registers)
        found = [registers[f"${number}"].view(dtype) for number, dtype in enumerate(dtypes)]
        handles = map(interpreter.TensorHandle, found, (each.scalar for each in types))
        return Results(tuple(handles))

    interpreter.InterpreterBuilder.create_inline_asm = create_inline_asm


def _run(words: list[str], registers: Registers) -> None:
    """Run an instruction, given as its words, on registers by their names."""
    match words:
        case []:
            pass
        case [name, *_] if name.split(".")[0] in WITHOUT_RESULT or name in WITHOUT_RESULT:
            pass
        case [name, target, source] if name in COPIES and target in registers and source in registers:
            registers[target] = registers[source]
        case [name, target, number] if name in COPIES and target in registers and INTEGER.fullmatch(number):
            registers[target] = _fill(registers[target], int(number, 0))
        case [name, target, source] if name == ROUNDS and source in registers:
            registers[target] = _round_to_tf32(registers[source])
        case _:
            known = ", ".join((*WITHOUT_RESULT, "mov", ROUNDS))
            raise NotImplementedError(
                f"inline PTX `{' '.join(words)}`: the gate's interpreter runs {known} only"
            )


def _fill(target: NDArray[Any], number: int) -> NDArray[Any]:
    """Return the bits of an integer in each place of the target, as many as it holds."""
    bits = 8 * target.itemsize
    return np.full(target.shape, number % 2**bits, f"uint{bits}").view(target.dtype)


def _round_to_tf32(register: NDArray[Any]) -> NDArray[Any]:
    values = register.view(np.float32)
    half_a_unit_more = (values.view(np.uint32) + np.uint32(0x1000)).view(np.float32)
    return np.where(np.isfinite(values), cut_to_tf32(half_a_unit_more), values)
