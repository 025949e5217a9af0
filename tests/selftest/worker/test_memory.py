"""The memory of interpreted programs: what they may reach, what is filled as it is read, who wrote what."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from kernelgate.execution.sampling import NEIGHBOURS, Program
from kernelgate.worker.interpret import memory as memory_module
from kernelgate.worker.interpret.memory import MAX_FOUND, Memory, Region, TooLargeError
from tests.selftest.support.host_memory import HostMemory

FIRST, SECOND, FAR = (0, 0, 0), (1, 0, 0), (NEIGHBOURS + 1, 0, 0)
FILLED = 7.0


class WatchedMemory:
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
def watched() -> WatchedMemory:
    return WatchedMemory()


def test_what_lies_inside_is_read_and_written(watched: WatchedMemory) -> None:
    """From the first element to the last, with nothing found."""
    watched.launch()
    assert watched.read(0, 9) == [1.0, 10.0]
    watched.write({0: 20.0, 9: 30.0})
    assert watched.whole.tolist() == [0.0, 20.0, *range(2, 10), 30.0, 11.0]
    assert watched.memory.found == []


@pytest.mark.parametrize(("place", "edge"), [(-1, "-4 bytes from the start"), (10, "+0 bytes past the end")])
def test_an_access_outside_is_found_and_kept_out(watched: WatchedMemory, place: int, edge: str) -> None:
    """Where it lies is said; a read gives NaN, and a write changes nothing."""
    watched.launch()
    inside, outside = watched.read(3, place)
    assert (inside, np.isnan(outside)) == (4.0, True)
    watched.write({3: 40.0, place: 50.0})
    assert watched.whole.tolist() == [0, 1, 2, 3, 40, *range(5, 12)]
    assert int(watched.at(place)[0]) not in watched.host.touched
    read, wrote = watched.memory.found
    assert f"{FIRST} of kernel read 1 x 4 bytes outside its tensors" in read
    assert f"{FIRST} of kernel wrote 1 x 4 bytes outside its tensors" in wrote
    assert edge in read
    assert edge in wrote


def test_an_access_that_only_begins_inside_is_outside(watched: WatchedMemory) -> None:
    """Its last bytes count, and nothing is filled for it."""
    watched.make_lazy()
    watched.launch()
    watched.memory.load(watched.at(9), np.ones(1, np.bool_), np.zeros(1), np.float64)
    assert len(watched.memory.found) == 1
    assert not watched.host.touched
    assert not watched.filled


def test_what_a_mask_keeps_out_is_no_access(watched: WatchedMemory) -> None:
    """As on a GPU, the address does not matter then."""
    watched.launch()
    assert watched.read(2, 10_000, mask=[True, False]) == [3.0, -1.0]
    assert watched.memory.found == []


@pytest.mark.parametrize("dtype", [np.bool_, np.int8, np.int32, np.int64])
def test_a_mask_of_numbers_is_a_mask(watched: WatchedMemory, dtype: Any) -> None:
    """The interpreter makes one where a scalar condition and a vector of them are joined."""
    region = watched.make_lazy()
    watched.launch()
    at, mask = watched.at(-1, 0, 3, 99), np.array([0, 1, 1, 0], dtype=dtype)
    loaded = watched.memory.load(at, mask, np.zeros(4, dtype=np.float32), np.float32)
    assert list(loaded) == [0, FILLED, FILLED, 0]
    watched.memory.store(at, np.full(4, 5.0, dtype=np.float32), mask)
    watched.memory.atomic_rmw("add", at, np.ones(4, dtype=np.float32), mask, "relaxed")
    assert watched.memory.found == []
    wrote, read = watched.memory.end_launch()
    assert wrote == read == [region]
    assert sorted(watched.memory.writes(region)[FIRST]) == [0, 0, 3, 3]


def test_a_tensor_of_the_call_that_the_launch_was_not_given_is_outside(watched: WatchedMemory) -> None:
    """A kernel that finds its way there was lucky."""
    other = torch.ones(4)
    watched.make_lazy(other)
    watched.launch()
    address = watched.at(0, tensor=other)
    watched.memory.load(address, np.ones(1, np.bool_), np.zeros(1, np.float32), np.float32)
    assert len(watched.memory.found) == 1
    assert int(address[0]) not in watched.host.touched


def test_atomic_operations_outside_are_found_and_kept_out(watched: WatchedMemory) -> None:
    """Adding as well as comparing and swapping; inside they work."""
    watched.launch()
    everywhere, one = np.ones(2, np.bool_), np.ones(2, np.float32)
    watched.memory.atomic_rmw("add", watched.at(0, 10), one, everywhere, None)
    watched.memory.atomic_cas(watched.at(10), np.full(1, 11, np.float32), one[:1], None)
    watched.memory.atomic_cas(watched.at(1), np.full(1, 2, np.float32), one[:1], None)
    assert watched.whole[[1, 2, 11]].tolist() == [2.0, 1.0, 11.0]
    assert len(watched.memory.found) == 2


def test_the_list_of_what_was_found_ends(watched: WatchedMemory) -> None:
    """A kernel that is wrong everywhere does not send a book."""
    watched.launch()
    for place in range(10, 100):
        watched.read(place)
    assert len(watched.memory.found) == MAX_FOUND


def test_lazy_memory_is_filled_once_and_only_where_it_is_read(watched: WatchedMemory) -> None:
    """And never over what a program wrote."""
    watched.make_lazy()
    watched.launch()
    assert watched.read(3, 5, 3) == [FILLED] * 3
    assert watched.read(5, 6) == [FILLED] * 2
    watched.write({7: 70.0})
    assert watched.read(7) == [70.0]
    assert sorted(watched.filled) == [3, 5, 6]
    assert watched.whole[1:5].tolist() == [1.0, 2.0, 3.0, FILLED]


def test_an_operation_that_reads_all_finds_all_filled(watched: WatchedMemory) -> None:
    """Once, and but for what a program wrote."""
    watched.make_lazy()
    watched.launch()
    watched.write({7: 70.0})
    for _ in range(2):
        watched.memory.settle(watched.tensor[2:])
    assert watched.tensor.tolist() == [FILLED] * 7 + [70.0] + [FILLED] * 2
    assert sorted(watched.filled) == [0, 1, 2, 3, 4, 5, 6, 8, 9]


def test_what_is_too_large_is_not_filled_for_an_operation(
    watched: WatchedMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so; a program may still read its few words."""
    monkeypatch.setattr(memory_module, "MAX_FILLED_BYTES", 39)
    watched.make_lazy()
    with pytest.raises(TooLargeError, match="GiB"):
        watched.memory.settle(watched.tensor)
    watched.launch()
    assert watched.read(0) == [FILLED]


