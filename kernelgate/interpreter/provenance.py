"""Which arguments a kernel loads from and which it stores to, whether it may wait, how large its tensors are.

A buffer that a launch only reads, or only writes, needs no account of who read what.
"""

from typing import NamedTuple

from kernelgate.interpreter.decisions.flow import ANYWHERE, ATOMICS, EMPTY, READS, STORES, DataFlow, Names
from kernelgate.interpreter.slices import TOUCH
from kernelgate.interpreter.text.module import Module, Region

_BOTH = ATOMICS | {"tt.descriptor_reduce"}
_WRITES = STORES | ATOMICS | {TOUCH, f"{TOUCH}_block"}


class Accessed(NamedTuple):
    """The parameters of a module's kernel that are read and that are written; either may hold ANYWHERE."""

    read: Names
    written: Names


def find_accessed(flow: DataFlow) -> Accessed:
    """Return what the pointers of all accesses point into."""
    read, written = set[str](), set[str]()
    for function in flow.module.functions.values():
        for operation in function.body.every():
            if operation.name not in READS | _WRITES:
                continue
            target = flow.of[function.name].get(operation.operands[0], EMPTY).points or {ANYWHERE}
            read |= target if operation.name in READS | _BOTH else set()
            written |= target if operation.name in _WRITES else set()
    return Accessed(frozenset(read), frozenset(written))


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
        each.name in READS | _BOTH or (each.name == "tt.call" and each.words[0] in functions)
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
