"""Atomic operations, locks and barriers: programs that wait let the others go on."""

# ruff: noqa: ANN001, ANN201, N803 - kernels are written in Triton's own idiom

import numpy as np
import pytest
import triton
import triton.language as tl

from kernelgate.interpreter.launch import LaunchRun, Pointer, ReadyKernel
from kernelgate.interpreter.memory.memory import Memory
from kernelgate.interpreter.text.parser import parse
from tests.selftest.interpreter.compiled import Typed, parse_kernel, run, ttir_of

PROGRAMS = 6


@triton.jit
def update(a, out, old, OP: tl.constexpr, SIZE: tl.constexpr):
    place = tl.arange(0, SIZE)
    at = tl.program_id(0) * SIZE + place
    x = tl.load(a + at)
    if OP == "add":
        before = tl.atomic_add(out + place % 2, x, mask=x != 3)
    elif OP == "max":
        before = tl.atomic_max(out + place % 2, x)
    elif OP == "min":
        before = tl.atomic_min(out + place % 2, x)
    elif OP == "and":
        before = tl.atomic_and(out + place % 2, x)
    elif OP == "or":
        before = tl.atomic_or(out + place % 2, x)
    elif OP == "xor":
        before = tl.atomic_xor(out + place % 2, x)
    else:
        before = tl.atomic_xchg(out + place % 2, x)
    tl.store(old + at, before)


TRUTH = {
    "add": lambda held, x: held if x == 3 else held + x,
    "max": max,
    "min": min,
    "and": lambda held, x: held & x,
    "or": lambda held, x: held | x,
    "xor": lambda held, x: held ^ x,
    "xchg": lambda _, x: x,
}


@pytest.mark.parametrize("chunk", [1, 2, None])
@pytest.mark.parametrize("operation", list(TRUTH))
def test_updates_happen_one_after_the_other(operation: str, chunk: int | None) -> None:
    x = np.random.default_rng(1).integers(-9, 9, (PROGRAMS, 8)).astype(np.int32)
    out, old = np.array([1, -2], np.int32), np.zeros_like(x)
    given = {"a": x, "out": out, "old": old}
    assert run(update, (PROGRAMS,), given, {"OP": operation, "SIZE": 8}, chunk=chunk).findings == ()
    held = [1, -2]
    for program in range(PROGRAMS):
        for lane in range(8):
            value = int(x[program, lane])
            if operation != "add" or value != 3:
                assert old[program, lane] == held[lane % 2]
            held[lane % 2] = TRUTH[operation](held[lane % 2], value)
    assert out.tolist() == held


@triton.jit
def add_floats(a, out, SIZE: tl.constexpr):
    tl.atomic_add(out + tl.arange(0, SIZE) % 4, tl.load(a + tl.arange(0, SIZE)))


@pytest.mark.parametrize("kind", ["float32", "float64", "float16"])
def test_sums_of_floats(kind: str) -> None:
    x, out = (np.arange(16) / 4).astype(kind), np.zeros(4, kind)
    run(add_floats, (3,), {"a": x, "out": out}, {"SIZE": 16})
    np.testing.assert_array_equal(out, 3 * x.reshape(4, 4).sum(0))


def test_sums_of_unsigned_numbers_of_64_bits() -> None:
    x, out = np.array([2**63, 2**63 - 1, 5, 6], np.uint64), np.ones(4, np.uint64)
    run(add_floats, (2,), {"a": x, "out": out}, {"SIZE": 4})
    assert out.tolist() == [1, 2**64 - 1, 11, 13]


@triton.jit
def under_a_lock(lock, total, trace):
    program = tl.program_id(0)
    while tl.atomic_cas(lock, 0, 1) == 1:
        pass
    value = tl.load(total)
    tl.store(total, value + program + 1)
    tl.store(trace + value % 1000 % 64, program)
    tl.atomic_xchg(lock, 0)


