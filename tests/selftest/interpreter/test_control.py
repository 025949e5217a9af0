"""Programs part at branches and loops, and meet again."""

# ruff: noqa: ANN001, ANN201, N803 - kernels are written in Triton's own idiom

import numpy as np
import pytest
import triton
import triton.language as tl

from kernelgate.interpreter.control import MAX_CALLS
from kernelgate.interpreter.errors import CannotInterpretError
from kernelgate.interpreter.memory.memory import Memory
from kernelgate.interpreter.text.parser import parse
from tests.selftest.interpreter.compiled import run, run_launch

PROGRAMS = 7


@triton.jit
def branch(out, n, SIZE: tl.constexpr):
    program = tl.program_id(0)
    value = tl.zeros((SIZE,), tl.float32) + program
    if program % 2 == 0:
        value += 100
        if program > n:
            value *= 2
    elif program == 3:
        value -= 50
    tl.store(out + program * SIZE + tl.arange(0, SIZE), value)


@pytest.mark.parametrize("chunk", [1, 3, None])
def test_branches(chunk: int | None) -> None:
    out = np.zeros((PROGRAMS, 4), np.float32)
    run(branch, (PROGRAMS,), {"out": out, "n": 3}, {"SIZE": 4}, chunk=chunk)
    assert out[:, 0].tolist() == [100, 1, 102, -47, 208, 5, 212]
    assert (out == out[:, :1]).all()


@triton.jit
def loops(out, start, step, SIZE: tl.constexpr):
    program = tl.program_id(0)
    total = tl.zeros((SIZE,), tl.int32)
    last = -1
    for i in range(program, PROGRAMS_PLUS, step):
        for j in range(i):
            total += j
        if i == 4:
            total += 1000
        last = i
    for i in range(program, start, -1):
        total += 10000 * i
    tl.store(out + program * SIZE + tl.arange(0, SIZE), total + 1000000 * (last + 1))


PROGRAMS_PLUS = tl.constexpr(PROGRAMS + 1)


@pytest.mark.parametrize("chunk", [1, 3, None])
def test_loops_of_different_lengths(chunk: int | None) -> None:
    out = np.zeros((PROGRAMS, 4), np.int32)
    run(loops, (PROGRAMS,), {"out": out, "start": 2, "step": 3}, {"SIZE": 4}, chunk=chunk)
    for program in range(PROGRAMS):
        total, last = 0, -1
        for i in range(program, PROGRAMS + 1, 3):
            total, last = total + i * (i - 1) // 2 + (1000 if i == 4 else 0), i
        total += sum(10000 * i for i in range(program, 2, -1)) + 1000000 * (last + 1)
        assert out[program].tolist() == [total] * 4


@triton.jit
def collatz(out):
    program = tl.program_id(0)
    value = program + 1
    turns = 0
    while value != 1:
        if value % 2 == 0:
            value //= 2
        else:
            value = 3 * value + 1
        turns += 1
    tl.store(out + program, turns)


@pytest.mark.parametrize("chunk", [1, 5, None])
def test_loops_that_end_when_they_end(chunk: int | None) -> None:
    out = np.zeros(27, np.int32)
    run(collatz, (27,), {"out": out}, chunk=chunk)
    assert out[[0, 1, 2, 5, 26]].tolist() == [0, 1, 7, 8, 111]


@triton.jit(noinline=True)
def helper(x, n):
    if n > 2:
        return x + 1
    return x - n


@triton.jit
def returns_early(out, n):
    program = tl.program_id(0)
    if program == n:
        return
    tl.store(out + program, helper(program, program))


@pytest.mark.parametrize("chunk", [1, None])
def test_calls_and_early_returns(chunk: int | None) -> None:
    out = np.full(6, -9, np.int32)
    run(returns_early, (6,), {"out": out, "n": 4}, chunk=chunk)
    assert out.tolist() == [0, 0, 0, 4, -9, 6]


@triton.jit
def endless(out):
    while tl.load(out + 1) == 0:
        tl.store(out, tl.load(out) + 1)


def test_a_loop_without_end() -> None:
    out = np.zeros(2, np.int32)
    found = run(endless, (1,), {"out": out}, max_turns=500).findings
    assert [each.kind for each in found] == ["endless"]
    assert 400 < out[0] <= 500


@triton.jit
def places(out):
    x, y, z = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    at = x + tl.num_programs(0) * (y + tl.num_programs(1) * z)
    tl.store(out + at, x + 10 * y + 100 * z)


@pytest.mark.parametrize("grid", [(2, 3, 4), (9, 2, 1), (1, 1, 5), (1, 6, 2)])
@pytest.mark.parametrize("chunk", [1, 2, 4, None])
def test_grids_of_three_axes(grid: tuple[int, int, int], chunk: int | None) -> None:
    out = np.full(grid[::-1], -1, np.int32)
    result = run(places, grid, {"out": out}, chunk=chunk)
    z, y, x = np.indices(out.shape)
    np.testing.assert_array_equal(out, x + 10 * y + 100 * z)
    assert (result.programs_run, result.programs_total) == (out.size, out.size)
    assert result.written == {"out": out.size}


def test_chosen_programs_run_in_their_order() -> None:
    out = np.full((2, 3), -1, np.int32)
    chosen = [(2, 1, 0), (0, 0, 0)]
    result = run(places, (3, 2), {"out": out}, programs=chosen)
    assert out.tolist() == [[0, -1, -1], [-1, -1, 12]]
    assert (result.programs_run, result.programs_total, result.written) == (2, 6, {"out": 2})
    assert result.stored["out"].tolist() == [1, 0, 0, 0, 0, 1]
    with pytest.raises(ValueError, match="outside the grid"):
        run(places, (3, 2), {"out": out}, programs=[(3, 0, 0)])


def test_an_empty_grid_runs_nothing() -> None:
    out = np.zeros(1, np.int32)
    assert run(places, (0, 3), {"out": out}).programs_run == 0


RECURSION = """module {
  tt.func public @kernel(%n: i32) {
    tt.call @again(%n) : (i32) -> ()
    tt.return
  }
  tt.func private @again(%n: i32) {
    tt.call @again(%n) : (i32) -> ()
    tt.return
  }
}
"""


def test_a_recursion_is_lacking() -> None:
    with pytest.raises(CannotInterpretError, match=f"more than {MAX_CALLS} deep, a recursion"):
        run_launch(parse(RECURSION), "kernel", (1, 1, 1), [None], Memory())


@pytest.mark.parametrize("line", ["tt.frobnicate %n : i32", "%0 = arith.frob %n : i32"])
def test_an_operation_that_is_lacking_is_named(line: str) -> None:
    text = RECURSION.replace("tt.call @again(%n) : (i32) -> ()", line, 1)
    name = next(word for word in line.split() if "." in word)
    with pytest.raises(CannotInterpretError, match=rf"{name} \(TTIR line 3\) cannot be interpreted"):
        run_launch(parse(text), "kernel", (1, 1, 1), [None], Memory())


def test_too_few_arguments() -> None:
    with pytest.raises(CannotInterpretError, match="takes 1 arguments, 0 are given"):
        run_launch(parse(RECURSION), "kernel", (1, 1, 1), [], Memory())
