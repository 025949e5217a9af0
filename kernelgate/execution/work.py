"""The work that a launch does, read off its TTIR: products formed, and bytes asked of memory, masked or not.

Held against what the operation needs, it shows blocks padded beyond the problem, and data fetched twice.
Loops are counted where their bounds are constants or arguments of the launch; a bound that depends on the
program, or on a value, cannot be counted.
"""

import math
import re
from collections.abc import Callable

import msgspec

from kernelgate.execution.launch_plan import SCALAR_BYTES, Launch, Scalar

_LOCATION = re.compile(r" loc\((?:[^()]|\([^()]*\))*\)")
_ARGUMENT = re.compile(r"(%[\w.-]+): (!?[\w.<>]+)")
_RESULT = re.compile(r"^(%[\w.-]+)(?::\d+)? = (.*)$")
_LOOP = re.compile(r"scf\.for %[\w.-]+ = (%[\w.-]+) to (%[\w.-]+) step (%[\w.-]+)")
_TENSOR = re.compile(r"tensor<((?:\d+x)*)(!tt\.ptr<)?(\w+)")
_ACCESS = re.compile(r"\btt\.(load|store|atomic_rmw|atomic_cas|gather|descriptor_load|descriptor_store)\b")
_BITS = re.compile(r"\d+")

_INTEGERS: dict[str, Callable[[int, int], int]] = {
    "arith.addi": lambda a, b: a + b,
    "arith.subi": lambda a, b: a - b,
    "arith.muli": lambda a, b: a * b,
    "arith.divsi": lambda a, b: int(a / b) if b else 0,
    "arith.divui": lambda a, b: a // b if b else 0,
    "arith.remsi": lambda a, b: int(math.fmod(a, b)) if b else 0,
    "arith.minsi": min,
    "arith.maxsi": max,
    "arith.ceildivsi": lambda a, b: -(-a // b) if b else 0,
}
_SAME = ("arith.extsi", "arith.extui", "arith.trunci", "arith.index_cast")


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What all programs of a launch do: products of `tt.dot`, and bytes of loads and stores."""

    products: int
    bytes_asked: int


def count_work(ttir: str, launch: Launch) -> Work | None:
    """Return the work of all programs of a launch, None if a loop's length cannot be told."""
    counter = _Counter(launch)
    lines = (_LOCATION.sub("", line).strip() for line in ttir.splitlines() if not line.startswith("#"))
    try:
        for line in lines:
            counter.read(line)
    except KeyError:  # a bound that is neither a constant nor an argument
        return None
    programs = math.prod(launch.grid) // math.prod(launch.cluster)
    return Work(products=counter.products * programs, bytes_asked=counter.bytes_asked * programs)


class _Counter:
    """Reads TTIR line by line; `known` are the integers whose value is known, `repeats` the loops around."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.known: dict[str, int] = {}
        self.repeats: list[int] = []
        self.products = self.bytes_asked = 0

    def read(self, line: str) -> None:
        if "tt.func" in line:
            self._read_arguments(line)
        times = math.prod(self.repeats)
        if "tt.dot" in line:
            self.products += times * _count_products(line)
        if _ACCESS.search(line):
            self.bytes_asked += times * _count_bytes(line)
        self._learn(line)
        if line.startswith("}"):
            self.repeats.pop()
        if line.endswith("{"):
            self.repeats.append(self._count_repeats(line))

    def _read_arguments(self, line: str) -> None:
        given = [each for each in self.launch.arguments if isinstance(each, Scalar)]
        scalars = [name for name, kind in _ARGUMENT.findall(line) if re.fullmatch(r"i\d+|[bf]*\d+", kind)]
        for name, scalar in zip(scalars, given, strict=False):
            top = 1 << (8 * SCALAR_BYTES[scalar.kind] - 1)
            self.known[name] = scalar.bits - 2 * top if scalar.bits >= top else scalar.bits

    def _count_repeats(self, line: str) -> int:
        if "scf.while" in line:
            raise KeyError("how often a while loop runs")
        loop = _LOOP.search(line)
        if loop is None:
            return 1
        first, end, step = (self.known[name] for name in loop.groups())
        return max(0, -(-(end - first) // step))

    def _learn(self, line: str) -> None:
        """Take note of an integer that is a constant, or made of known ones."""
        result = _RESULT.match(line)
        if result is None:
            return
        name, rest = result.groups()
        operation, _, operands = rest.partition(" ")
        values = [self.known.get(each) for each in re.findall(r"%[\w.-]+", operands.split(" : ")[0])]
        if operation == "arith.constant" and (number := re.match(r"(-?\d+) : i", operands)):
            self.known[name] = int(number[1])
        elif operation in _SAME and len(values) == 1 and values[0] is not None:
            self.known[name] = values[0]
        elif operation in _INTEGERS and len(values) == 2 and None not in values:
            self.known[name] = _INTEGERS[operation](*(value for value in values if value is not None))


def _count_products(line: str) -> int:
    """Return m * n * k of a product of [.., m, k] and [.., k, n]."""
    (left, _, _), (right, _, _) = _TENSOR.findall(line.rpartition(" : ")[2])[:2]
    rows, columns = (tuple(int(n) for n in shape.split("x") if n) for shape in (left, right))
    return math.prod(rows) * columns[-1]


def _count_bytes(line: str) -> int:
    """Return the bytes of the largest tensor that the access names, those of one element where none is."""
    found = _TENSOR.findall(line.rpartition(" : ")[2])
    sizes = [_bits(kind) // 8 * math.prod(int(n) for n in shape.split("x") if n) for shape, _, kind in found]
    scalar = re.search(r"!tt\.ptr<(\w+)>", line)
    return max(sizes, default=_bits(scalar[1]) // 8 if scalar else 0)


def _bits(kind: str) -> int:
    number = _BITS.search(kind)
    return max(8, int(number[0])) if number else 8
