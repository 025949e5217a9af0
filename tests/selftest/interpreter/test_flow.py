"""What a value is made of where several go through a reduction or a loop side by side."""

# ruff: noqa: ANN001, ANN201, ARG001 - kernels are written in Triton's own idiom, and all are called alike

from typing import Any

import pytest
import triton
import triton.language as tl

from kernelgate.interpreter.decisions.find import Decision, find_decisions
from kernelgate.interpreter.decisions.flow import DataFlow
from kernelgate.interpreter.text.parser import parse
from tests.selftest.interpreter.compiled import ttir_of

KINDS = {"x": "*fp32", "out": "*fp32", "n": "i32"}


@triton.jit
def welford(mean, m2, count, other_mean, other_m2, other_count):
    both, delta = count + other_count, other_mean - mean
    share = tl.where(both == 0.0, 0.0, other_count / both)
    return mean + delta * share, m2 + other_m2 + delta * delta * count * share, both


@triton.jit
def by_counts(x, out, n):
    values = tl.load(x + tl.arange(0, 16))
    ones = tl.full(values.shape, 1.0, tl.float32)
    mean, m2, _ = tl.reduce((values, tl.zeros_like(values), ones), 0, welford)
    tl.store(out, mean + m2)


@triton.jit
def by_loop_counts(x, out, n):
    place, count = tl.arange(0, 16), 0.0
    mean = tl.zeros((16,), tl.float32)
    for start in range(0, n, 16):
        count += 1.0
        mean += (tl.load(x + start + place) - mean) * tl.where(count == 0.0, 0.0, 1.0 / count)
    tl.store(out + place, mean)


@triton.jit
def by_the_largest_place(x, out, n):
    largest = tl.argmax(tl.load(x + tl.arange(0, 16)), axis=0)
    tl.store(out, tl.where(largest == 3, 0.0, 1.0))


@triton.jit
def by_a_loop_sum(x, out, n):
    count, total = 0.0, 0.0
    for start in range(n):
        count += 1.0
        total += tl.load(x + start)
    tl.store(out, tl.where(total == 3.0, 0.0, count))


@triton.jit
def by_turns(x, out, n):
    turn = out.to(tl.pointer_type(tl.int32)) + n
    for _ in range(n):
        tl.store(out, tl.load(x))
    if tl.program_id(0) == 0:
        tl.atomic_xchg(turn, 1)
    else:
        while tl.atomic_add(turn, 0) != 1:
            pass


def decisions(kernel: Any) -> list[Decision]:
    module = parse(ttir_of(kernel, KINDS, {}))
    return list(find_decisions(module, DataFlow(module)))


@pytest.mark.parametrize("kernel", [by_counts, by_loop_counts])
def test_a_count_beside_loaded_values_is_made_of_none(kernel: Any) -> None:
    """Each result of a reduction, or a loop, is made of what is yielded at its own place."""
    assert decisions(kernel) == []


@pytest.mark.parametrize(
    ("kernel", "last"), [(by_the_largest_place, "arith.cmpi"), (by_a_loop_sum, "arith.cmpf")]
)
def test_what_values_choose_beside_others_is_made_of_them(kernel: Any, last: str) -> None:
    """The place of the largest depends on what is compared to find it."""
    found = decisions(kernel)
    assert found[-1].operation.name == last
    assert found[-1].data == frozenset(["%x"])


def test_a_lock_is_made_of_what_lies_in_it_alone() -> None:
    """In the text it has the name of a value in the loop before it, which is made of x."""
    assert [each.data for each in decisions(by_turns)] == [frozenset(["%out"])]
