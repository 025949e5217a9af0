"""A module of TTIR as records: functions of blocks of operations, values known by their names."""

from collections.abc import Iterator
from typing import Any

import msgspec


class Type(msgspec.Struct, frozen=True, kw_only=True):
    """The type of a value. `shape` is empty for a scalar.

    `element` is MLIR's name of a number (`i32`, `bf16`, `f8E5M2`), `ptr` or `desc`; `pointee` is what a
    pointer points to, or the block that a tensor descriptor reads.
    """

    element: str
    shape: tuple[int, ...] = ()
    pointee: "Type | None" = None

    @property
    def size(self) -> int:
        """The number of elements."""
        count = 1
        for extent in self.shape:
            count *= extent
        return count


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """A value that a function or block is given."""

    name: str
    type: Type


class Successor(msgspec.Struct, frozen=True, kw_only=True):
    """A block that a branch may go to, and the names of the values that the block is given."""

    block: str
    arguments: tuple[str, ...] = ()


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation.

    `words` are its bare words in order (`slt`, `acq_rel`), `texts` its quoted ones, `attributes` what it
    names with `=`: an integer, float, boolean, text or tuple. `inputs` are the types before the arrow,
    `outputs` those after it; where there is no arrow all types are inputs.
    """

    name: str
    line: int
    results: tuple[str, ...] = ()
    operands: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    attributes: dict[str, Any] = {}
    inputs: tuple[Type, ...] = ()
    outputs: tuple[Type, ...] = ()
    regions: "tuple[Region, ...]" = ()
    successors: tuple[Successor, ...] = ()
    carried: tuple[tuple[str, str], ...] = ()
    """Names inside a loop with the names of what they begin as."""

    @property
    def result_type(self) -> Type:
        """The type of the first result, where the text states it."""
        return (self.outputs or self.inputs)[-1 if not self.outputs else 0]

    @property
    def used(self) -> tuple[str, ...]:
        """The names that it uses: its operands, and what it gives to the blocks that it may go to."""
        return (*self.operands, *(name for each in self.successors for name in each.arguments))


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """Operations in order; the last one says where to go on."""

    name: str
    parameters: tuple[Parameter, ...]
    operations: tuple[Operation, ...]


class Region(msgspec.Struct, frozen=True, kw_only=True):
    """Blocks, the first of which is entered first."""

    blocks: tuple[Block, ...]

    def every(self) -> Iterator[Operation]:
        """Yield every operation, each before those inside it."""
        for block in self.blocks:
            for operation in block.operations:
                yield operation
                for inner in operation.regions:
                    yield from inner.every()


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """A function; a kernel is a public one."""

    name: str
    public: bool
    parameters: tuple[Parameter, ...]
    results: tuple[Type, ...]
    body: Region


class Module(msgspec.Struct, frozen=True, kw_only=True):
    """The functions of one text, by name."""

    functions: dict[str, Function]

    @property
    def kernel(self) -> Function:
        """The first public function."""
        return next(each for each in self.functions.values() if each.public)
