"""A kernel cut down to where it stores: what decides addresses, masks and the way through, no values.

Without loads and products every program of a large grid runs in a moment, and shows which elements the grid
covers. A load that decides an address stays.
"""

from collections.abc import Iterable, Set

import msgspec

from kernelgate.interpreter.text.module import Block, Function, Module, Operation, Region

TOUCH = "kernelgate.touch"
"""Stands for a store: its operands are the addresses and the mask."""

_STORES = frozenset(["tt.store", "tt.descriptor_store"])
_UPDATES = frozenset(["tt.atomic_rmw", "tt.atomic_cas", "tt.descriptor_reduce"])
_DROPPED = frozenset(["tt.assert", "tt.print", "tt.assume", "llvm.intr.assume"])
_BRANCHES = frozenset(["cf.br", "cf.cond_br", "tt.return", "scf.condition"])
_YIELDS = frozenset(["scf.yield"])


def stores_of(module: Module) -> Module:
    """Return the module with every store in the form of a touch, and only what these need."""
    writing = _functions_that_write(module)
    return Module(functions={name: _slice_function(each, writing) for name, each in module.functions.items()})


def _functions_that_write(module: Module) -> set[str]:
    """Return the functions that store or call such ones."""
    found: set[str] = set()
    before = -1
    while before != (before := len(found)):
        for name, function in module.functions.items():
            if any(_stores(each, found) for each in function.body.every()):
                found.add(name)
    return found


def _stores(operation: Operation, writing: Set[str]) -> bool:
    """Whether an operation stores, or calls a function that does."""
    calls = operation.name == "tt.call" and operation.words[0] in writing
    return calls or operation.name in _STORES | _UPDATES


def _slice_function(function: Function, writing: Set[str]) -> Function:
    needs = _Needs(writing)
    before = -1
    while before != (before := len(needs.names)):
        needs.follow(function.body, ())
    return msgspec.structs.replace(function, body=_cut_region(function.body, needs, None))


class _Needs:
    """The names that are needed, grown by going over a function again and again."""

    def __init__(self, writing: Set[str]) -> None:
        self.names: set[str] = set()
        self.writing = writing

    def keeps(self, operation: Operation) -> bool:
        """Whether an operation stays."""
        if operation.name in _DROPPED:
            return False
        if operation.name in _BRANCHES | _YIELDS or not self.names.isdisjoint(operation.results):
            return True
        inner = (each for region in operation.regions for each in region.every())
        return any(_stores(each, self.writing) for each in (operation, *inner))

    def follow(self, region: Region, handed_on: tuple[int, ...]) -> None:
        """Add what the operations that stay need; `handed_on` are the places of a yield that are needed."""
        for block in region.blocks:
            for operation in reversed(block.operations):
                if operation.name in _YIELDS:
                    self.names |= {operation.operands[place] for place in handed_on}
                elif self.keeps(operation):
                    self._follow_operation(operation)

    def _follow_operation(self, operation: Operation) -> None:
        if operation.name in ("scf.for", "scf.if"):
            self._follow_pruned(operation)
            return
        self.names.update(_operands_of(operation))
        self.names.update(begun for _, begun in operation.carried)
        for region in operation.regions:
            if operation.name == "scf.while":
                self.names.update(operation.results)
                self.follow(region, tuple(range(len(operation.carried))))
            else:
                self.names.update(name for each in region.every() for name in each.used)

    def _follow_pruned(self, operation: Operation) -> None:
        """Follow a loop or branch of which only some results are needed."""
        self.names.update(operation.operands)
        carried = operation.carried[1:]
        if operation.name == "scf.for":
            self.names.add(operation.carried[0][1])
        places = kept_results(operation, self.names)
        for place in places if carried else ():
            self.names |= {*carried[place], operation.results[place]}
        for region in operation.regions:
            self.follow(region, places)


def kept_results(operation: Operation, names: set[str]) -> tuple[int, ...]:
    """Return the places of the results of a loop or branch that are needed, inside it or behind it."""
    inside = [name for name, _ in operation.carried[1:]]
    return tuple(
        place
        for place, name in enumerate(operation.results)
        if name in names or (inside and inside[place] in names)
    )


def _operands_of(operation: Operation) -> tuple[str, ...]:
    """Return the operands that are needed where an operation stays: of a store all but the value."""
    if operation.name == "tt.store":
        return (operation.operands[0], *operation.operands[2:])
    return operation.operands[:-1] if operation.name == "tt.descriptor_store" else operation.used


def _cut_region(region: Region, needs: _Needs, handed_on: tuple[int, ...] | None) -> Region:
    return Region(
        blocks=tuple(
            msgspec.structs.replace(block, operations=tuple(_cut_block(block, needs, handed_on)))
            for block in region.blocks
        )
    )


def _cut_block(block: Block, needs: _Needs, handed_on: tuple[int, ...] | None) -> Iterable[Operation]:
    for operation in block.operations:
        if operation.name in _YIELDS and handed_on is not None:
            operands = tuple(operation.operands[place] for place in handed_on)
            yield msgspec.structs.replace(operation, operands=operands)
        elif needs.keeps(operation):
            yield _cut(operation, needs)


def _cut(operation: Operation, needs: _Needs) -> Operation:
    if operation.name in _STORES:
        return msgspec.structs.replace(
            operation,
            name=TOUCH if operation.name == "tt.store" else f"{TOUCH}_block",
            operands=_operands_of(operation),
        )
    if operation.name in ("scf.for", "scf.if"):
        places = kept_results(operation, needs.names)
        return msgspec.structs.replace(
            operation,
            results=tuple(operation.results[place] for place in places),
            carried=(*operation.carried[:1], *(operation.carried[1 + place] for place in places))
            if operation.carried
            else (),
            regions=tuple(_cut_region(each, needs, places) for each in operation.regions),
        )
    if operation.name == "scf.while":
        regions = tuple(_cut_region(each, needs, None) for each in operation.regions)
        return msgspec.structs.replace(operation, regions=regions)
    return operation
