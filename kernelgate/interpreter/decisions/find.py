"""The operations of a module that decide by loaded values, and how many sides each has.

Sums and products of what was loaded decide nothing: they are what a product is. A comparison does, a
maximum, a conversion to an integer, a function that saturates, and bits that are cut out of a float.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from kernelgate.interpreter.decisions.constants import Constants, as_integer, defining, find_constants
from kernelgate.interpreter.decisions.flow import EMPTY, READS, DataFlow, Flow, Names, is_float
from kernelgate.interpreter.decisions.known_bits import Bits, constant, known_bits, width_of
from kernelgate.interpreter.text.module import Function, Module, Operation

Kind = Literal["compares", "chooses", "clamps", "sign", "rounds", "converts", "divides", "saturates", "bits"]

_KINDS: dict[str, Kind] = {
    "arith.cmpf": "compares",
    "arith.cmpi": "compares",
    **dict.fromkeys(("arith.maximumf", "arith.minimumf", "arith.maxnumf", "arith.minnumf"), "chooses"),
    **dict.fromkeys(("arith.maxsi", "arith.minsi", "arith.maxui", "arith.minui"), "chooses"),
    "tt.clampf": "clamps",
    "math.absf": "sign",
    **dict.fromkeys(
        ("math.floor", "math.ceil", "math.trunc", "math.round", "math.roundeven"), "rounds"
    ),
    "arith.fptosi": "converts",
    "arith.fptoui": "converts",
    "arith.divf": "divides",
    "tt.precise_divf": "divides",
    "arith.remf": "saturates",
    "tt.precise_sqrt": "saturates",
    "tt.extern_elementwise": "saturates",
}  # fmt: skip
_LOGIC = frozenset(["arith.andi", "arith.ori", "arith.xori"])
_LOSSY = frozenset(
    f"arith.{name}" for name in ("andi", "ori", "shli", "shrsi", "shrui", "muli", "trunci", "divsi", "divui",
                                 "remsi", "remui")
) | {"math.ctpop", "math.ctlz", "math.cttz"}  # fmt: skip
"""Of bits of floats: what these drop, nothing behind them sees again."""

_PLAIN_MATH = frozenset(["math.fma", "math.copysign"])


class Decision(NamedTuple):
    """An operation that decides by loaded values.

    `wanted` are the bits of its outcome that can be 0 and 1; a comparison has one. `data` are the parameters
    whose memory is loaded for it, `guards` the masks of the loads that it is made of, lane by lane.
    """

    function: str
    operation: Operation
    kind: Kind
    wanted: int
    data: Names
    guards: tuple[str, ...]


def may_decide(module: Module) -> bool:
    """Whether a module has any operation that would decide if its operands were loaded values."""
    return any(
        (operation.name in _KINDS and operation.name != "arith.cmpi")
        or (operation.name.startswith("math.") and operation.name not in _PLAIN_MATH)
        or (operation.name in READS and not _loads_floats(operation))
        or (operation.name.endswith("bitcast") and any(map(is_float, operation.inputs)))
        or (operation.name == "tt.elementwise_inline_asm" and any(map(is_float, operation.inputs)))
        for function in module.functions.values()
        for operation in function.body.every()
    )


def find_decisions(module: Module, flow: DataFlow) -> tuple[Decision, ...]:
    """Return every decision of a module by what may be loaded values, in the order of the text."""
    return tuple(
        each for function in module.functions.values() for each in _Finder(function, flow).decisions()
    )


def _loads_floats(operation: Operation) -> bool:
    pointee = operation.inputs[0].pointee if operation.inputs else None
    return pointee is not None and is_float(pointee)


class _Finder:
    """Goes through one function once, in order: what is known of bits, and which masks guard which lanes."""

    def __init__(self, function: Function, flow: DataFlow) -> None:
        self.function = function
        self.flows = flow.of[function.name]
        self.constants: Constants = find_constants(function)
        self.numbers = {
            name: number for name, each in self.constants.items() if (number := as_integer(each)) is not None
        }
        self.defining = defining(function.body)
        self.bits: dict[str, Bits] = {}
        self.guards: dict[str, frozenset[str]] = {}

    def decisions(self) -> Iterator[Decision]:
        """Yield the function's decisions."""
        for operation in self.function.body.every():
            self._learn(operation)
            kind = self._kind(operation)
            if kind is None or is_settled(operation, self.constants, self.defining):
                continue
            given = [self.flows.get(name, EMPTY) for name in operation.operands]
            data = self._depends_on(operation, kind, given)
            wanted = self._wanted(operation, kind)
            if data and wanted:
                guards = frozenset[str]().union(*(self._guards_of(name) for name in operation.operands))
                yield Decision(self.function.name, operation, kind, wanted, data, tuple(sorted(guards)))

    def _depends_on(self, operation: Operation, kind: Kind, given: list[Flow]) -> Names:
        if kind == "divides":
            return given[1].data
        joined = frozenset[str]().union(*((each.bits if kind == "bits" else each.data) for each in given))
        return joined if operation.operands else frozenset()

    def _kind(self, operation: Operation) -> Kind | None:
        name = operation.name
        if name in _LOGIC and width_of(operation) == 1:
            return None if self._is_negation(operation) else "compares"
        if name in _KINDS:
            return _KINDS[name]
        if name.startswith("math.") and name not in _PLAIN_MATH and is_float(operation.result_type):
            return "saturates"
        return "bits" if name in _LOSSY else None

    def _is_negation(self, operation: Operation) -> bool:
        return any(name in self.numbers for name in operation.operands)

    def _wanted(self, operation: Operation, kind: Kind) -> int:
        if kind == "clamps":
            bounds = [self.constants.get(name) for name in operation.operands[1:]]
            return sum(1 << place for place, each in enumerate(bounds) if each is None or np.isfinite(each))
        if kind != "bits":
            return 1
        return self.bits[operation.results[0]].open if operation.results[0] in self.bits else 0

    def _learn(self, operation: Operation) -> None:
        """Note what is known of an integer's bits, and which masks its lanes were loaded by."""
        if len(operation.results) != 1:
            return
        name, width = operation.results[0], width_of(operation)
        if name in self.numbers and width:
            self.bits[name] = constant(self.numbers[name], width)
        elif width:
            operands = [self.bits.get(each, Bits(width)) for each in operation.operands]
            self.bits[name] = known_bits(operation, operands, self.numbers)
        if operation.name == "tt.load" and len(operation.operands) > 1:
            self.guards[name] = frozenset([operation.operands[1]])
        elif not operation.regions and operation.name not in READS and self._keeps_lanes(operation):
            self.guards[name] = frozenset[str]().union(*map(self._guards_of, operation.operands))

    def _guards_of(self, name: str) -> frozenset[str]:
        return self.guards.get(name, frozenset())

    def _keeps_lanes(self, operation: Operation) -> bool:
        """Whether lane by lane the result is made of the operands' lanes."""
        shapes = {kind.shape for kind in (*operation.inputs, *operation.outputs)}
        return len(shapes) == 1 and operation.name.startswith(
            ("arith.", "math.", "tt.bitcast", "tt.fp_to_fp")
        )


