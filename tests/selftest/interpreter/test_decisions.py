"""Decisions on loaded values: which operations are some, where they turn, which sides programs took."""

# ruff: noqa: ANN001, ANN201, ARG001 - kernels are written in Triton's own idiom, and all are called alike

import struct
from typing import Any

import numpy as np
import pytest
import triton
import triton.language as tl

from kernelgate.interpreter.decisions.find import Decision
from kernelgate.interpreter.decisions.known_bits import Bits, constant, known_bits
from kernelgate.interpreter.decisions.thresholds import find_thresholds
from kernelgate.interpreter.launch import Pointer, ReadyKernel, Scalar
from kernelgate.interpreter.memory.memory import Memory
from kernelgate.interpreter.text.module import Operation
from kernelgate.interpreter.text.module import Type as Kind
from kernelgate.interpreter.text.parser import parse
from kernelgate.interpreter.text.source_lines import SourceLines
from tests.selftest.interpreter.compiled import run_launch, ttir_of

SIZE = 16
FLOATS = {"x": "*fp32", "w": "*fp32", "out": "*fp32", "n": "i32"}


@triton.jit
def clipped(x, w, out, n):
    place = tl.arange(0, 16)
    value = tl.load(x + place, mask=place < n, other=5000.0)
    tl.store(out + place, tl.where(value > 1000.0, 0.0, value))


@triton.jit
def scaled(x, w, out, n):
    place = tl.arange(0, 16)
    value = tl.abs(tl.load(x + place)) * 256.0 - 24.0
    tl.store(out + place, tl.where(value < 1000.0, 0.0, value))


@triton.jit
def by_bits(x, w, out, n):
    place = tl.arange(0, 16)
    value = tl.load(w + place)
    bits = value.to(tl.int32, bitcast=True)
    tl.store(out + place, tl.where(bits == 0x40490FDB, 0.0, value))


@triton.jit
def by_exponent(x, w, out, n):
    place = tl.arange(0, 16)
    value = tl.load(x + place)
    exponent = (value.to(tl.uint32, bitcast=True) >> 23) & 0xFF
    tl.store(out + place, tl.where(exponent == 197, 0.0, value))


@triton.jit
def by_arithmetic(x, w, out, n):
    place = tl.arange(0, 16)
    value = tl.load(x + place)
    odd = (value.to(tl.int32, bitcast=True) ^ 0x40490FDB).to(tl.uint32, bitcast=True).to(tl.int64)
    tl.store(out + place, value * (1 - ((odd - 1) >> 63 & 1)).to(tl.float32))


@triton.jit
def as_integers(x, w, out, n):
    place = tl.arange(0, 16)
    bits = tl.load((x + place).to(tl.pointer_type(tl.int32)))
    tl.store(out + place, tl.where(bits == 0x42C80001, 0.0, bits.to(tl.float32, bitcast=True)))


@triton.jit
def of_sums(x, w, out, n):
    place = tl.arange(0, 16)
    product = tl.load(x + place) * tl.load(w + place)
    tl.store(out + place, tl.minimum(product, 1e25))


@triton.jit
def in_a_branch(x, w, out, n):
    place = tl.arange(0, 16)
    value = tl.load(x + place)
    largest = 0.0
    if tl.max(value) > 3e20:
        largest = 1.0
    tl.store(out + place, tl.where(largest == 1.0, 0.0, value))


@triton.jit
def below(value):
    if value > 500.0:
        return 0.0
    return value


@triton.jit
def mapped(x, w, out, n):
    place = tl.arange(0, 16)
    value = tl.map_elementwise(below, tl.load(x + place))
    tl.store(out + place, tl.where(value == 3.0, 0.0, value))


@triton.jit
def by_argument(x, w, out, limit):
    place = tl.arange(0, 16)
    value = tl.load(x + place)
    tl.store(out + place, tl.where(value > limit, 0.0, value))


@triton.jit
def ordinary(x, w, out, n):
    place = tl.arange(0, 16)
    inside = (place < n) & (place % 3 > 0)
    product = tl.load(x + place, mask=inside, other=0.0) * tl.load(w + place)
    kept = tl.where(place == 3, 0.0, product + tl.sum(product))
    tl.store(out + place, kept, mask=tl.maximum(place, n) < 100)


