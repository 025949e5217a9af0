"""Which arguments a kernel loads from and which it stores to, read off its text.

A buffer that a launch only reads, or only writes, needs no account of who read what.
"""

from collections.abc import Iterator

from kernelgate.interpreter.slices import TOUCH
from kernelgate.interpreter.text.module import Function, Module, Operation, Region

ANYWHERE = "anywhere"
"""Stands for a pointer of unknown origin."""

Origins = frozenset[str]

_READS = frozenset(["tt.load", "tt.descriptor_load", "tt.descriptor_gather"])
_WRITES = frozenset([TOUCH, f"{TOUCH}_block", "tt.store", "tt.descriptor_store", "tt.descriptor_scatter"])
_UPDATES = frozenset(["tt.atomic_rmw", "tt.atomic_cas", "tt.descriptor_reduce"])
_POINTERS = frozenset(["ptr", "desc"])
_YIELDS = frozenset(["scf.yield", "scf.condition"])


class Accessed:
    """The parameters of a module's kernel that are read and that are written; either may hold ANYWHERE."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.read: set[str] = set()
        self.written: set[str] = set()
        self._returned: dict[str, Origins] = {name: frozenset() for name in module.functions}
        self._given: dict[str, dict[str, Origins]] = {name: {} for name in module.functions}
        kernel = module.kernel
        self._given[kernel.name] = {
            each.name: frozenset([each.name]) for each in kernel.parameters if each.type.element in _POINTERS
        }
        before: object = None
        while before != (before := self._state()):
            for function in module.functions.values():
                self._follow(function)
        for function in module.functions.values():
            self._note_accesses(function)

    def _state(self) -> object:
        """Return what grows while origins are followed."""
        given = {name: dict(each) for name, each in self._given.items()}
        return given, dict(self._returned)

    def _note_accesses(self, function: Function) -> None:
        """Note where the function's addresses come from, once all is known of that."""
        origins = self._given[function.name]
        for operation in function.body.every():
            target = origins.get(operation.operands[0], frozenset()) if operation.operands else frozenset()
            if operation.name in _READS | _UPDATES:
                self.read |= target or {ANYWHERE}
            if operation.name in _WRITES | _UPDATES:
                self.written |= target or {ANYWHERE}

    def _follow(self, function: Function) -> None:
        origins = self._given[function.name]
        inner = (region for operation in function.body.every() for region in operation.regions)
        for region in (function.body, *inner):
            for block in region.blocks:
                for parameter in block.parameters:
                    origins.setdefault(parameter.name, frozenset())
        for operation in function.body.every():
            self._follow_operation(function.name, operation, origins)

    def _follow_operation(self, function: str, operation: Operation, origins: dict[str, Origins]) -> None:
        of_operands = frozenset[str]().union(*(origins.get(name, frozenset()) for name in operation.operands))
        begun_as = frozenset[str]().union(
            *(origins.get(begun, frozenset()) for _, begun in operation.carried)
        )
        for inside, begun in operation.carried:
            _add(origins, inside, origins.get(begun, frozenset()))
        if operation.name == "tt.call":
            of_operands = self._call(operation, origins)
        if operation.name == "tt.return":
            self._returned[function] |= of_operands
        if operation.name in _READS | _UPDATES:
            of_operands = frozenset()
        if operation.name == "tt.int_to_ptr" and not of_operands:
            of_operands = frozenset([ANYWHERE])
        inner = frozenset[str]().union(*(self._handed_on(region, origins) for region in operation.regions))
        for name in (*operation.results, *(inside for inside, _ in operation.carried), *_labels(operation)):
            _add(origins, name, of_operands | inner | begun_as)
        for successor in operation.successors:
            self._branch(function, successor.block, successor.arguments, origins)

    def _handed_on(self, region: Region, origins: dict[str, Origins]) -> Origins:
        """Return where what a region yields comes from, taken together."""
        return frozenset[str]().union(
            *(
                origins.get(name, frozenset())
                for block in region.blocks
                for each in block.operations
                if each.name in _YIELDS
                for name in each.operands
            )
        )

    def _call(self, operation: Operation, origins: dict[str, Origins]) -> Origins:
        called = self.module.functions.get(operation.words[0])
        if called is None:
            return frozenset([ANYWHERE])
        for parameter, name in zip(called.parameters, operation.operands, strict=False):
            _add(self._given[called.name], parameter.name, origins.get(name, frozenset()))
        return self._returned[called.name]

    def _branch(self, function: str, block: str, names: tuple[str, ...], origins: dict[str, Origins]) -> None:
        for each in self.module.functions[function].body.blocks:
            if each.name == block:
                for parameter, name in zip(each.parameters, names, strict=False):
                    _add(origins, parameter.name, origins.get(name, frozenset()))


def _add(origins: dict[str, Origins], name: str, more: Origins) -> None:
    origins[name] = origins.get(name, frozenset()) | more


def _labels(operation: Operation) -> Iterator[str]:
    """Yield the parameters of an operation's own blocks."""
    for region in operation.regions:
        for block in region.blocks:
            yield from (each.name for each in block.parameters)


def waits(module: Module) -> bool:
    """Whether a kernel has a loop in which it may wait for another program: a `while` that reads."""
    functions = module.functions
    reading = {name for name, each in functions.items() if _reads(each.body)}
    return any(
        operation.name == "scf.while" and any(_reads(region, reading) for region in operation.regions)
        for each in functions.values()
        for operation in each.body.every()
    )


def _reads(region: Region, functions: set[str] | frozenset[str] = frozenset()) -> bool:
    return any(
        each.name in _READS | _UPDATES or (each.name == "tt.call" and each.words[0] in functions)
        for each in region.every()
    )


def largest_tensor(module: Module) -> int:
    """Return the number of elements of the largest tensor that a kernel computes."""
    sizes = [
        kind.size
        for each in module.functions.values()
        for operation in each.body.every()
        if operation.name != "arith.constant"
        for kind in (*operation.inputs, *operation.outputs)
    ]
    return max(sizes, default=1)
