"""The work that a launch does, read off its TTIR: products formed, and bytes asked of memory, masked or not.

Held against what the operation needs, it shows blocks padded beyond the problem, and data fetched twice.
Loops are counted where their bounds are constants or arguments of the launch. A bound that depends on the
program, or on a value, cannot be counted. Both branches of a condition are.
"""

import math
from collections.abc import Callable, Iterator

import msgspec

from kernelgate.execution.launch_plan import SCALAR_BYTES, Launch, Scalar
from kernelgate.execution.plan_files import StoredPlan
from kernelgate.interpreter.elements import BYTES
from kernelgate.interpreter.text.module import Function, Operation, Type
from kernelgate.interpreter.text.parser import parse
from kernelgate.operations.declaration import operation as declared

PRODUCTS = ("tt.dot", "tt.dot_scaled")
ACCESSES = (
    "tt.load",
    "tt.store",
    "tt.atomic_rmw",
    "tt.atomic_cas",
    "tt.descriptor_load",
    "tt.descriptor_store",
)
STORES = ("tt.store", "tt.atomic_rmw", "tt.atomic_cas", "tt.descriptor_store")
UNCOUNTED = ("scf.while", "tt.call", "cf.br", "cf.cond_br")
"""What runs operations so often as nobody can tell from the text."""

_INTEGERS: dict[str, Callable[[int, int], int]] = {
    "arith.addi": lambda a, b: a + b,
    "arith.subi": lambda a, b: a - b,
    "arith.muli": lambda a, b: a * b,
    "arith.divsi": lambda a, b: int(a / b) if b else 0,
    "arith.divui": lambda a, b: a // b if b else 0,
    "arith.remsi": lambda a, b: int(math.fmod(a, b)) if b else 0,
    "arith.minsi": min,
    "arith.maxsi": max,
}
_SAME = ("arith.extsi", "arith.extui", "arith.trunci", "arith.index_cast")


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What all programs of a launch do: products of `tt.dot`, and bytes of loads and stores."""

    products: int
    bytes_asked: int


class PlanWork(msgspec.Struct, frozen=True, kw_only=True):
    """The work of all launches of a call, beside what the operation needs at its batch.

    `products_needed` are those of the direct algorithm, `bytes_needed` those of each tensor, moved once.
    """

    products: int
    products_needed: int
    bytes_asked: int
    bytes_needed: int

    @property
    def products_ratio(self) -> float:
        """Products formed over products needed: over 1 where blocks are padded beyond the problem."""
        return self.products / self.products_needed

    @property
    def bytes_ratio(self) -> float:
        """Bytes asked over bytes needed: what is fetched again counts again, wherever it comes from."""
        return self.bytes_asked / self.bytes_needed


class _UncountableError(Exception):
    """How often something runs depends on the program, or on a value."""


def count_work(ttir: str, launch: Launch) -> Work | None:
    """Return the work of all programs of a launch, None if a loop's length cannot be told.

    Raises TtirSyntaxError for a text that is not understood.
    """
    try:
        counted = list(_operations(ttir, launch))
    except _UncountableError:
        return None
    programs = math.prod(launch.grid) // math.prod(launch.cluster)
    return Work(
        products=programs * sum(times * _products(each) for each, times in counted if each.name in PRODUCTS),
        bytes_asked=programs * sum(times * _bytes(each) for each, times in counted if each.name in ACCESSES),
    )


def weigh_plan(stored: StoredPlan, operation: declared.Operation) -> PlanWork | None:
    """Return the work of a plan, None if that of a launch cannot be told.

    Moves of data that are no launch are not counted. Raises TtirSyntaxError as `count_work` does.
    """
    plan, works = stored.plan, []
    for launch in plan.launches:
        ttir = stored.read(plan.program_of(launch).ttir, "ttir").decode(errors="replace")
        work = count_work(ttir, launch)
        if work is None:
            return None
        works.append(work)
    return PlanWork(
        products=sum(each.products for each in works),
        products_needed=operation.flops(plan.batch) // 2,
        bytes_asked=sum(each.bytes_asked for each in works),
        bytes_needed=operation.min_bytes(plan.batch),
    )


def count_stored(ttir: str, launch: Launch) -> int | None:
    """Return how many elements the stores of one program are of, masked or not; None if that cannot be told.

    Raises TtirSyntaxError for a text that is not understood.
    """
    try:
        return sum(
            times * max(kind.size for kind in operation.inputs)
            for operation, times in _operations(ttir, launch)
            if operation.name in STORES
        )
    except _UncountableError:
        return None


def _operations(ttir: str, launch: Launch) -> Iterator[tuple[Operation, int]]:
    """Yield every operation of a program, with how often it is run."""
    kernel = parse(ttir).kernel
    operations = [each for block in kernel.body.blocks for each in block.operations]
    return _walk(operations, 1, dict(_known_arguments(kernel, launch)))


def _known_arguments(kernel: Function, launch: Launch) -> Iterator[tuple[str, int]]:
    """Yield the integers that the launch gives its programs, by the names of the parameters."""
    for parameter, argument in zip(kernel.parameters, launch.arguments, strict=False):
        if isinstance(argument, Scalar) and parameter.type.element.startswith("i"):
            top = 1 << (8 * SCALAR_BYTES[argument.kind] - 1)
            yield parameter.name, argument.bits - 2 * top if argument.bits >= top else argument.bits


def _walk(operations: list[Operation], times: int, known: dict[str, int]) -> Iterator[tuple[Operation, int]]:
    """Yield every operation with how often a program runs it; what is learnt of integers goes to `known`."""
    for operation in operations:
        if operation.name in UNCOUNTED:
            raise _UncountableError
        _learn(operation, known)
        yield operation, times
        within = times * (_count_turns(operation, known) if operation.name == "scf.for" else 1)
        for region in operation.regions:
            if operation.name.startswith("scf."):
                inner = [each for block in region.blocks for each in block.operations]
                yield from _walk(inner, within, known)


def _count_turns(loop: Operation, known: dict[str, int]) -> int:
    names = (loop.carried[0][1], *loop.operands[:2])
    if not all(name in known for name in names):
        raise _UncountableError
    first, end, step = (known[name] for name in names)
    return max(0, -(-(end - first) // step))


def _learn(operation: Operation, known: dict[str, int]) -> None:
    """Take note of an integer that is a constant, or made of known ones."""
    values = [known[name] for name in operation.operands if name in known]
    if len(operation.results) != 1 or len(values) < len(operation.operands):
        return
    value = operation.attributes.get("value")
    if operation.name == "arith.constant" and isinstance(value, int):
        known[operation.results[0]] = value
    elif operation.name in _SAME:
        known[operation.results[0]] = values[0]
    elif operation.name in _INTEGERS:
        known[operation.results[0]] = _INTEGERS[operation.name](*values)


def _products(dot: Operation) -> int:
    """Return m * n * k of a product of [.., m, k] and [.., k, n]."""
    left, right = dot.inputs[:2]
    return left.size * right.shape[-1]


def _bytes(access: Operation) -> int:
    """Return the bytes that the largest of what is loaded, stored or pointed to has."""
    return max((_size(kind) for kind in (*access.inputs, *access.outputs)), default=0)


def _size(kind: Type) -> int:
    element = kind.pointee.element if kind.element == "ptr" and kind.pointee else kind.element
    return kind.size * BYTES.get(element, 0)  # a descriptor has none of its own