@pytest.mark.parametrize("order", [None, [5, 4, 3, 2, 1, 0], [2, 5, 0, 1, 4, 3]])
def test_a_lock(order: list[int] | None) -> None:
    lock, total, trace = np.zeros(1, np.int32), np.zeros(1, np.int32), np.zeros(64, np.int32)
    programs = None if order is None else [(each, 0, 0) for each in order]
    given = {"lock": lock, "total": total, "trace": trace}
    assert run(under_a_lock, (PROGRAMS,), given, programs=programs).findings == ()
    assert total[0] == sum(range(PROGRAMS + 1))


@triton.jit
def in_turn(turn, out):
    program = tl.program_id(0)
    while tl.atomic_add(turn, 0) != program:
        pass
    value = tl.load(out)
    tl.store(out, value * 3 + program)
    tl.atomic_add(turn, 1)


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]])
def test_programs_that_wait_their_turn(order: list[int]) -> None:
    turn, out = np.zeros(1, np.int32), np.zeros(1, np.int32)
    given = {"turn": turn, "out": out}
    assert run(in_turn, (4,), given, programs=[(each, 0, 0) for each in order]).findings == ()
    assert out[0] == ((0 * 3 + 1) * 3 + 2) * 3 + 3


@triton.jit
def grid_barrier(counter, a, out, SIZE: tl.constexpr):
    program = tl.program_id(0)
    place = tl.arange(0, SIZE)
    tl.store(a + program * SIZE + place, program * SIZE + place)
    tl.atomic_add(counter, 1)
    while tl.atomic_add(counter, 0) < tl.num_programs(0):
        pass
    other = tl.num_programs(0) - 1 - program
    tl.store(out + program * SIZE + place, tl.load(a + other * SIZE + place))


def test_a_barrier_of_the_whole_grid() -> None:
    counter, a, out = np.zeros(1, np.int32), np.zeros((5, 8), np.int32), np.zeros((5, 8), np.int32)
    assert run(grid_barrier, (5,), {"counter": counter, "a": a, "out": out}, {"SIZE": 8}).findings == ()
    np.testing.assert_array_equal(out, np.arange(40).reshape(5, 8)[::-1])


def test_a_lock_that_nobody_opens() -> None:
    lock = np.ones(1, np.int32)
    given = {"lock": lock, "total": np.zeros(1, np.int32), "trace": np.zeros(64, np.int32)}
    (found,) = run(under_a_lock, (3,), given).findings
    assert (found.kind, found.program) == ("waits-for-ever", (0, 0, 0))
    assert "2 others" in found.text


@triton.jit
def work_queue(head, out, count):
    item = tl.atomic_add(head, 1)
    while item < count:
        tl.store(out + item, item * item)
        item = tl.atomic_add(head, 1)


def test_a_queue_of_work() -> None:
    head, out = np.zeros(1, np.int32), np.zeros(50, np.int32)
    assert run(work_queue, (4,), {"head": head, "out": out, "count": 50}).findings == ()
    np.testing.assert_array_equal(out, np.arange(50) ** 2)


@triton.jit
def without_a_lock(total):
    value = tl.load(total)
    tl.store(total, value + 1)


@pytest.mark.parametrize("chunk", [1, None])
def test_without_a_lock_it_is_a_race(chunk: int | None) -> None:
    found = run(without_a_lock, (3,), {"total": np.zeros(1, np.int32)}, chunk=chunk).findings
    assert {"writes-read"} <= {each.kind for each in found}


@triton.jit
def compare(out, old, SIZE: tl.constexpr):
    place = tl.arange(0, SIZE)
    before = tl.atomic_cas(out + place % 4, tl.full((SIZE,), 7, tl.int64), place.to(tl.int64))
    tl.store(old + place, before)


def test_compare_and_swap_of_a_tensor() -> None:
    out, old = np.array([7, 1, 7, 7], np.int64), np.zeros(8, np.int64)
    run(compare, (1,), {"out": out, "old": old}, {"SIZE": 8})
    assert out.tolist() == [0, 1, 2, 3]
    assert old.tolist() == [7, 1, 7, 7, 0, 1, 2, 3]


