"""What each value of a module is made of: the parameters whose memory was loaded for it.

A branch hands its condition on to what comes out of it: what a value chooses depends on it.
"""

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import NamedTuple

from kernelgate.interpreter.elements import FLOATS, TINY_FLOATS
from kernelgate.interpreter.text.module import Function, Module, Operation, Region, Successor, Type

Names = frozenset[str]

ANYWHERE = "anywhere"
"""Stands for a pointer of unknown origin."""

NOTHING: Names = frozenset()
READS = frozenset(["tt.load", "tt.descriptor_load", "tt.descriptor_gather", "tt.atomic_rmw", "tt.atomic_cas"])
STORES = frozenset(["tt.store", "tt.descriptor_store", "tt.descriptor_scatter", "tt.descriptor_reduce"])
ATOMICS = frozenset(["tt.atomic_rmw", "tt.atomic_cas"])
YIELDS = frozenset(
    ["scf.yield", "scf.condition", "tt.reduce.return", "tt.scan.return", "tt.map_elementwise.return"]
)
OF_LANES = frozenset(["tt.reduce", "tt.scan"])
"""Each result is made of lanes of its own operand, and of others as far as the region mixes them."""

COUNTS = frozenset(["arith.fptosi", "arith.fptoui"])
"""Integers that are numbers, not patterns of bits."""


class Flow(NamedTuple):
    """Parameters of the kernel: those that a pointer points into, those whose values a value depends on.

    `bits` are those of `data` of which an integer holds the bits as they lie in memory.
    """

    points: Names = NOTHING
    data: Names = NOTHING
    bits: Names = NOTHING

    def join(self, other: "Flow") -> "Flow":
        """Return what is made of both."""
        return Flow(self.points | other.points, self.data | other.data, self.bits | other.bits)


EMPTY = Flow()


class Stored(NamedTuple):
    """One store: into the memory of which parameters, a value made of what, and whether that is a float."""

    into: Names
    value: Flow
    is_float: bool


def is_float(kind: Type) -> bool:
    """Whether a type's elements are floats."""
    return kind.element in FLOATS | TINY_FLOATS


