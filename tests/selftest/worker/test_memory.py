"""The memory of interpreted programs: what they may reach, what is filled as it is read, who wrote what."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from kernelgate.worker.interpret import memory as memory_module
from kernelgate.worker.interpret.memory import MAX_FOUND, Memory, Region, TooLargeError
from kernelgate.worker.interpret.sampling import NEIGHBOURS, Program
from tests.selftest.support.host_memory import HostMemory

FIRST, SECOND, FAR = (0, 0, 0), (1, 0, 0), (NEIGHBOURS + 1, 0, 0)
FILLED = 7.0


class Bench:
    """Ten elements between two others that belong to nobody, and programs that reach for them."""

    def __init__(self) -> None:
        self.host = HostMemory()
        self.memory = Memory(self.host)
        self.whole = np.arange(12, dtype=np.float32)
        self.tensor = torch.from_numpy(self.whole[1:11])
        self.filled: list[int] = []

    def launch(self, *tensors: torch.Tensor) -> None:
        """Begin a launch on these tensors, on the ten elements if none is named."""
        self.memory.begin_launch("kernel", tensors or (self.tensor,))
        self.memory.begin_program(FIRST)

    def make_lazy(self, tensor: torch.Tensor | None = None) -> Region:
        """Have words filled with a value as they are read."""

        def fill(region: Region, words: NDArray[np.int64]) -> None:
            self.filled += words.tolist()
            region.words[words] = np.float32(FILLED).view(np.uint32)
            if region.settled is not None:
                region.settled[words] = True

        return self.memory.add(self.tensor if tensor is None else tensor, fill)

    def at(self, *places: int, tensor: torch.Tensor | None = None) -> NDArray[np.uint64]:
        """Return the addresses of elements, which may lie outside."""
        of = self.tensor if tensor is None else tensor
        return np.array([of.data_ptr() + place * of.element_size() for place in places], dtype=np.uint64)

    def read(self, *places: int, mask: list[bool] | None = None, dtype: Any = np.float32) -> list[Any]:
        """Return what a program gets that loads these elements, -1 where the mask says no."""
        allowed = np.array([True] * len(places) if mask is None else mask)
        other = np.full(len(places), -1, dtype=dtype)
        return list(self.memory.load(self.at(*places), allowed, other, dtype))

    def write(self, values: dict[int, float], program: Program = FIRST) -> None:
        """Let a program store these values."""
        self.memory.begin_program(program)
        stored = np.array(list(values.values()), dtype=np.float32)
        self.memory.store(self.at(*values), stored, np.ones(len(values), dtype=np.bool_))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_what_lies_inside_is_read_and_written(bench: Bench) -> None:
    """From the first element to the last, with nothing found."""
    bench.launch()
    assert bench.read(0, 9) == [1.0, 10.0]
    bench.write({0: 20.0, 9: 30.0})
    assert bench.whole.tolist() == [0.0, 20.0, *range(2, 10), 30.0, 11.0]
    assert bench.memory.found == []


@pytest.mark.parametrize(("place", "edge"), [(-1, "-4 bytes from the start"), (10, "+0 bytes past the end")])
def test_an_access_outside_is_found_and_kept_out(bench: Bench, place: int, edge: str) -> None:
    """Where it lies is said; a read gives NaN, and a write changes nothing."""
    bench.launch()
    inside, outside = bench.read(3, place)
    assert (inside, np.isnan(outside)) == (4.0, True)
    bench.write({3: 40.0, place: 50.0})
    assert bench.whole.tolist() == [0, 1, 2, 3, 40, *range(5, 12)]
    assert int(bench.at(place)[0]) not in bench.host.touched
    read, wrote = bench.memory.found
    assert f"{FIRST} of kernel read 1 x 4 bytes outside its tensors" in read
    assert f"{FIRST} of kernel wrote 1 x 4 bytes outside its tensors" in wrote
    assert edge in read
    assert edge in wrote


def test_an_access_that_only_begins_inside_is_outside(bench: Bench) -> None:
    """Its last bytes count, and nothing is filled for it."""
    bench.make_lazy()
    bench.launch()
    bench.memory.load(bench.at(9), np.ones(1, np.bool_), np.zeros(1), np.float64)
    assert len(bench.memory.found) == 1
    assert not bench.host.touched
    assert not bench.filled


def test_what_a_mask_keeps_out_is_no_access(bench: Bench) -> None:
    """As on a GPU, the address does not matter then."""
    bench.launch()
    assert bench.read(2, 10_000, mask=[True, False]) == [3.0, -1.0]
    assert bench.memory.found == []


@pytest.mark.parametrize("dtype", [np.bool_, np.int8, np.int32, np.int64])
def test_a_mask_of_numbers_is_a_mask(bench: Bench, dtype: Any) -> None:
    """The interpreter makes one where a scalar condition and a vector of them are joined."""
    region = bench.make_lazy()
    bench.launch()
    at, mask = bench.at(-1, 0, 3, 99), np.array([0, 1, 1, 0], dtype=dtype)
    loaded = bench.memory.load(at, mask, np.zeros(4, dtype=np.float32), np.float32)
    assert list(loaded) == [0, FILLED, FILLED, 0]
    bench.memory.store(at, np.full(4, 5.0, dtype=np.float32), mask)
    bench.memory.atomic_rmw("add", at, np.ones(4, dtype=np.float32), mask, "relaxed")
    assert bench.memory.found == []
    wrote, read = bench.memory.end_launch()
    assert wrote == read == [region]
    assert sorted(bench.memory.writes(region)[FIRST]) == [0, 0, 3, 3]


def test_a_tensor_of_the_call_that_the_launch_was_not_given_is_outside(bench: Bench) -> None:
    """A kernel that finds its way there was lucky."""
    other = torch.ones(4)
    bench.make_lazy(other)
    bench.launch()
    address = bench.at(0, tensor=other)
    bench.memory.load(address, np.ones(1, np.bool_), np.zeros(1, np.float32), np.float32)
    assert len(bench.memory.found) == 1
    assert int(address[0]) not in bench.host.touched


def test_atomic_operations_outside_are_found_and_kept_out(bench: Bench) -> None:
    """Adding as well as comparing and swapping; inside they work."""
    bench.launch()
    everywhere, one = np.ones(2, np.bool_), np.ones(2, np.float32)
    bench.memory.atomic_rmw("add", bench.at(0, 10), one, everywhere, None)
    bench.memory.atomic_cas(bench.at(10), np.full(1, 11, np.float32), one[:1], None)
    bench.memory.atomic_cas(bench.at(1), np.full(1, 2, np.float32), one[:1], None)
    assert bench.whole[[1, 2, 11]].tolist() == [2.0, 1.0, 11.0]
    assert len(bench.memory.found) == 2


def test_the_list_of_what_was_found_ends(bench: Bench) -> None:
    """A kernel that is wrong everywhere does not send a book."""
    bench.launch()
    for place in range(10, 100):
        bench.read(place)
    assert len(bench.memory.found) == MAX_FOUND


def test_lazy_memory_is_filled_once_and_only_where_it_is_read(bench: Bench) -> None:
    """And never over what a program wrote."""
    bench.make_lazy()
    bench.launch()
    assert bench.read(3, 5, 3) == [FILLED] * 3
    assert bench.read(5, 6) == [FILLED] * 2
    bench.write({7: 70.0})
    assert bench.read(7) == [70.0]
    assert sorted(bench.filled) == [3, 5, 6]
    assert bench.whole[1:5].tolist() == [1.0, 2.0, 3.0, FILLED]


def test_an_operation_that_reads_all_finds_all_filled(bench: Bench) -> None:
    """Once, and but for what a program wrote."""
    bench.make_lazy()
    bench.launch()
    bench.write({7: 70.0})
    for _ in range(2):
        bench.memory.settle(bench.tensor[2:])
    assert bench.tensor.tolist() == [FILLED] * 7 + [70.0] + [FILLED] * 2
    assert sorted(bench.filled) == [0, 1, 2, 3, 4, 5, 6, 8, 9]


def test_what_is_too_large_is_not_filled_for_an_operation(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so; a program may still read its few words."""
    monkeypatch.setattr(memory_module, "MAX_FILLED_BYTES", 39)
    bench.make_lazy()
    with pytest.raises(TooLargeError, match="GiB"):
        bench.memory.settle(bench.tensor)
    bench.launch()
    assert bench.read(0) == [FILLED]


