"""Which arguments a kernel reads and writes, whether it may wait, and how many programs go into a chunk."""

# ruff: noqa: ANN001, ANN201, N803 - kernels are written in Triton's own idiom

from typing import Any

import numpy as np
import pytest
import triton
import triton.language as tl

from kernelgate.interpreter.decisions.flow import ANYWHERE, DataFlow
from kernelgate.interpreter.launch import CHUNK_ELEMENTS, ReadyKernel
from kernelgate.interpreter.provenance import find_accessed, largest_tensor, waits
from tests.selftest.interpreter.compiled import parse_kernel, run

FLOATS = np.zeros(64, np.float32)


@triton.jit(noinline=True)
def store_it(pointer, value):
    tl.store(pointer, value)
    return pointer + 1


@triton.jit
def plain(a, b, c, n):
    tl.store(c + tl.arange(0, 8), tl.load(a + tl.arange(0, 8)) + tl.load(b + n))


@triton.jit
def moving(a, b, c, n):
    pointer = a
    for _ in range(n):
        tl.store(pointer, 1.0)
        pointer = b
    if n > 3:
        pointer = c
    tl.store(c + 3, tl.load(pointer))


@triton.jit
def by_call(a, b, c, n):
    after = store_it(b, tl.load(a))
    tl.store(after, 2.0 + n)
    tl.atomic_add(c, 1.0)


@triton.jit
def by_number(a, b, c, n):  # noqa: ARG001 - launched as the others are
    address = tl.load(a.to(tl.pointer_type(tl.int64)))
    tl.store(
        address.to(tl.pointer_type(tl.float32)), tl.load((b.to(tl.int64) + n).to(tl.pointer_type(tl.float32)))
    )


@pytest.mark.parametrize(
    ("kernel", "read", "written"),
    [
        (plain, {0, 1}, {2}),
        (moving, {0, 1, 2}, {0, 1, 2}),
        (by_call, {0, 2}, {1, 2}),
        (by_number, {0, 1}, {ANYWHERE}),
    ],
)
def test_arguments_that_are_read_and_written(kernel: Any, read: set[Any], written: set[Any]) -> None:
    module = parse_kernel(kernel, {"a": FLOATS, "b": FLOATS, "c": FLOATS, "n": 1})
    places = {each.name: place for place, each in enumerate(module.kernel.parameters)}
    found = find_accessed(DataFlow(module))
    assert {places.get(each, each) for each in found.read} == read
    assert {places.get(each, each) for each in found.written} == written


@triton.jit
def spins(a):
    while tl.load(a, volatile=True) == 0:
        pass


@triton.jit
def counts(a, n):
    i = 0
    while i * i < n:
        i += 1
    tl.store(a, i)


def test_a_loop_that_reads_may_wait() -> None:
    assert waits(parse_kernel(spins, {"a": FLOATS}))
    assert not waits(parse_kernel(counts, {"a": FLOATS, "n": 1}))


@triton.jit
def huge(a, out, SIZE: tl.constexpr):
    place = tl.arange(0, SIZE)
    tl.store(out + place, tl.load(a + place) + 1)


def test_a_tensor_of_a_million_elements_runs_alone() -> None:
    size = 2**20
    a, out = np.arange(size, dtype=np.float32), np.zeros(size, np.float32)
    module = parse_kernel(huge, {"a": a, "out": out}, SIZE=size)
    assert largest_tensor(module) == size
    assert ReadyKernel(module).chunk == 1
    assert ReadyKernel(parse_kernel(huge, {"a": a, "out": out}, SIZE=1024)).chunk == CHUNK_ELEMENTS // 1024
    assert run(huge, (1,), {"a": a, "out": out}, {"SIZE": size}).findings == ()
    np.testing.assert_array_equal(out, a + 1)
