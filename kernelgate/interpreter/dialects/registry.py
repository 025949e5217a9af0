"""Who computes which operation.

A maker gets the operation once and returns a function of the values of its operands; `with_programs` ones
are also given the programs that run, and through them memory.
"""

from collections.abc import Callable
from typing import Any

from kernelgate.interpreter.errors import CannotInterpretError
from kernelgate.interpreter.text.module import Operation

Compute = Callable[..., Any]
Maker = Callable[[Operation], Compute]

PLAIN: dict[str, Maker] = {}
WITH_PROGRAMS: dict[str, Maker] = {}


def computes(*names: str) -> Callable[[Maker], Maker]:
    """Register the maker of operations that depend on their operands alone."""

    def register(maker: Maker) -> Maker:
        PLAIN.update(dict.fromkeys(names, maker))
        return maker

    return register


def with_programs(*names: str) -> Callable[[Maker], Maker]:
    """Register the maker of operations that need the programs: their places, memory, findings."""

    def register(maker: Maker) -> Maker:
        WITH_PROGRAMS.update(dict.fromkeys(names, maker))
        return maker

    return register


def lacking(operation: Operation, why: str = "") -> CannotInterpretError:
    """Return the error that names an operation which is not interpreted."""
    reason = f" {why}" if why else ""
    return CannotInterpretError(
        f"{operation.name}{reason} (TTIR line {operation.line}) cannot be interpreted"
    )
