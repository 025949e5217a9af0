"""What is computed, and trusted: a module here is one operation; what operations are made of lies below."""

import pkgutil
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from kernelgate.operations.problem.problem import Problem

if TYPE_CHECKING:  # it imports PyTorch, which a help text does not need
    from kernelgate.operations.declaration.operation import Operation

OPERATIONS = tuple(sorted(each.name for each in pkgutil.iter_modules(__path__) if not each.ispkg))
"""The names of all operations: those of the modules of this package."""


def name_of(stem: str, names: Iterable[str] = OPERATIONS) -> str | None:
    """Return the longest of these names that a kernel file's name begins with, None if there is none."""
    return max((each for each in names if stem == each or stem.startswith(f"{each}_")), key=len, default=None)


Declared = str | Problem
"""How an operation is told to another process: by its name here, or as the data of a problem file."""


@cache
def find_operation(declared: Declared) -> "Operation":
    """Return the operation of that name, or of a problem; raises KeyError that lists the known ones.

    Module `matmul` declares `MATMUL`. A module is imported when its operation is asked for, a problem's file
    when its reference is.
    """
    if isinstance(declared, Problem):
        from kernelgate.operations.problem.declare import declare_problem  # noqa: PLC0415 - imports PyTorch

        return declare_problem(declared)
    if declared not in OPERATIONS:
        raise KeyError(f"unknown operation {declared!r}; known: {', '.join(OPERATIONS)}")
    operation: Operation = pkgutil.resolve_name(f"{__name__}.{declared}:{declared.upper()}")
    return operation