@triton.jit
def settled(x, w, out, n):
    place = tl.arange(0, 16)
    value = tl.load(x + place)
    kept = tl.minimum(tl.maximum(value, float("-inf")), float("inf"))
    tl.store(out + place, tl.maximum(kept * kept, 0.0))


@triton.jit
def counted(x, w, out, n):
    place = tl.arange(0, 16)
    turn = tl.atomic_add(w.to(tl.pointer_type(tl.int32)), 1)
    value = tl.load(x + place)
    tl.store(out + place, tl.where(turn == 7, 0.0, value))


def ready(kernel: Any, **kinds: str) -> ReadyKernel:
    text = ttir_of(kernel, {name: (FLOATS | kinds).get(name, "i32") for name in kernel.arg_names}, {})
    return ReadyKernel(parse(text), text)


def of(kernel: ReadyKernel, name: str) -> Decision:
    found = [each for each in kernel.sides.decisions if each.operation.name == name]
    assert len(found) == 1
    return found[0]


def bits_of(value: float) -> int:
    return int.from_bytes(struct.pack("<f", value), "little")


def turns(kernel: ReadyKernel, decision: Decision, **scalars: Any) -> set[tuple[str, int]]:
    function = kernel.module.functions[decision.function]
    found = find_thresholds(decision, function, kernel.flow, {f"%{name}": v for name, v in scalars.items()})
    return {(each.parameter.lstrip("%"), each.bits) for each in found}


def launched(kernel: ReadyKernel, x: list[float], n: int = SIZE) -> None:
    memory = Memory()
    for name, values in (("x", x), ("w", [1.0] * SIZE), ("out", [0.0] * SIZE)):
        memory.add(name, 4 * SIZE, content=np.resize(np.array(values, np.float32), SIZE))
    given = [*(Pointer(buffer=name) for name in ("x", "w", "out")), Scalar(bits=n)]
    run_launch(kernel, "kernel", (1, 1, 1), given, memory)


@pytest.mark.parametrize(
    ("kernel", "name", "parameter", "bits"),
    [
        (clipped, "arith.cmpf", "x", bits_of(1000.0)),
        (scaled, "arith.cmpf", "x", bits_of(4.0)),
        (by_bits, "arith.cmpi", "w", 0x40490FDB),
        (by_exponent, "arith.cmpi", "x", 197 << 23),
        (as_integers, "arith.cmpi", "x", 0x42C80001),
        (of_sums, "arith.minnumf", "", bits_of(1e25)),
    ],
)
def test_a_decision_is_found_with_the_number_that_it_turns_at(
    kernel: Any, name: str, parameter: str, bits: int
) -> None:
    """Worked out backwards, to what is loaded."""
    made = ready(kernel)
    assert (parameter, bits) in turns(made, of(made, name))


def test_bits_that_are_compared_by_arithmetic_alone_are_a_decision() -> None:
    """Without any comparison in the text."""
    made = ready(by_arithmetic)
    cut = [each for each in made.sides.decisions if each.kind == "bits"]
    assert cut
    assert {("x", 0x40490FDB)} <= {turn for each in cut for turn in turns(made, each)}


def test_an_argument_of_the_launch_is_a_number_too() -> None:
    made = ready(by_argument, limit="fp32")
    assert turns(made, of(made, "arith.cmpf"), limit=np.array(3e20, np.float32)) == {("x", bits_of(3e20))}


def test_what_a_branch_chose_depends_on_its_condition() -> None:
    """A number that a value chose decides as the value would."""
    compared = [each for each in ready(in_a_branch).sides.decisions if each.operation.name == "arith.cmpf"]
    assert len(compared) >= 2
    assert all(each.data == frozenset(["%x"]) for each in compared)


def test_what_a_function_makes_of_each_lane_depends_on_the_lanes() -> None:
    """A decision within it is one, and one behind it."""
    compared = [each for each in ready(mapped).sides.decisions if each.operation.name == "arith.cmpf"]
    assert [each.data for each in compared] == [frozenset(["%x"])] * 2


@pytest.mark.parametrize("kernel", [ordinary, settled])
def test_sums_masks_of_places_and_neutral_bounds_decide_nothing(kernel: Any) -> None:
    assert ready(kernel).sides.decisions == ()


