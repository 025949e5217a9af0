"""Every access is inside its buffer, and two programs that race are found."""

# ruff: noqa: ANN001, ANN201, N803 - kernels are written in Triton's own idiom

from typing import Any

import numpy as np
import pytest
import triton
import triton.language as tl

from kernelgate.interpreter.findings import MAX_OF_A_KIND, Finding
from kernelgate.interpreter.launch import Pointer
from kernelgate.interpreter.memory import buffer as buffer_module
from kernelgate.interpreter.memory.buffer import ADDRESS_BITS, PAGE_BYTES, Buffer, poison
from kernelgate.interpreter.memory.memory import Memory
from tests.selftest.interpreter.compiled import Typed, parse_kernel, run, run_launch


@triton.jit
def copy(a, out, step, shift, count, BLOCK: tl.constexpr):
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(a + place, mask=place < count, other=0)
    tl.store(out + place * step + shift, x, mask=place < count)


def copied(
    grid: int = 4, step: int = 1, shift: int = 0, count: int = 32, **options: Any
) -> tuple[Finding, ...]:
    given = {"a": np.arange(32.0, dtype=np.float32), "out": np.zeros(32, np.float32), "step": step}
    given |= {"shift": shift, "count": count}
    return run(copy, (grid,), given, {"BLOCK": 8}, **options).findings


def test_a_right_copy_shows_nothing() -> None:
    assert copied() == ()


@pytest.mark.parametrize("chunk", [1, 3, None])
@pytest.mark.parametrize(
    ("shift", "program", "offset", "edge"),
    [(1, (3, 0, 0), 128, "+0 bytes past the end"), (-1, (0, 0, 0), -4, "-4 bytes from the start"),
     (2**31 - 24, (0, 0, 0), 2**33 - 96, "past the end"), (-(2**31), (0, 0, 0), -(2**33), "from the start")],
)  # fmt: skip
def test_an_access_outside_is_found(
    shift: int, program: tuple[int, ...], offset: int, edge: str, chunk: int | None
) -> None:
    found = copied(shift=shift, chunk=chunk)[0]
    assert (found.kind, found.kernel, found.program) == ("outside", "copy", program)
    assert (found.buffer, found.offset) == ("out", offset)
    assert edge in found.text


def test_a_read_outside_gives_nan_and_is_found() -> None:
    out = np.zeros(40, np.float32)
    given = {"a": np.zeros(32, np.float32), "out": out, "step": 1, "shift": 0, "count": 40}
    (found,) = run(copy, (5,), given, {"BLOCK": 8}).findings
    assert (found.kind, found.program, found.buffer, found.offset) == ("outside", (4, 0, 0), "a", 128)
    assert np.isnan(out[32:]).all()
    assert not out[:32].any()


def test_masked_lanes_may_point_anywhere() -> None:
    assert copied(grid=1000) == ()


@pytest.mark.parametrize("chunk", [1, 2, None])
def test_programs_that_write_different_values_to_one_element(chunk: int | None) -> None:
    found = copied(step=0, chunk=chunk)
    assert {each.kind for each in found} == {"overwrites", "lanes-differ"}
    found = run_twice(chunk=chunk)
    assert {each.kind for each in found} == {"overwrites"}
    assert found[0].buffer == "out"
    assert {found[0].program, found[0].other} == {(0, 0, 0), (1, 0, 0)}


@triton.jit
def same_place(out, SAME: tl.constexpr):
    value = 1.0 if SAME else tl.program_id(0) + 1.0
    tl.store(out + tl.arange(0, 8), value + tl.zeros((8,), tl.float32))


def run_twice(same: bool = False, **options: Any) -> tuple[Finding, ...]:
    return run(same_place, (2,), {"out": np.zeros(8, np.float32)}, {"SAME": same}, **options).findings


@pytest.mark.parametrize("chunk", [1, 2])
def test_programs_that_write_the_same_values_are_told_apart(chunk: int) -> None:
    found = run_twice(same=True, chunk=chunk)
    assert {each.kind for each in found} == {"same-value"}


@triton.jit
def neighbours(a, SIZE: tl.constexpr):
    place = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    left = tl.load(a + place)
    right = tl.load(a + place + SIZE)
    tl.store(a + place, left + right)


