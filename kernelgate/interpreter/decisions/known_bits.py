"""Which bits of an integer may be 0 and which may be 1, as far as its operations tell.

`bits & 0xFF` has 24 bits that are always 0: no case can show them otherwise, and none has to.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from kernelgate.interpreter.elements import BYTES
from kernelgate.interpreter.text.module import Operation


class Bits(NamedTuple):
    """The width, and masks of the bits that are known to be 0 and known to be 1."""

    width: int
    zeros: int = 0
    ones: int = 0

    @property
    def everything(self) -> int:
        """The mask of all bits."""
        return (1 << self.width) - 1

    @property
    def open(self) -> int:
        """The mask of the bits that may be either."""
        return self.everything & ~(self.zeros | self.ones)


def constant(value: int, width: int) -> Bits:
    """Return what is known of a constant: all of it."""
    mask = (1 << width) - 1
    return Bits(width, ~value & mask, value & mask)


def width_of(operation: Operation) -> int:
    """Return the bits of an operation's result, 0 for what is no integer."""
    if operation.name in ("arith.cmpf", "arith.cmpi"):
        return 1
    element = operation.result_type.element if operation.inputs or operation.outputs else "i1"
    if element == "i1":
        return 1
    return 8 * BYTES[element] if element.startswith("i") and element in BYTES else 0


def known_bits(operation: Operation, operands: list[Bits], constants: Mapping[str, int]) -> Bits:
    """Return what is known of an integer result; `constants` are those among the operands, by name."""
    width = width_of(operation)
    rule = _RULES.get(operation.name)
    if rule is None or not operands or not width:
        return Bits(width)
    by = constants.get(operation.operands[-1]) if len(operation.operands) > 1 else None
    return rule(operands, width, by)


Rule = Callable[[list[Bits], int, int | None], Bits]


def _and(given: list[Bits], width: int, _: int | None) -> Bits:
    return Bits(width, given[0].zeros | given[-1].zeros, given[0].ones & given[-1].ones)


def _or(given: list[Bits], width: int, _: int | None) -> Bits:
    return Bits(width, given[0].zeros & given[-1].zeros, given[0].ones | given[-1].ones)


def _xor(given: list[Bits], width: int, _: int | None) -> Bits:
    a, b = given[0], given[-1]
    return Bits(width, (a.zeros & b.zeros) | (a.ones & b.ones), (a.zeros & b.ones) | (a.ones & b.zeros))


def _left(given: list[Bits], width: int, by: int | None) -> Bits:
    if by is None or not 0 <= by < width:
        return Bits(width)
    a, mask = given[0], (1 << width) - 1
    return Bits(width, (a.zeros << by | ((1 << by) - 1)) & mask, a.ones << by & mask)


def _right(given: list[Bits], width: int, by: int | None) -> Bits:
    if by is None or not 0 <= by < width:
        return Bits(width)
    return Bits(width, given[0].zeros >> by | _high(width, by), given[0].ones >> by)


def _right_signed(given: list[Bits], width: int, by: int | None) -> Bits:
    if by is None or not 0 <= by < width:
        return Bits(width)
    a, sign = given[0], 1 << (width - 1)
    zeros = a.zeros >> by | (_high(width, by) if a.zeros & sign else 0)
    return Bits(width, zeros, a.ones >> by | (_high(width, by) if a.ones & sign else 0))


def _high(width: int, count: int) -> int:
    return ((1 << count) - 1) << (width - count)


def _sum(given: list[Bits], width: int, _: int | None) -> Bits:
    """Return what both the least and the largest sum have in common at the top."""
    a, b = given[0], given[-1]
    least = a.ones + b.ones
    most = (a.ones | a.open) + (b.ones | b.open)
    if most >> width:
        return Bits(width)
    same = ((1 << width) - 1) & ~((1 << (least ^ most).bit_length()) - 1)
    return Bits(width, ~least & same, least & same)


def _zero_extended(given: list[Bits], width: int, _: int | None) -> Bits:
    a = given[0]
    return Bits(width, a.zeros | (((1 << width) - 1) & ~a.everything), a.ones)


def _sign_extended(given: list[Bits], width: int, _: int | None) -> Bits:
    a, more = given[0], ((1 << width) - 1) & ~given[0].everything
    sign = 1 << (a.width - 1) if a.width else 0
    return Bits(width, a.zeros | (more if a.zeros & sign else 0), a.ones | (more if a.ones & sign else 0))


def _cut(given: list[Bits], width: int, _: int | None) -> Bits:
    mask = (1 << width) - 1
    return Bits(width, given[0].zeros & mask, given[0].ones & mask)


def _same(given: list[Bits], width: int, _: int | None) -> Bits:
    return given[0] if given[0].width == width else Bits(width)


def _count(given: list[Bits], width: int, _: int | None) -> Bits:
    return Bits(width, ((1 << width) - 1) & ~((1 << given[0].width.bit_length()) - 1), 0)


_RULES: dict[str, Rule] = {
    "arith.andi": _and,
    "arith.ori": _or,
    "arith.xori": _xor,
    "arith.shli": _left,
    "arith.shrui": _right,
    "arith.shrsi": _right_signed,
    "arith.addi": _sum,
    "arith.extui": _zero_extended,
    "arith.extsi": _sign_extended,
    "arith.trunci": _cut,
    "math.ctpop": _count,
    "math.ctlz": _count,
    "math.cttz": _count,
    **dict.fromkeys(
        ("tt.splat", "tt.broadcast", "tt.expand_dims", "tt.reshape", "tt.trans", "ttg.convert_layout"), _same
    ),
}
