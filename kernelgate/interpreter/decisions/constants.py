"""Names of a function that stand for one number, the same for all programs and lanes."""

from collections.abc import Mapping

import numpy as np

from kernelgate.interpreter.dialects.arith import constant_array
from kernelgate.interpreter.elements import Array
from kernelgate.interpreter.text.module import Function, Module, Operation, Region

SPREADS = frozenset(
    ["tt.splat", "tt.broadcast", "tt.expand_dims", "tt.reshape", "tt.trans", "ttg.convert_layout"]
)
"""Operations whose result holds the elements of their operand and nothing else."""

Constants = dict[str, Array]
"""Arrays of no axes, by name."""


def find_constants(function: Function, given: Mapping[str, Array] | None = None) -> Constants:
    """Return the constants of a function; `given` are arguments that are known."""
    found: Constants = dict(given or {})
    for operation in function.body.every():
        if operation.name == "arith.constant":
            value = constant_array(operation.attributes["value"], operation)
            if value.size == 1:
                found[operation.results[0]] = value.reshape(())
        elif operation.name in SPREADS and operation.operands[0] in found:
            found[operation.results[0]] = found[operation.operands[0]]
    return found


def compared_numbers(module: Module) -> tuple[int, ...]:
    """Return the constants that integers of a module are compared with, the largest first."""
    found: set[int] = set()
    for function in module.functions.values():
        constants = find_constants(function)
        names = {
            name for each in function.body.every() if each.name == "arith.cmpi" for name in each.operands
        }
        numbers = (as_integer(constants[name]) for name in names if name in constants)
        found.update(number for number in numbers if number is not None)
    return tuple(sorted(found, reverse=True))


def as_integer(value: Array) -> int | None:
    """Return a constant's number, without a sign; None for a float."""
    if value.dtype.kind == "f":
        return None
    return int(value) % (1 << (8 * value.dtype.itemsize)) if value.dtype != np.bool_ else int(value)


def defining(region: Region) -> dict[str, Operation]:
    """Return the operation that defines each name of a region and of those inside it."""
    return {name: operation for operation in region.every() for name in operation.results}