def is_settled(operation: Operation, constants: Constants, made_by: dict[str, Operation]) -> bool:
    """Whether a decision has but one outcome: against an infinity, or of what is never negative against 0."""
    if len(operation.operands) != 2:
        return False
    for place, name in enumerate(operation.operands):
        bound = constants.get(name)
        if bound is None or bound.dtype.kind != "f":
            continue
        other = made_by.get(operation.operands[1 - place])
        settled = _settled_by(operation, float(bound), constant_is_first=place == 0)
        if settled or (bound <= 0 and _is_never_negative(other) and _asks_below(operation, place)):
            return True
    return False


def _settled_by(operation: Operation, bound: float, *, constant_is_first: bool) -> bool:
    if operation.name in ("arith.maximumf", "arith.maxnumf"):
        return bound == -np.inf
    if operation.name in ("arith.minimumf", "arith.minnumf"):
        return bound == np.inf
    if operation.name != "arith.cmpf":
        return False
    above = operation.words[0][1:] == ("lt" if constant_is_first else "gt")
    below = operation.words[0][1:] == ("gt" if constant_is_first else "lt")
    return (above and bound == np.inf) or (below and bound == -np.inf)


def _is_never_negative(operation: Operation | None) -> bool:
    if operation is None:
        return False
    square = operation.name == "arith.mulf" and operation.operands[0] == operation.operands[1]
    return square or operation.name == "math.absf"


def _asks_below(operation: Operation, constant_place: int) -> bool:
    """Whether the decision is about what lies below the constant."""
    if operation.name in ("arith.maximumf", "arith.maxnumf"):
        return True
    below = "lt" if constant_place == 1 else "gt"
    return operation.name == "arith.cmpf" and operation.words[0][1:] == below
