"""Where a decision turns: the value that what was loaded must have, worked out backwards from a constant.

`x * 256 > 1000` turns where x is 3.90625; `bits == 7` where x has these bits. Behind a product, or a sum of
two loaded values, it is the sum that must be there.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from kernelgate.interpreter.decisions.constants import (
    SPREADS,
    Constants,
    as_integer,
    defining,
    find_constants,
)
from kernelgate.interpreter.decisions.find import Decision
from kernelgate.interpreter.decisions.flow import READS, DataFlow
from kernelgate.interpreter.elements import BYTES, Array
from kernelgate.interpreter.text.module import Function, Operation

MAX_STEPS = 60
MASK = 0xFFFFFFFF

_KEEP_VALUE = SPREADS | {"math.absf", "arith.extf", "arith.truncf", "tt.fp_to_fp", "tt.reduce"}
_KEEP_PATTERN = frozenset(["arith.andi", "arith.ori", "arith.extui", "arith.extsi", "arith.trunci"])
_TURNS = frozenset(["compares", "chooses", "clamps"])
_BACK = frozenset(["arith.xori", "arith.subi"])
"""Bits that are compared by being made 0."""


class Threshold(NamedTuple):
    """The bits at which a decision turns: of what is loaded from `parameter`, of a sum if that is empty."""

    parameter: str
    bits: int


class _Wanted(NamedTuple):
    """What a name must hold: the bits of a float32, or an integer."""

    number: int
    is_float: bool

    @property
    def value(self) -> float:
        """The float that the bits are."""
        return float(np.array(self.number, np.uint32).view(np.float32))


def _float(value: float) -> _Wanted:
    with np.errstate(all="ignore"):
        return _Wanted(int(np.array(value, np.float32).view(np.uint32)), is_float=True)


def find_thresholds(
    decision: Decision, function: Function, flow: DataFlow, scalars: Mapping[str, Array]
) -> frozenset[Threshold]:
    """Return where a decision turns, as far as that can be told; `scalars` are arguments of the launch."""
    tracer = _Tracer(function, flow, scalars)
    return frozenset(each for each in tracer.thresholds(decision) if each is not None)


class _Tracer:
    def __init__(self, function: Function, flow: DataFlow, scalars: Mapping[str, Array]) -> None:
        self.flows = flow.of[function.name]
        self.constants: Constants = find_constants(function, scalars)
        self.made_by = defining(function.body)

    def thresholds(self, decision: Decision) -> Iterator[Threshold | None]:
        """Yield where the decision turns, for each of its constants."""
        operation = decision.operation
        if decision.kind in _TURNS:
            yield from self._against_constants(operation)
        elif decision.kind == "converts":
            largest = 2.0 ** (8 * BYTES[operation.result_type.element] - 1)
            yield self._trace(operation.operands[0], _float(largest))
        elif decision.kind == "divides":
            yield self._trace(operation.operands[1], _float(0.0))
        elif decision.kind == "bits":
            yield from self._through_zeros(operation)

    def _against_constants(self, operation: Operation) -> Iterator[Threshold | None]:
        for name in operation.operands:
            bound = self.constants.get(name)
            if bound is None:
                continue
            wanted = _wanted(bound)
            for other in operation.operands:
                if other not in self.constants:
                    yield self._trace(other, wanted)

    def _through_zeros(self, operation: Operation) -> Iterator[Threshold | None]:
        """Yield the bits that an exclusive or, or a difference, makes zero on the way to what is cut out."""
        for name in operation.operands:
            at: str = name
            for _ in range(MAX_STEPS):
                made_by = self.made_by.get(at)
                if made_by is None or not made_by.operands:
                    break
                if made_by.name in _BACK:
                    yield self._trace(at, _Wanted(0, is_float=False))
                at = next((each for each in made_by.operands if each not in self.constants), "")

    def _trace(self, name: str, wanted: _Wanted) -> Threshold | None:
        """Return what is loaded where `name` holds what is wanted."""
        for _ in range(MAX_STEPS):
            operation = self.made_by.get(name)
            if operation is not None and operation.name in READS:
                points = self.flows[operation.operands[0]].points if operation.operands else frozenset()
                return Threshold(next(iter(points)), wanted.number & MASK) if len(points) == 1 else None
            step = None if operation is None else self._back(operation, wanted)
            if step is None:
                return Threshold("", wanted.number & MASK) if wanted.is_float else None
            name, wanted = step
        return None

    def _back(self, operation: Operation, wanted: _Wanted) -> tuple[str, _Wanted] | None:
        """Return an operand, and what it must hold for the result to hold what is wanted."""
        others = [name for name in operation.operands if name not in self.constants]
        if operation.name in _KEEP_VALUE or operation.name in _KEEP_PATTERN or len(operation.operands) == 1:
            if len(others) != 1:
                return None
            return others[0], _converted(operation, wanted)
        if len(others) != 1 or len(operation.operands) != 2:
            return None
        place = operation.operands.index(others[0])
        undone = _undo(operation.name, wanted, self.constants[operation.operands[1 - place]], place)
        return None if undone is None else (others[0], undone)


def _wanted(bound: Array) -> _Wanted:
    number = as_integer(bound)
    return _float(float(bound)) if number is None else _Wanted(number, is_float=False)


def _converted(operation: Operation, wanted: _Wanted) -> _Wanted:
    """Return what the one operand of a conversion must hold."""
    if operation.name in ("arith.bitcast", "tt.bitcast"):
        return wanted._replace(is_float=not wanted.is_float)
    if operation.name in ("arith.fptosi", "arith.fptoui"):
        signed = wanted.number - (1 << 32) if wanted.number >> 31 == 1 else wanted.number
        return _float(float(signed))
    if operation.name in ("arith.sitofp", "arith.uitofp"):
        value = wanted.value
        return _Wanted(int(value) if np.isfinite(value) else 0, is_float=False)
    if operation.name == "arith.negf":
        return _float(-wanted.value)
    return wanted


def _undo(name: str, wanted: _Wanted, constant: Array, place: int) -> _Wanted | None:
    """Return what the operand at a place must hold, given the other one; None where that cannot be told."""
    if wanted.is_float:
        with np.errstate(all="ignore"):
            found = _undo_float(name, wanted.value, float(constant), place)
        return None if found is None else _float(found)
    number = as_integer(constant)
    return None if number is None else _undo_integer(name, wanted.number, number, place)


def _undo_float(name: str, value: float, constant: float, place: int) -> float | None:
    if name == "arith.addf":
        return value - constant
    if name == "arith.subf":
        return value + constant if place == 0 else constant - value
    if name == "arith.mulf" and constant:
        return value / constant
    return value * constant if name == "arith.divf" and place == 0 else None


def _undo_integer(name: str, value: int, constant: int, place: int) -> _Wanted | None:
    found = {
        "arith.xori": value ^ constant,
        "arith.addi": value - constant,
        "arith.subi": value + constant if place == 0 else constant - value,
        "arith.shrui": value << constant % 64,
        "arith.shrsi": value << constant % 64,
        "arith.shli": value >> constant % 64,
    }.get(name)
    return None if found is None else _Wanted(found & MASK, is_float=False)