@pytest.mark.parametrize("dtype", [np.float64, np.int64], ids=str)
def test_elements_of_two_words_are_filled_and_kept_whole(watched: WatchedMemory, dtype: Any) -> None:
    """Neither half of what was written is filled later, and both halves of what was not."""
    tensor = torch.from_numpy(np.zeros(4, dtype=dtype))
    watched.make_lazy(tensor)
    watched.launch(tensor)
    everywhere = np.ones(1, np.bool_)
    watched.memory.store(watched.at(1, tensor=tensor), np.full(1, 12345.0, dtype), everywhere)
    watched.memory.load(watched.at(2, tensor=tensor), everywhere, np.zeros(1, dtype), dtype)
    assert sorted(watched.filled) == [4, 5]
    watched.memory.settle(tensor)
    assert tensor[1] == 12345


def test_half_a_word_that_was_not_written_is_filled_too(watched: WatchedMemory) -> None:
    """Its other half, which was, stays."""
    tensor = torch.from_numpy(np.zeros(4, dtype=np.float16))
    watched.make_lazy(tensor)
    watched.launch(tensor)
    watched.memory.store(watched.at(2, tensor=tensor), np.full(1, 3, np.float16), np.ones(1, np.bool_))
    watched.memory.settle(tensor)
    filled = np.full(2, FILLED, np.float32).view(np.float16)
    assert tensor.tolist() == [*filled[:2], 3.0, filled[3]]