@pytest.mark.parametrize("dtype", [np.float64, np.int64], ids=str)
def test_elements_of_two_words_are_filled_and_kept_whole(bench: Bench, dtype: Any) -> None:
    """Neither half of what was written is filled later, and both halves of what was not."""
    tensor = torch.from_numpy(np.zeros(4, dtype=dtype))
    bench.make_lazy(tensor)
    bench.launch(tensor)
    everywhere = np.ones(1, np.bool_)
    bench.memory.store(bench.at(1, tensor=tensor), np.full(1, 12345.0, dtype), everywhere)
    bench.memory.load(bench.at(2, tensor=tensor), everywhere, np.zeros(1, dtype), dtype)
    assert sorted(bench.filled) == [4, 5]
    bench.memory.settle(tensor)
    assert tensor[1] == 12345


def test_half_a_word_that_was_not_written_is_filled_too(bench: Bench) -> None:
    """Its other half, which was, stays."""
    tensor = torch.from_numpy(np.zeros(4, dtype=np.float16))
    bench.make_lazy(tensor)
    bench.launch(tensor)
    bench.memory.store(bench.at(2, tensor=tensor), np.full(1, 3, np.float16), np.ones(1, np.bool_))
    bench.memory.settle(tensor)
    filled = np.full(2, FILLED, np.float32).view(np.float16)
    assert tensor.tolist() == [*filled[:2], 3.0, filled[3]]