class DataFlow:
    """The flows of a module by function and name, and what its stores put where."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.of: dict[str, dict[str, Flow]] = {name: {} for name in module.functions}
        self._returned: dict[str, Flow] = dict.fromkeys(module.functions, EMPTY)
        self._decided: dict[str, Names] = dict.fromkeys(module.functions, NOTHING)
        kernel = module.kernel
        for each in kernel.parameters:
            if each.type.element in ("ptr", "desc"):
                self.of[kernel.name][each.name] = Flow(points=frozenset([each.name]))
        self._changed = True
        while self._changed:
            self._changed = False
            for function in module.functions.values():
                self._follow(function, function.body, NOTHING)

    def stores(self) -> Iterator[Stored]:
        """Yield every store and atomic operation of the module."""
        for function in self.module.functions.values():
            for operation, decided in _with_conditions(self.of[function.name], function.body, NOTHING):
                if operation.name not in STORES | ATOMICS:
                    continue
                pointer, *rest = (self._at(function.name, name) for name in operation.operands)
                value = _joined(rest)
                data = value.data | decided | self._decided[function.name]
                floats = any(is_float(kind) or _points_to_float(kind) for kind in operation.inputs)
                yield Stored(pointer.points or frozenset([ANYWHERE]), value._replace(data=data), floats)

    def _at(self, function: str, name: str) -> Flow:
        return self.of[function].get(name, EMPTY)

    def _add(self, function: str, name: str, flow: Flow) -> None:
        before = self._at(function, name)
        after = before.join(flow)
        if after != before:
            self.of[function][name] = after
            self._changed = True

    def _follow(self, function: Function, region: Region, decided: Names) -> None:
        for block in region.blocks:
            for operation in block.operations:
                self._follow_operation(function, operation, decided)
                for successor in operation.successors:
                    self._branch(function.name, operation, region, successor)

    def _follow_operation(self, function: Function, operation: Operation, decided: Names) -> None:
        name, of = function.name, self._at
        given = _joined(of(name, each) for each in operation.operands)
        if operation.name == "tt.return":
            self._returned[name] = self._returned[name].join(given._replace(data=given.data | decided))
        if operation.name in OF_LANES:
            self._follow_lanes(function, operation, decided)
            return
        if operation.regions:
            self._follow_regions(function, operation, given, decided)
            return
        made = self._call(name, operation) if operation.name == "tt.call" else _made_by(operation, given)
        for result in operation.results:
            self._add(name, result, made)

    def _follow_regions(self, function: Function, operation: Operation, given: Flow, decided: Names) -> None:
        name = function.name
        condition = decided | (given.data if operation.name.startswith("scf.") else NOTHING)
        for inside, begun in operation.carried:
            self._add(name, inside, self._at(name, begun))
        # A loop's second region is handed what the first yields.
        handed = given if not operation.name.startswith("scf.") else EMPTY
        for region in operation.regions:
            for block in region.blocks:
                for parameter in block.parameters:
                    self._add(name, parameter.name, handed)
            self._follow(function, region, condition)
            handed = self._yielded(name, region)
        outcomes = [each._replace(data=each.data | condition) for each in self._outcomes(name, operation)]
        if operation.name.startswith("scf.") and operation.name != "scf.if":
            for (inside, _), outcome in zip(operation.carried[_skipped(operation) :], outcomes, strict=False):
                self._add(name, inside, outcome)
        for result, outcome in zip(operation.results, outcomes, strict=False):
            self._add(name, result, outcome)

    def _outcomes(self, function: str, operation: Operation) -> list[Flow]:
        """Return what comes out at each place: of a loop or branch, what was yielded or begun with there."""
        begun = [self._at(function, each) for _, each in operation.carried[_skipped(operation) :]]
        if operation.name in ("scf.for", "scf.if"):
            ends = [
                [self._at(function, name) for name in _yielded_names(region)] for region in operation.regions
            ]
            return [_joined(place) for place in zip_longest(begun, *ends, fillvalue=EMPTY)]
        whole = _joined([*begun, *(self._yielded(function, region) for region in operation.regions)])
        return [whole] * max(len(begun), len(operation.results))

    def _follow_lanes(self, function: Function, operation: Operation, decided: Names) -> None:
        """Follow a region that is handed two lanes of each operand, or what it has made of such before."""
        name, count = function.name, len(operation.operands)
        for region in operation.regions:
            self._follow(function, region, decided)
            parameters = [each.name for block in region.blocks for each in block.parameters]
            yielded = _yielded_names(region)
            for place, result in enumerate(operation.results):
                made = _joined(
                    self._at(name, each) for each in (operation.operands[place], *yielded[place::count])
                )
                for each in (*parameters[place::count], result):
                    self._add(name, each, made)

    def _yielded(self, function: str, region: Region) -> Flow:
        return _joined(self._at(function, name) for name in _yielded_names(region))

    def _branch(self, function: str, operation: Operation, region: Region, target: Successor) -> None:
        if operation.name == "cf.cond_br":
            self._decided[function] |= self._at(function, operation.operands[0]).data
        block = next((each for each in region.blocks if each.name == target.block), None)
        for parameter, argument in zip(block.parameters if block else (), target.arguments, strict=False):
            flow = self._at(function, argument)
            self._add(function, parameter.name, flow._replace(data=flow.data | self._decided[function]))

    def _call(self, caller: str, operation: Operation) -> Flow:
        called = self.module.functions.get(operation.words[0])
        if called is None:
            return EMPTY
        for parameter, argument in zip(called.parameters, operation.operands, strict=False):
            self._add(called.name, parameter.name, self._at(caller, argument))
        return self._returned[called.name]


def _skipped(operation: Operation) -> int:
    """Return how many of a loop's carried names are none that it yields: the counter of a `for`."""
    return int(operation.name == "scf.for")


def _yielded_names(region: Region) -> list[str]:
    ends = [block.operations[-1] for block in region.blocks if block.operations]
    return [name for each in ends if each.name in YIELDS for name in each.operands]


def _joined(flows: Iterable[Flow]) -> Flow:
    whole = EMPTY
    for flow in flows:
        whole = whole.join(flow)
    return whole


def _made_by(operation: Operation, given: Flow) -> Flow:
    """Return what the results of an operation without regions are made of."""
    kind = operation.result_type if operation.outputs or operation.inputs else Type(element="i1")
    if operation.name in READS:
        kind = _loaded(operation)
        read = given.points or frozenset([ANYWHERE])
        bits = NOTHING if is_float(kind) else read
        return Flow(data=given.data | read, bits=given.bits | bits)
    if operation.name == "tt.int_to_ptr" and not given.points:
        return given._replace(points=frozenset([ANYWHERE]))
    if is_float(kind) or operation.name in COUNTS or _is_condition(operation, kind):
        return given._replace(bits=NOTHING)
    if any(is_float(each) for each in operation.inputs):
        return given._replace(bits=given.data)
    return given


def _is_condition(operation: Operation, kind: Type) -> bool:
    return kind.element == "i1" or operation.name in ("arith.cmpf", "arith.cmpi")


def _loaded(operation: Operation) -> Type:
    pointee = operation.inputs[0].pointee if operation.inputs else None
    return pointee or operation.result_type


def _points_to_float(kind: Type) -> bool:
    return kind.pointee is not None and is_float(kind.pointee)


def _with_conditions(
    flows: dict[str, Flow], region: Region, decided: Names
) -> Iterator[tuple[Operation, Names]]:
    """Yield every operation with what the branches around it depend on."""
    for block in region.blocks:
        for operation in block.operations:
            yield operation, decided
            given = _joined(flows.get(name, EMPTY) for name in operation.operands)
            inner = decided | (given.data if operation.name.startswith("scf.") else NOTHING)
            for each in operation.regions:
                yield from _with_conditions(flows, each, inner)