@pytest.mark.parametrize(
    ("programs", "chunk", "kinds"),
    [
        (None, 4, {"writes-read"}),
        (None, 1, {"writes-read"}),
        ([(2, 0, 0), (1, 0, 0), (0, 0, 0)], 1, {"reads-written"}),
    ],
)
def test_what_another_program_reads_may_not_be_written(
    programs: list[tuple[int, int, int]] | None, chunk: int, kinds: set[str]
) -> None:
    a = np.arange(32.0, dtype=np.float32)
    found = run(neighbours, (3,), {"a": a}, {"SIZE": 8}, programs=programs, chunk=chunk).findings
    assert {each.kind for each in found} == kinds


@triton.jit
def in_place(a, SIZE: tl.constexpr):
    place = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    tl.store(a + place, tl.load(a + place) * 2)
    tl.store(a + place, tl.load(a + place) + 1)


def test_a_program_may_read_what_it_wrote_itself() -> None:
    a = np.arange(32.0, dtype=np.float32)
    assert run(in_place, (4,), {"a": a}, {"SIZE": 8}).findings == ()
    np.testing.assert_array_equal(a, np.arange(32) * 2 + 1)


def test_bytes_of_one_word_have_owners_of_their_own() -> None:
    given = {
        "a": np.arange(32, dtype=np.int8),
        "out": np.zeros(32, np.int8),
        "step": 1,
        "shift": 0,
        "count": 30,
    }
    assert run(copy, (32,), given, {"BLOCK": 1}).findings == ()
    np.testing.assert_array_equal(given["out"][:30], np.arange(30))


@triton.jit
def two_sizes(out):
    word = (out + 4).to(tl.pointer_type(tl.int32))
    if tl.program_id(0) == 0:
        tl.store(word, 5)
    else:
        tl.store(out + 6, 7)


def test_a_word_and_a_byte_in_it_meet() -> None:
    found = run(two_sizes, (2,), {"out": np.zeros(8, np.int8)}, chunk=1).findings
    assert [each.kind for each in found] == ["overwrites"]


@triton.jit
def odd_address(a, out):
    pointer = (a.to(tl.pointer_type(tl.int8)) + 2).to(tl.pointer_type(tl.int32))
    tl.store(out, tl.load(pointer))


def test_an_address_that_is_no_multiple_of_the_size() -> None:
    a, out = np.zeros(4, np.int32), np.zeros(1, np.int32)
    (found,) = run(odd_address, (1,), {"a": a, "out": out}).findings
    assert found.kind == "misaligned"
    assert out[0] == -1


@triton.jit
def by_number(a, out, address, n):
    number = a.to(tl.int64) + 4 * n
    tl.store(out, tl.load(number.to(tl.pointer_type(tl.float32))))
    tl.store(out + 1, ((a + n).to(tl.int64) == number).to(tl.float32))
    tl.store(out + 2, tl.load(address.to(tl.pointer_type(tl.float32))))


@pytest.mark.parametrize("address", [2**63 - 4, -(2**63), 0, 16, 1 << ADDRESS_BITS << 15])
def test_addresses_are_numbers(address: int) -> None:
    out = np.zeros(3, np.float32)
    given = {"a": np.arange(8, dtype=np.float32), "out": out, "address": Typed(address, "i64"), "n": 5}
    (found,) = run(by_number, (1,), given).findings
    assert out[:2].tolist() == [5, 1]
    assert np.isnan(out[2])
    assert found.kind == "outside"


@triton.jit
def undefined(a, out):
    place = tl.arange(0, 8)
    tl.store(out + place, tl.load(a + place, mask=place < 4))


def test_undefined_lanes_hold_poison() -> None:
    out = np.zeros(8, np.float32)
    run(undefined, (1,), {"a": np.ones(8, np.float32), "out": out})
    assert (out[:4] == 1).all()
    assert np.isnan(out[4:]).all()
    run(undefined, (1,), {"a": np.ones(8, np.float32), "out": out}, memory=Memory(undefined=0x3F000000))
    assert (out[4:] == 0.5).all()


def test_findings_of_a_kind_are_counted_and_the_first_kept() -> None:
    memory = Memory()
    copied(grid=4, shift=2**20, chunk=1, memory=memory)
    memory.buffers.clear()
    copied(grid=8, shift=2**20, chunk=1, memory=memory, programs=[(n % 4, 0, 0) for n in range(8)])
    assert len(memory.findings.found) == MAX_OF_A_KIND
    assert memory.findings.counts["outside"] == 12