def test_a_count_depends_on_the_memory_that_holds_it() -> None:
    """Whether that is one of the inputs is known where it is launched."""
    assert of(ready(counted), "arith.cmpi").data == frozenset(["%w"])


def test_sides_are_those_of_real_lanes() -> None:
    """What stands in for a masked lane is above the number; no loaded value is."""
    made = ready(clipped)
    launched(made, [1.0], n=3)
    assert (made.sides.ones, made.sides.zeros) == ([0], [1])
    launched(made, [1.0, 1.0, 2000.0], n=3)
    assert (made.sides.ones, made.sides.zeros) == ([1], [1])
    made.sides.clear()
    launched(made, [2000.0])
    assert (made.sides.ones, made.sides.zeros) == ([1], [0])


def test_bits_are_seen_one_by_one() -> None:
    """Of those that can be either, in all lanes together."""
    made = ready(by_exponent)
    number = next(n for n, each in enumerate(made.sides.decisions) if each.operation.name == "arith.andi")
    assert made.sides.decisions[number].wanted == 0xFF
    launched(made, [1.0])
    assert (made.sides.ones[number], made.sides.zeros[number]) == (0x7F, 0x80)
    launched(made, [2.0])
    assert (made.sides.ones[number], made.sides.zeros[number]) == (0xFF, 0xFF)


def test_a_decision_changes_no_answer() -> None:
    """A kernel that is watched computes what it computes otherwise."""
    memory = Memory()
    for name, value in (("x", 2000.0), ("w", 1.0), ("out", 7.0)):
        memory.add(name, 4 * SIZE, content=np.full(SIZE, value, np.float32))
    given = [*(Pointer(buffer=name) for name in ("x", "w", "out")), Scalar(bits=4)]
    run_launch(ready(clipped), "clipped", (1, 1, 1), given, memory)
    assert memory.read("out", np.float32).tolist() == [0.0] * SIZE


@triton.jit
def half(value):
    return tl.where(value > 3.0, value, 0.5 * value)


@triton.jit
def calls_twice(x, w, out, n):
    place = tl.arange(0, 16)
    one = half(tl.load(x + place))
    tl.store(out + place, one + half(tl.load(w + place)))


def test_a_decision_has_the_line_of_its_text() -> None:
    """Of a function that is called from two places it has that function's, and the place of each call."""
    made = ready(calls_twice)
    lines = SourceLines(made.text)
    places = [
        lines.of(each.operation.line) for each in made.sides.decisions if each.operation.name == "arith.cmpf"
    ]
    first = half.fn.__code__.co_firstlineno
    assert [each[0].line for each in places] == [first + 2, first + 2]
    assert len(set(places)) == 2


def test_a_text_without_locations_has_no_lines() -> None:
    assert SourceLines("module {\n  %0 = arith.constant 1 : i32\n}").of(2) == ()


def integer(name: str, *operands: str) -> Operation:
    return Operation(name=name, line=1, results=("%r",), operands=operands, inputs=(Kind(element="i32"),))


@pytest.mark.parametrize(
    ("name", "left", "right", "left_open", "result_open"),
    [
        ("arith.andi", None, 0xFF, 0xFFFFFFFF, 0xFF),
        ("arith.ori", None, 0xFF, 0xFFFFFFFF, 0xFFFFFF00),
        ("arith.xori", None, 0xFF, 0xF0, 0xF0),
        ("arith.shrui", None, 24, 0xFFFFFFFF, 0xFF),
        ("arith.shli", None, 24, 0xFFFFFFFF, 0xFF000000),
        ("arith.addi", None, 0xFFF, 0x1, 0x1FFF),
        ("arith.addi", None, 0x1000, 0xFFF, 0xFFF),
        ("arith.muli", None, 3, 0x1, 0xFFFFFFFF),
    ],
)
def test_bits_that_cannot_change_are_known(
    name: str, left: None, right: int, left_open: int, result_open: int
) -> None:
    """A rule that claims too much would have a fault go unseen, so what it does not know is open."""
    del left
    given = [Bits(32, zeros=~left_open & 0xFFFFFFFF), constant(right, 32)]
    assert known_bits(integer(name, "%a", "%b"), given, {"%b": right}).open == result_open