def test_a_tensor_that_ends_within_a_word_can_be_read_to_its_end(watched: WatchedMemory) -> None:
    """Nothing is filled beyond it."""
    tensor = torch.from_numpy(np.zeros(5, dtype=np.int8))
    watched.make_lazy(tensor)
    watched.launch(tensor)
    read = watched.memory.load(
        watched.at(4, tensor=tensor), np.ones(1, np.bool_), np.ones(1, np.int8), np.int8
    )
    assert read.tolist() == [0]
    assert watched.memory.found == []


def test_a_race_between_programs_is_found(watched: WatchedMemory) -> None:
    """Two programs of one launch that store different values in one place."""
    watched.launch()
    watched.write({2: 1.0, 3: 2.0})
    watched.write({3: 3.0, 4: 4.0}, SECOND)
    (found,) = watched.memory.found
    assert f"{SECOND} of kernel wrote other values" in found


def test_the_same_values_are_no_race(watched: WatchedMemory) -> None:
    """Neighbours whose tiles overlap may both write what is right there."""
    watched.launch()
    watched.write({2: 1.0, 3: 2.0})
    watched.write({3: 2.0, 4: 4.0}, SECOND)
    assert watched.memory.found == []


def test_the_same_values_of_programs_far_apart_are_found(watched: WatchedMemory) -> None:
    """They do each other's work, so that some place is left out."""
    watched.launch()
    watched.write({3: 2.0})
    watched.write({3: 2.0}, FAR)
    (found,) = watched.memory.found
    assert f"program {FAR} of kernel and program {FIRST} wrote the same elements" in found


def test_one_program_and_one_launch_may_write_twice(watched: WatchedMemory) -> None:
    """What comes later in order is no race."""
    watched.launch()
    watched.memory.store(watched.at(3), np.full(1, 1, np.float32), np.ones(1, np.bool_))
    watched.memory.store(watched.at(3), np.full(1, 2, np.float32), np.ones(1, np.bool_))
    watched.launch()
    watched.write({3: 3.0}, FAR)
    assert watched.memory.found == []


def test_atomic_sums_of_programs_are_no_race(watched: WatchedMemory) -> None:
    """That is what they are for."""
    watched.launch()
    for program in (FIRST, SECOND, FAR):
        watched.memory.begin_program(program)
        watched.memory.atomic_rmw("add", watched.at(0), np.ones(1, np.float32), np.ones(1, np.bool_), None)
    assert watched.whole[1] == 4.0
    assert watched.memory.found == []


def test_who_read_and_wrote_is_known_at_the_end_of_a_launch(watched: WatchedMemory) -> None:
    """Launch by launch, and of the writes program by program."""
    other = torch.zeros(4)
    watched.launch(watched.tensor, other)
    watched.read(1)
    watched.memory.store(watched.at(2, tensor=other), np.ones(1, np.float32), np.ones(1, np.bool_))
    source, target = watched.memory.region_of(watched.tensor), watched.memory.region_of(other)
    assert watched.memory.end_launch() == ([target], [source])
    watched.launch()
    watched.write({5: 1.0, 6: 1.0})
    watched.write({1: 1.0, 2: 1.0}, SECOND)
    assert watched.memory.end_launch() == ([source], [])
    writes = {program: words.tolist() for program, words in watched.memory.writes(source).items()}
    assert writes == {FIRST: [5, 6], SECOND: [1, 2]}
    watched.launch()
    watched.write({8: 1.0}, SECOND)
    assert list(watched.memory.writes(source)) == [SECOND]
    assert source.written().tolist() == [1, 2, 5, 6, 8]


def test_a_new_call_knows_nothing_of_the_last(watched: WatchedMemory) -> None:
    """Neither its findings nor its tensors."""
    watched.launch()
    watched.write({10: 1.0})
    before = watched.memory.region_of(watched.tensor)
    watched.memory.begin_call()
    assert watched.memory.found == []
    assert watched.memory.region_of(watched.tensor) is not before