class TestBuffer:
    def test_granules_are_filled_once_as_they_are_touched(self) -> None:
        memory, filled = Memory(), []

        def fill(granule: int, into: np.ndarray) -> None:
            filled.append((granule, into.size))
            into[:] = granule

        memory.add("x", 40, fill=fill, granule=16)
        assert memory.read("x", np.uint8, 17, 2).tolist() == [1, 1]
        assert memory.read("x", np.uint8).tolist() == [0] * 16 + [1] * 16 + [2] * 8
        assert filled == [(1, 16), (0, 16), (2, 8)]

    def test_of_a_long_stretch_only_what_is_touched_is_filled(self) -> None:
        memory, filled = Memory(), []
        memory.add("x", 2**32, fill=lambda granule, _: filled.append(granule), granule=2**20)
        memory.gather("x", np.float32, np.array([5, 2**29], np.int64))
        assert filled == [0, 2**11]

    def test_poison(self) -> None:
        memory = Memory()
        memory.add("x", 10_000, fill=poison(0x7FC00001))
        assert (memory.read("x", np.uint32) == 0x7FC00001).all()

    def test_a_part_of_a_word_that_is_written_leaves_poison_around_it(self) -> None:
        memory = Memory()
        memory.add("x", 16, fill=poison(0x01020304))
        memory.write("x", np.array([9], np.uint8), 5)
        assert memory.read("x", np.uint8).tolist() == [4, 3, 2, 1, 4, 9, 2, 1, 4, 3, 2, 1, 4, 3, 2, 1]

    def test_units_become_as_small_as_the_smallest_access(self) -> None:
        buffer = Buffer("x", 0, 16)
        buffer.note_in_units_of(8)
        buffer.writers[1] = 7
        buffer.note_in_units_of(4)
        assert buffer.writers.tolist() == [0, 0, 7, 7]
        buffer.note_in_units_of(8)
        assert buffer.unit == 4

    @pytest.mark.parametrize("size", [-1, 2**50])
    def test_a_size_that_has_no_place(self, size: int) -> None:
        with pytest.raises(ValueError, match="cannot be added"):
            Memory().add("x", size)

    def test_a_name_twice(self) -> None:
        memory = Memory()
        memory.add("x", 8)
        with pytest.raises(ValueError, match="cannot be added"):
            memory.add("x", 8)


def test_numbers_of_programs_begin_anew_before_they_run_out() -> None:
    memory = Memory()
    memory.add("x", 8)
    memory.buffers["x"].note_in_units_of(4)
    memory.begin_launch(2**32 - 100)
    memory.buffers["x"].writers[:] = 5
    memory.begin_launch(1000)
    assert memory.first_number == 1
    assert not memory.buffers["x"].writers.any()


@triton.jit
def turn(scratch, out, WAITS: tl.constexpr, TURNS: tl.constexpr, SIZE: tl.constexpr):
    row, column = tl.arange(0, SIZE)[:, None], tl.arange(0, SIZE)[None, :]
    here = tl.program_id(0) * SIZE * SIZE + row * SIZE + column
    tl.store(scratch + here, here.to(tl.float32))
    if WAITS:
        tl.debug_barrier()
    there = tl.trans(here) if TURNS else here
    tl.store(out + here, tl.load(scratch + there))


@pytest.mark.parametrize("chunk", [1, None])
@pytest.mark.parametrize(
    ("waits", "turns", "kinds"),
    [(False, True, {"no-barrier"}), (True, True, set()), (False, False, set())],
)
def test_what_other_threads_stored_needs_a_barrier(
    waits: bool, turns: bool, kinds: set[str], chunk: int | None
) -> None:
    scratch, out = np.zeros((3, 8, 8), np.float32), np.zeros((3, 8, 8), np.float32)
    constants = {"WAITS": waits, "TURNS": turns, "SIZE": 8}
    found = run(turn, (3,), {"scratch": scratch, "out": out}, constants, chunk=chunk).findings
    assert {each.kind for each in found} == kinds
    np.testing.assert_array_equal(out, scratch.transpose(0, 2, 1) if turns else scratch)


def test_several_readers_of_one_launch_are_forgotten_in_the_next() -> None:
    memory = Memory()
    module = parse_kernel(neighbours, {"a": np.zeros(8, np.float32)}, SIZE=8)
    memory.add("a", 4 * 64)
    given = [Pointer(buffer="a")]
    kinds = []
    for program in (range(3), range(1), range(1, 2)):
        places = [(each, 0, 0) for each in program]
        kinds.append(
            {f.kind for f in run_launch(module, "n", (3, 1, 1), given, memory, programs=places).findings}
        )
    assert kinds == [{"writes-read"}, set(), set()]


