"""How far an honest answer may be from the truth: by a proof, or by what the reference itself shows."""

from typing import Literal

import msgspec

from kernelgate.operations.declaration.argument import Dtype

TF32_UNIT = 2.0**-10
"""TF32 keeps 10 fraction bits, and hardware may truncate: the relative error of an operand (CUDA C++
Programming Guide, "Alternate floating point"; IEEE 754 section 4.3 for the direction of rounding)."""

FLOAT32_UNIT = 2.0**-23

STORED_UNITS: dict[Dtype, float] = {"float32": FLOAT32_UNIT, "bfloat16": 2.0**-8}
"""What one rounding of an answer may be off by. Bfloat16 keeps 8 significant bits, rounded to nearest (IEEE
754 section 4.3.1; PTX ISA, `cvt.rn.bf16.f32`); float32 may be cut."""

Math = Literal["tf32", "float32"]
"""The least precise arithmetic that products may be formed in."""

UNITS: dict[Math, float] = {"tf32": TF32_UNIT, "float32": FLOAT32_UNIT}


class Multilinear(msgspec.Struct, frozen=True):
    """Each output is a sum of `reduction` products, one factor of each tensor, and at most one addend.

    Then float32 sums of small integers are exact, and a bound of every sum in any order is known.
    """

    reduction: int


class Measured(msgspec.Struct, frozen=True):
    """The bound is measured: how far the answer moves when operands are off by what the math rounds.

    An honest answer is the exact answer of operands that are a little off (Higham, Accuracy and Stability of
    Numerical Algorithms, 2nd edition, section 1.5). For each tensor the reference is computed with all of its
    values off alike, as truncated ones are, and `draws` times with each off by a sign of its own (Parker,
    Monte Carlo Arithmetic, 1997). An answer may be off by `factor` times what the tensors show together, and
    what the reference in float32 is off itself on such operands. Beside that it may be off by `absolute`: a
    formula such as exp(x) - 1 rounds at 1, however small its answer.
    """

    draws: int = 4
    factor: float = 32.0
    absolute: float = 0.0


ErrorModel = Multilinear | Measured
