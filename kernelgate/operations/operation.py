"""What is computed, and trusted: the geometry of each operation, its work and its traffic."""

from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.convolution import Convolution

OPERATIONS = {operation.name: operation for operation in (ALEXNET_CONV1,)}


def find_operation(name: str) -> Convolution:
    """Return the operation of that name; raises KeyError that lists the known ones."""
    try:
        return OPERATIONS[name]
    except KeyError:
        known = ", ".join(sorted(OPERATIONS))
        raise KeyError(f"unknown operation {name!r}; known: {known}") from None