def test_a_short_stretch_is_filled_whole() -> None:
    """Also its last page, which is cut short."""
    size = 40 * PAGE_BYTES + 20
    buffer = Buffer("x", 0, size)
    buffer.data[:] = 0xAB
    buffer.fill_with(poison(0x01020304), PAGE_BYTES)
    buffer.settle(0, size - 1, np.array([0, size - 1]))
    assert (buffer.data[:size].view(np.uint32) == 0x01020304).all()


def test_a_long_stretch_is_filled_where_it_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Page by page, those between stay as they are."""
    monkeypatch.setattr(buffer_module, "FILLED_AT_ONCE", PAGE_BYTES)
    size = 40 * PAGE_BYTES + 20
    buffer = Buffer("x", 0, size)
    buffer.data[:] = 0xAB
    buffer.fill_with(poison(0x01020304), PAGE_BYTES)
    touched = np.array([23, 0, 40, 8, 7])
    buffer.settle(0, size - 1, touched * PAGE_BYTES)
    filled = np.resize(np.repeat(np.isin(np.arange(41), touched), PAGE_BYTES // 4), size // 4)
    assert ((buffer.data[:size].view(np.uint32) == 0x01020304) == filled).all()


def test_of_granules_that_are_made_only_those_touched_are() -> None:
    """However near each other they lie: a picture, or a row, takes its time to draw."""
    made: list[int] = []
    buffer = Buffer("x", 0, 40 * PAGE_BYTES)
    buffer.fill_with(lambda granule, _: made.append(granule), PAGE_BYTES)
    touched = np.array([23, 0, 39, 8, 7])
    buffer.settle(0, buffer.size - 1, touched * PAGE_BYTES)
    assert made == sorted(touched)


def test_stores_far_apart_are_noted_where_they_are() -> None:
    """And what a dense store wrote is noted as one stretch: its granules are those that hold it."""
    buffer = Buffer("x", 0, 100 * PAGE_BYTES)
    buffer.fill_with(poison(0), PAGE_BYTES)
    buffer.note_in_units_of(4)
    buffer.own(np.array([5, 60]) * PAGE_BYTES // 4, np.full(2, 7, np.uint32))
    assert np.flatnonzero(buffer.latest).tolist() == [5, 60]
    buffer.own(np.arange(3 * PAGE_BYTES // 4) + 70 * PAGE_BYTES // 4, 8)
    assert np.flatnonzero(buffer.latest).tolist() == [5, 60, 70, 71, 72]


def test_what_a_launch_wrote_is_looked_for_where_it_wrote() -> None:
    """Not in all that launches before it wrote: a file may make hundreds."""
    buffer = Buffer("x", 0, 100 * PAGE_BYTES)
    buffer.fill_with(poison(0), PAGE_BYTES)
    buffer.note_in_units_of(4)
    for launch in range(50):
        buffer.own(np.arange(4) + launch * PAGE_BYTES // 4, np.full(4, launch + 1, np.uint32))
    looked_through = [(starts.tolist(), owners.shape) for starts, owners in buffer._pieces(50) if owners.size]
    assert looked_through == [([49 * PAGE_BYTES // 4], (1, PAGE_BYTES // 4))]
    assert buffer.written_since(50).tolist() == [49 * PAGE_BYTES // 4 + unit for unit in range(4)]


@pytest.mark.parametrize("granule", [PAGE_BYTES, 1028, None])
@pytest.mark.parametrize("unit", [4, 8])
def test_what_was_written_is_told_wherever_it_lies(granule: int | None, unit: int) -> None:
    """In granules far apart, in the last one, which is cut short, and where units straddle two."""
    buffer = Buffer("x", 0, 10 * 8224 + 16)
    if granule is not None:
        buffer.fill_with(poison(0), granule)
    buffer.note_in_units_of(unit)
    written = np.array([0, 3, 1027, 5000, 5001, buffer.units - 1])
    buffer.own(written, np.array([3, 1, 3, 2, 3, 3], np.uint32))
    assert buffer.written_since(1).tolist() == written.tolist()
    assert buffer.written_since(3).tolist() == written[[0, 2, 4, 5]].tolist()
    assert [buffer.count_written_since(number) for number in (1, 2, 3, 4)] == [6, 5, 4, 0]
    assert buffer.count_by_writer(1, 4).tolist() == [1, 1, 4, 0]
    assert buffer.count_by_writer(2, 2).tolist() == [1, 4]
