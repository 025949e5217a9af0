"""Numbers that a kernel file names: a fault that waits for a certain batch says which, in its own text."""

import ast

from kernelgate.kernel_file.source import KernelFile, parse_kernel

MAX_BATCHES = 16


def named_batches(kernel: KernelFile, largest: int) -> tuple[int, ...]:
    """Return the whole numbers of the file that a batch could be compared with, comparisons first.

    At most MAX_BATCHES, each from 1 to `largest`; what is only ever a tile or a size of the geometry costs
    one example more and is no harm.
    """
    tree = parse_kernel(kernel)
    compared = [
        each
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod))
        for each in ast.walk(node)
    ]
    found = [*_integers(compared), *_integers(list(ast.walk(tree)))]
    return tuple(dict.fromkeys(number for number in found if 1 <= number <= largest))[:MAX_BATCHES]


def _integers(nodes: list[ast.AST]) -> list[int]:
    return [node.value for node in nodes if isinstance(node, ast.Constant) and type(node.value) is int]