@triton.jit
def says_so(x, n):
    tl.device_assert(tl.load(x + tl.program_id(0)) < n, "too large")
    tl.device_print("x", n)


def test_an_assertion_that_fails_is_found() -> None:
    x = np.array([1, 9, 2, 8], np.int32)
    result = run(says_so, (4,), {"x": x, "n": Typed(5, "i32")}, debug=True)
    assert [(each.kind, each.program) for each in result.findings] == [("assert", (1, 0, 0))]
    assert "too large" in result.findings[0].text


@triton.jit
def slow_reader(flag, a, out, n):
    total, place = 0.0, 0
    while place < n:
        total += tl.load(a + place % 8)
        place += 1
    for _ in range(5):
        once = tl.atomic_add(flag, 0)
        while once == 0:
            once += 1
    tl.store(out + tl.program_id(0), total)


def test_a_program_that_is_slow_is_not_taken_for_one_that_waits() -> None:
    flag, a, out = np.zeros(1, np.int32), np.ones(8, np.float32), np.zeros(2, np.float32)
    result = run(slow_reader, (2,), {"flag": flag, "a": a, "out": out, "n": 2000})
    assert result.findings == ()
    assert out.tolist() == [2000, 2000]


def test_many_programs_that_wait_their_turn_backwards() -> None:
    turn, out = np.zeros(1, np.int32), np.zeros(1, np.int32)
    result = run(
        in_turn,
        (60,),
        {"turn": turn, "out": out},
        programs=[(59 - n, 0, 0) for n in range(60)],
        max_turns=200,
    )
    assert (result.findings, result.programs_run, turn[0]) == ((), 60, 60)


def test_programs_that_never_end_are_not_counted_as_run() -> None:
    turn, out = np.zeros(1, np.int32), np.zeros(1, np.int32)
    result = run(in_turn, (5,), {"turn": turn, "out": out}, programs=[(n, 0, 0) for n in (0, 1, 3, 4)])
    assert [each.kind for each in result.findings] == ["waits-for-ever"]
    assert (result.findings[0].program, result.programs_run) == ((3, 0, 0), 2)


@triton.jit
def search(a, out, n):
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if tl.load(a + middle) < tl.program_id(0):
            low = middle + 1
        else:
            high = middle
    tl.store(out + tl.program_id(0), low)


def test_a_search_in_what_nobody_writes_needs_no_turns() -> None:
    a, out = np.arange(0, 64, 2).astype(np.int32), np.zeros(60, np.int32)
    kernel = ReadyKernel(parse_kernel(search, {"a": a, "out": out, "n": 32}))
    assert kernel.may_wait
    run(search, (60,), {"a": a, "out": out, "n": 32})
    np.testing.assert_array_equal(out, np.searchsorted(a, np.arange(60)))


@triton.jit
def adds_in_turn(a, out):
    """Each program adds a number of its own to one element."""
    tl.atomic_add(out, tl.load(a + tl.program_id(0)))


def test_sums_show_the_order_of_programs() -> None:
    """Forwards 2^24 swallows each 1 that comes after it; backwards the ones are added first."""
    x, sums = np.array([2.0**24, 1.0, 1.0], dtype=np.float32), []
    kernel = ReadyKernel(parse(ttir_of(adds_in_turn, {"a": "*fp32", "out": "*fp32"}, {})))
    for backwards in (False, True):
        memory = Memory()
        memory.add("a", x.nbytes, content=x)
        memory.add("out", 4)
        given = [Pointer(buffer="a"), Pointer(buffer="out")]
        LaunchRun(kernel, "adds_in_turn", (3, 1, 1), given, memory).run(backwards=backwards)
        sums.append(float(memory.read("out", np.float32)[0]))
    assert sums == [2.0**24, 2.0**24 + 2]
