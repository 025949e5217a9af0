"""Decisions of a call: which depend on x, weight or bias, also through memory that a launch wrote before."""

# ruff: noqa: ANN001, ANN201, ARG001 - kernels are written in Triton's own idiom, and all are called alike

from typing import Any

import pytest
import triton
import triton.language as tl

from kernelgate.execution.launch_plan import Buffer, Copy, Launch, Pointer, Scalar, View
from kernelgate.execution.observed.decisions import ContentsOf, SeenDecision, see_decisions
from kernelgate.interpreter.launch import ReadyKernel
from kernelgate.interpreter.text.parser import parse
from tests.selftest.interpreter.compiled import ttir_of

X, WEIGHT, PACKED, COUNTER, OUT = range(5)
BUFFERS = tuple(
    Buffer(role=role, bytes=64) for role in ("x", "weight", "temporary", "temporary", "temporary")
)
FLOATS = {"a": "*fp32", "b": "*fp32", "n": "fp32"}
COUNTS = {"a": "*fp32", "b": "*i32", "n": "fp32"}


@triton.jit
def packs(a, b, n):
    place = tl.arange(0, 16)
    tl.store(b + place, tl.load(a + place) * 2.0)


@triton.jit
def clips(a, b, n):
    place = tl.arange(0, 16)
    value = tl.load(a + place)
    tl.store(b + place, tl.where(value > n, 0.0, value))


@triton.jit
def waits(a, b, n):
    turn = tl.atomic_add(b, 1)
    place = tl.arange(0, 16)
    tl.store(a + place, tl.where(turn == 3, 1.0, n))


@triton.jit
def counts(a, b, n):
    place = tl.arange(0, 16)
    large = tl.load(a + place) > 5.0
    tl.store(b + place, large.to(tl.int32))


@triton.jit
def asks(a, b, n):
    place = tl.arange(0, 16)
    tl.store(a + place, tl.where(tl.load(b + place) == 1, 0.0, n))


def ready(kernel: Any, kinds: dict[str, str] = FLOATS) -> ReadyKernel:
    text = ttir_of(kernel, kinds, {})
    return ReadyKernel(parse(text), text)


def launch(first: int, second: int) -> Launch:
    arguments = (Pointer(buffer=first), Pointer(buffer=second), Scalar(kind="fp32", bits=0x447A0000))
    return Launch(program="0" * 64, grid=(1, 1, 1), threads=32, shared_bytes=0, arguments=arguments)


def seen(*steps: tuple[ReadyKernel, Launch] | Copy) -> list[SeenDecision]:
    """Return the decisions of the last launch."""
    contents, found = ContentsOf(BUFFERS), list[SeenDecision]()
    for step in steps:
        if isinstance(step, Copy):
            contents.note_copy(step)
        else:
            kernel, launched = step
            contents.note_launch(launched, kernel)
            found = list(see_decisions(launched, kernel, contents))
    return found


def test_a_decision_names_the_input_its_line_and_its_number() -> None:
    """The number is an argument of the launch."""
    (decision,) = seen((ready(clips), launch(X, OUT)))
    assert decision.inputs == ("x",)
    assert decision.operation == "cmpf ogt"
    assert decision.thresholds == ("x:447a0000",)
    assert decision.line == clips.fn.__code__.co_firstlineno + 4


def test_what_a_launch_packed_is_followed_to_the_next() -> None:
    """The filters that another launch had laid out anew."""
    assert seen((ready(clips), launch(PACKED, OUT))) == []
    (decision,) = seen((ready(packs), launch(WEIGHT, PACKED)), (ready(clips), launch(PACKED, OUT)))
    assert decision.inputs == ("weight",)
    assert decision.thresholds == ("weight:447a0000",)


def test_what_a_copy_moved_is_followed() -> None:
    views = (View(buffer=buffer, dtype="float32", shape=(16,), strides=(1,)) for buffer in (PACKED, X))
    target, source = views
    assert seen(Copy(target=target, source=source), (ready(clips), launch(PACKED, OUT)))


@pytest.mark.parametrize("kernel", [waits])
def test_a_counter_of_programs_is_no_input(kernel: Any) -> None:
    """Programs that wait for each other ask memory for its value, and none of the inputs is in that."""
    assert seen((ready(kernel, COUNTS), launch(OUT, COUNTER))) == []


def test_what_was_decided_and_stored_is_followed() -> None:
    """A flag that a value raised decides as the value would."""
    decisions = seen((ready(counts, COUNTS), launch(X, COUNTER)), (ready(asks, COUNTS), launch(OUT, COUNTER)))
    assert {each.inputs for each in decisions} == {("x",)}
    assert any(each.operation.startswith("cmpi") for each in decisions)
