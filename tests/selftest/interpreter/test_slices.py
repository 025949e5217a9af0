"""A kernel cut down to its stores covers the same elements as the whole one."""

# ruff: noqa: ANN001, ANN201, N803 - kernels are written in Triton's own idiom

from typing import Any

import numpy as np
import pytest
import triton
import triton.language as tl

from kernelgate.interpreter.launch import LaunchResult, Pointer, Scalar
from kernelgate.interpreter.memory.buffer import poison
from kernelgate.interpreter.memory.memory import Memory
from kernelgate.interpreter.slices import stores_of
from kernelgate.interpreter.text.module import Module
from kernelgate.interpreter.text.parser import parse
from tests.selftest.interpreter.compiled import HOPPER, kind_of, run_launch, ttir_of
from tests.selftest.interpreter.kernel_files import NAN, PIXELS, compile_direct, kernels_of, pointers

PROGRAMS, SIZE = 5, 8


@triton.jit
def loops(a, out, n, SIZE: tl.constexpr):
    program = tl.program_id(0)
    place = tl.arange(0, SIZE)
    total = tl.zeros((SIZE,), tl.float32)
    at = program * 64
    for i in range(n):
        total += tl.load(a + i * SIZE + place)
        if i % 2 == program % 2:
            tl.store(out + at + place, total, mask=place < 5 + i)
            at += SIZE
    if program == 3:
        at += 1
        total *= 2.0
    while at % 16 != 0:
        at += 1
        total += 1.0
    tl.store(out + at + place, tl.cumsum(total))


@triton.jit(noinline=True)
def keep(out, value):
    tl.store(out, value)
    return value + 1


@triton.jit
def calls(a, out, n, SIZE: tl.constexpr):  # noqa: ARG001 - launched as the others are
    program = tl.program_id(0)
    if program == n:
        return
    after = keep(out + program * 2, tl.load(a + program))
    tl.store(out + 100 + program, after)
    at = tl.load(a + 10 + program).to(tl.int32)
    tl.store(out + 200 + at + program, after)


@triton.jit
def blocks(a, out, n, SIZE: tl.constexpr):
    target = tl.make_tensor_descriptor(out, [n + 10, 30], [30, 1], [SIZE, SIZE])
    value = tl.load(a + tl.arange(0, SIZE)[:, None] + tl.arange(0, SIZE)[None, :])
    target.store([tl.program_id(0) * SIZE, tl.program_id(0) * SIZE], value)


@triton.jit
def shift(value, program):
    if value > 3:
        return 8
    if value == 2:
        return 5
    return program


@triton.jit
def moves(a, out, n, SIZE: tl.constexpr):
    place, program = tl.arange(0, SIZE), tl.program_id(0)
    value = tl.load(a + program * SIZE + place)
    at = tl.map_elementwise(shift, value, program + tl.zeros_like(place))
    tl.store(out + n * (program * SIZE + place) + at, value * 2.0)


def launch(module: Module, kernel: Any) -> tuple[LaunchResult, np.ndarray]:
    memory = Memory()
    memory.add("a", 4 * 64, content=np.arange(64, dtype=np.float32) % 7)
    memory.add("out", 4 * 1000, fill=poison(NAN))
    given = [Pointer(buffer="a"), Pointer(buffer="out"), Scalar(bits=4)]
    result = run_launch(module, kernel.__name__, (PROGRAMS, 1, 1), given, memory)
    return result, memory.written("out")


@pytest.mark.parametrize("kernel", [loops, calls, blocks, moves])
def test_the_same_elements_are_covered(kernel: Any) -> None:
    arguments = {"a": np.zeros(1, np.float32), "out": np.zeros(1, np.float32), "n": 1}
    signature = {name: kind_of(each) for name, each in arguments.items()}
    module = parse(ttir_of(kernel, signature, {"SIZE": SIZE}, HOPPER))
    whole, places = launch(module, kernel)
    cut, same_places = launch(stores_of(module), kernel)
    np.testing.assert_array_equal(same_places, places)
    assert cut.written == whole.written
    assert cut.stored["out"].tolist() == whole.stored["out"].tolist()
    assert len(places) > 20 or kernel is calls


def test_products_and_loads_are_gone() -> None:
    module = compile_direct("alexnet_conv1", {"BLOCK_M": 32, "BLOCK_N": 64, "BLOCK_K": 32}).module
    names = {each.name for each in stores_of(module).kernel.body.blocks[0].operations}
    assert not names & {"scf.for", "tt.dot", "tt.load"}


@pytest.mark.parametrize("name", ["alexnet_conv1", "alexnet_conv1_original"])
def test_a_grid_covers_every_element(name: str) -> None:
    kernel = compile_direct(name, {"BLOCK_M": 64, "BLOCK_N": 64, "BLOCK_K": 32})
    batch, memory = 4, Memory()
    memory.add("out", 4 * batch * 96 * PIXELS, fill=poison(NAN))
    for each in ("x", "weight", "bias"):
        memory.add(each, 2**20)
    numbers = (
        [batch]
        if len(kernel.function.parameters) == 5
        else [batch, 3, 224, 224, 96, 11, 11, 55, 55, 4, 4, 2, 2]
    )
    given = [
        *(Pointer(buffer=each) for each in ("x", "weight", "bias", "out")),
        *(Scalar(bits=n) for n in numbers),
    ]
    grid = (-(-batch * PIXELS // 64), 2, 1)
    result = run_launch(stores_of(kernel.module), name, grid, given, memory)
    assert result.written == {"out": batch * 96 * PIXELS}
    assert result.findings == ()
    short = run_launch(stores_of(kernel.module), name, (grid[0] - 1, 2, 1), given, memory)
    assert short.written["out"] < batch * 96 * PIXELS


def test_the_fast_kernel_covers_every_element() -> None:
    signature = pointers("x_ptr", "packed_ptr", "out_ptr") | {"m_total": "i32"}
    constants = {"SHARES": 2, "AT_ONCE": 4, "WARPS": 8, "REPEATS": 2}
    module = parse(ttir_of(kernels_of("alexnet_conv1_fast").conv_kernel, signature, constants))
    memory = Memory()
    for each, size in (("x", 64), ("packed", 64), ("out", 4 * 2 * 96 * PIXELS)):
        memory.add(each, size)
    given = [*(Pointer(buffer=each) for each in ("x", "packed", "out")), Scalar(bits=2 * PIXELS)]
    result = run_launch(stores_of(module), "conv_kernel", (20, 1, 1), given, memory)
    assert result.written == {"out": 2 * 96 * PIXELS}
    assert result.findings == ()


@triton.jit
def overlap(out, SIZE: tl.constexpr):
    tl.store(out + tl.program_id(0) * 4 + tl.arange(0, SIZE), 1.0)


@pytest.mark.parametrize("chunk", [1, None])
def test_programs_that_cover_the_same_elements_show(chunk: int | None) -> None:
    memory = Memory()
    memory.add("out", 400)
    module = stores_of(parse(ttir_of(overlap, {"out": "*fp32"}, {"SIZE": SIZE})))
    result = run_launch(module, "overlap", (3, 1, 1), [Pointer(buffer="out")], memory, chunk=chunk)
    assert result.stored["out"].tolist() == [SIZE] * 3
    assert result.written == {"out": SIZE + 8}
    assert not memory.read("out", np.float32).any()
