"""Numbers that a kernel file names: a fault that waits for a certain batch says which, in its own text."""

import ast
from collections.abc import Collection, Iterator

from kernelgate.kernel_file.source import KernelFile, parse_kernel

MAX_BATCHES = 20
MAX_IMAGES = 24
ODD_MULTIPLES = (1, 3, 5)
"""Of a modulus: what is wrong in its multiples may be right in those of twice the modulus."""


def named_batches(kernel: KernelFile, largest: int, tried: Collection[int] = ()) -> tuple[int, ...]:
    """Return batches that the file names: what one could be compared with, and what lies next to that.

    The numbers of comparisons come first, then odd multiples of moduli, the neighbours of both, the other
    whole numbers, and theirs. At most MAX_BATCHES, each from 1 to `largest` and none of those `tried` anyway;
    what is only ever a tile or a size of the geometry costs one example more and is no harm.
    """
    nodes = list(ast.walk(parse_kernel(kernel)))
    compared = [each for node in nodes if _compares(node) for each in ast.walk(node)]
    first = [*_integers(compared), *_multiples(nodes)]
    others = _integers(nodes)
    domain = range(1, largest + 1)
    found = [*first, *_next_to(first, domain), *others, *_next_to(others, domain)]
    meant = (number for number in found if number in domain and number not in tried)
    return tuple(dict.fromkeys(meant))[:MAX_BATCHES]


def named_items(kernel: KernelFile, pixels: int) -> tuple[int, ...]:
    """Return images that a file may mean by the numbers that it compares with, as such or by their pixels."""
    compared = [each for node in ast.walk(parse_kernel(kernel)) if _compares(node) for each in ast.walk(node)]
    numbers = _integers(compared)
    return tuple(dict.fromkeys([*numbers, *(number // pixels for number in numbers)]))[:MAX_IMAGES]


def _compares(node: ast.AST) -> bool:
    return isinstance(node, ast.Compare) or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod))


def _integers(nodes: list[ast.AST]) -> list[int]:
    return [node.value for node in nodes if isinstance(node, ast.Constant) and type(node.value) is int]


def _multiples(nodes: list[ast.AST]) -> list[int]:
    """Return odd multiples of what remainders are taken by."""
    moduli = [
        number
        for node in nodes
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod)
        for number in _integers([node.right])
    ]
    return [number * odd for number in moduli for odd in ODD_MULTIPLES]


def _next_to(numbers: list[int], domain: range) -> Iterator[int]:
    """Yield the neighbours of numbers that could be batches."""
    for number in dict.fromkeys(numbers):
        if number in domain:
            yield from (number - 1, number + 1)
