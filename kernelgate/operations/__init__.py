"""What is computed, and trusted: a module here is one operation; what operations are made of lies below."""

import pkgutil
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it imports PyTorch, which a help text does not need
    from kernelgate.operations.declaration.operation import Operation

OPERATIONS = tuple(sorted(each.name for each in pkgutil.iter_modules(__path__) if not each.ispkg))
"""The names of all operations: those of the modules of this package."""


@cache
def find_operation(name: str) -> "Operation":
    """Return the operation of that name; raises KeyError that lists the known ones.

    Module `matmul` declares `MATMUL`. A module is imported when its operation is asked for.
    """
    if name not in OPERATIONS:
        raise KeyError(f"unknown operation {name!r}; known: {', '.join(OPERATIONS)}")
    operation: Operation = pkgutil.resolve_name(f"{__name__}.{name}:{name.upper()}")
    return operation