def test_a_tensor_that_ends_within_a_word_can_be_read_to_its_end(bench: Bench) -> None:
    """Nothing is filled beyond it."""
    tensor = torch.from_numpy(np.zeros(5, dtype=np.int8))
    bench.make_lazy(tensor)
    bench.launch(tensor)
    read = bench.memory.load(bench.at(4, tensor=tensor), np.ones(1, np.bool_), np.ones(1, np.int8), np.int8)
    assert read.tolist() == [0]
    assert bench.memory.found == []


def test_a_race_between_programs_is_found(bench: Bench) -> None:
    """Two programs of one launch that store different values in one place."""
    bench.launch()
    bench.write({2: 1.0, 3: 2.0})
    bench.write({3: 3.0, 4: 4.0}, SECOND)
    (found,) = bench.memory.found
    assert f"{SECOND} of kernel wrote other values" in found


def test_the_same_values_are_no_race(bench: Bench) -> None:
    """Neighbours whose tiles overlap may both write what is right there."""
    bench.launch()
    bench.write({2: 1.0, 3: 2.0})
    bench.write({3: 2.0, 4: 4.0}, SECOND)
    assert bench.memory.found == []


def test_the_same_values_of_programs_far_apart_are_found(bench: Bench) -> None:
    """They do each other's work, so that some place is left out."""
    bench.launch()
    bench.write({3: 2.0})
    bench.write({3: 2.0}, FAR)
    (found,) = bench.memory.found
    assert f"program {FAR} of kernel and program {FIRST} wrote the same elements" in found


def test_one_program_and_one_launch_may_write_twice(bench: Bench) -> None:
    """What comes later in order is no race."""
    bench.launch()
    bench.memory.store(bench.at(3), np.full(1, 1, np.float32), np.ones(1, np.bool_))
    bench.memory.store(bench.at(3), np.full(1, 2, np.float32), np.ones(1, np.bool_))
    bench.launch()
    bench.write({3: 3.0}, FAR)
    assert bench.memory.found == []


def test_atomic_sums_of_programs_are_no_race(bench: Bench) -> None:
    """That is what they are for."""
    bench.launch()
    for program in (FIRST, SECOND, FAR):
        bench.memory.begin_program(program)
        bench.memory.atomic_rmw("add", bench.at(0), np.ones(1, np.float32), np.ones(1, np.bool_), None)
    assert bench.whole[1] == 4.0
    assert bench.memory.found == []


def test_who_read_and_wrote_is_known_at_the_end_of_a_launch(bench: Bench) -> None:
    """Launch by launch, and of the writes program by program."""
    other = torch.zeros(4)
    bench.launch(bench.tensor, other)
    bench.read(1)
    bench.memory.store(bench.at(2, tensor=other), np.ones(1, np.float32), np.ones(1, np.bool_))
    source, target = bench.memory.region_of(bench.tensor), bench.memory.region_of(other)
    assert bench.memory.end_launch() == ([target], [source])
    bench.launch()
    bench.write({5: 1.0, 6: 1.0})
    bench.write({1: 1.0, 2: 1.0}, SECOND)
    assert bench.memory.end_launch() == ([source], [])
    writes = {program: words.tolist() for program, words in bench.memory.writes(source).items()}
    assert writes == {FIRST: [5, 6], SECOND: [1, 2]}
    bench.launch()
    bench.write({8: 1.0}, SECOND)
    assert list(bench.memory.writes(source)) == [SECOND]
    assert source.written().tolist() == [1, 2, 5, 6, 8]


def test_a_new_call_knows_nothing_of_the_last(bench: Bench) -> None:
    """Neither its findings nor its tensors."""
    bench.launch()
    bench.write({10: 1.0})
    before = bench.memory.region_of(bench.tensor)
    bench.memory.begin_call()
    assert bench.memory.found == []
    assert bench.memory.region_of(bench.tensor) is not before
