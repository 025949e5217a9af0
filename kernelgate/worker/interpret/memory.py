"""The memory of interpreted programs: accesses are checked, what is lazy is filled, writes are noted.

A batch at the end of the domain has 4.4 GB of input and 8.6 GB of output. Neither is ever filled: an image of
x is made when a program reads it, poison is written where a program reads what nobody wrote, and pages that
nobody touches are never committed.
"""

import ctypes
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kernelgate.execution.sampling import Program, are_far_apart

Addresses = NDArray[np.uint64]
Flags = NDArray[np.bool_]

WORD_BYTES = 4
MAX_FOUND = 8
MAX_FILLED_BYTES = 2**30
"""What is lazy and larger than this is not filled for an operation that would read all of it."""


class TooLargeError(Exception):
    """An operation would read all of a tensor that is too large to be filled here."""


class Region:
    """One storage: where it lies, who wrote which word of it, and how words are filled that nobody wrote.

    `writers` holds for each 4-byte word the number of the program that wrote it last, 0 for none.
    """

    def __init__(
        self, tensor: torch.Tensor, fill: Callable[["Region", NDArray[np.int64]], None] | None
    ) -> None:
        storage = tensor.untyped_storage()
        self.keep_alive = tensor
        self.start, self.size = storage.data_ptr(), storage.nbytes()
        words = ctypes.c_uint32 * (self.size // WORD_BYTES)
        self.words = (
            np.ctypeslib.as_array(words.from_address(self.start)) if self.size else np.empty(0, np.uint32)
        )
        # Zeros of this size cost address space only, until a word of theirs is set.
        self.writers = np.zeros(len(self.words) + 1, dtype=np.uint32)
        self.settled = np.zeros(len(self.words) + 1, dtype=np.bool_) if fill else None
        self.fill = fill
        self.log: list[tuple[int, NDArray[np.int64]]] = []
        self.wrote = 0
        self.readers: set[int] = set()

    def settle(self, words: NDArray[np.int64]) -> None:
        """Fill those of the words that hold nothing yet."""
        if self.settled is not None and self.fill is not None:
            missing = words[~self.settled[words]]
            missing = missing[missing < len(self.words)]  # a tail shorter than a word is never filled
            if missing.size:
                self.fill(self, np.unique(missing))

    def settle_all(self) -> None:
        """Fill every word that holds nothing yet; raises TooLargeError."""
        if self.settled is None:
            return
        if self.size > MAX_FILLED_BYTES:
            raise TooLargeError(f"an operation of PyTorch reads all {self.size / 2**30:.1f} GiB of a tensor")
        missing = np.flatnonzero(~self.settled[: len(self.words)])
        if missing.size and self.fill is not None:
            self.fill(self, missing)  # in order and each once already: sorting millions of them takes seconds
        self.settled = None

    def written(self) -> NDArray[np.int64]:
        """Return the words that programs wrote, in order."""
        words = [words for _, words in self.log]
        return np.unique(np.concatenate(words)) if words else np.empty(0, dtype=np.int64)


class Memory:
    """Stands in for the interpreter's own access functions; `inner` are those."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.begin_call()

    def begin_call(self) -> None:
        """Forget the regions and findings of the last call."""
        self.regions: dict[int, Region] = {}
        self.found: list[str] = []
        self.program = self.launch = self.first_program = 0
        self.kernel = ""
        self.places: list[Program] = [(0, 0, 0)]
        self._reachable: list[Region] = []

    def region_of(self, tensor: torch.Tensor) -> Region:
        """Return the region of a tensor's storage, a plain one if it was not known."""
        start = tensor.untyped_storage().data_ptr()
        if start not in self.regions:
            self.regions[start] = Region(tensor, None)
        return self.regions[start]

    def add(self, tensor: torch.Tensor, fill: Callable[[Region, NDArray[np.int64]], None] | None) -> Region:
        """Return the region of a tensor that is filled word by word as it is read."""
        region = Region(tensor, fill)
        self.regions[region.start] = region
        return region

    def settle(self, tensor: torch.Tensor) -> None:
        """Fill what an operation of PyTorch is about to read."""
        region = self.regions.get(tensor.untyped_storage().data_ptr())
        if region is not None:
            region.settle_all()

    def begin_launch(self, kernel: str, tensors: Iterable[torch.Tensor]) -> None:
        """Let programs reach these tensors' storages and nothing else."""
        self.kernel, self.launch = kernel, self.launch + 1
        self.first_program = len(self.places)
        self._reachable = sorted(
            {id(r): r for r in map(self.region_of, tensors)}.values(), key=lambda r: r.start
        )

    def end_launch(self) -> tuple[list[Region], list[Region]]:
        """Return the regions that the launch wrote, and those that it read."""
        return self.written_by_launch(), [
            region for region in self._reachable if self.launch in region.readers
        ]

    def written_by_launch(self) -> list[Region]:
        """Return the regions that the launch has written so far."""
        return [region for region in self._reachable if region.wrote == self.launch]

    def begin_program(self, place: Program) -> None:
        """Take the accesses that follow for those of this program."""
        self.program = len(self.places)
        self.places.append(place)

    def writes(self, region: Region) -> dict[Program, NDArray[np.int64]]:
        """Return the words that each program of the last launch wrote."""
        found: dict[Program, list[NDArray[np.int64]]] = {}
        for program, words in region.log:
            if program >= self.first_program:
                found.setdefault(self.places[program], []).append(words)
        return {place: np.concatenate(words) for place, words in found.items()}

    def load(self, pointers: Addresses, mask: Flags, other: Any, dtype: Any) -> Any:
        """Return what the programs may read; NaN bits where they may not."""
        mask = _as_flags(mask)
        outside = self._visit(pointers, mask, np.dtype(dtype).itemsize, "read", self._prepare_read)
        if outside is None:
            return self.inner.load(pointers, mask, other, dtype)
        values = self.inner.load(pointers, mask & ~outside, other, dtype)
        values[outside] = np.full(1, 0xFF, np.uint8).repeat(values.itemsize).view(values.dtype)[0]
        return values

    def store(self, pointers: Addresses, value: Any, mask: Flags) -> None:
        """Store what the programs may write."""
        mask = _as_flags(mask)
        # Of a word that is written in part, the rest must hold what unwritten memory holds.
        prepare = Region.settle if value.itemsize < WORD_BYTES else lambda *_: None
        outside = self._visit(pointers, mask, value.itemsize, "wrote", prepare)
        allowed = mask if outside is None else mask & ~outside
        self._note_writes(pointers, value, allowed)
        self.inner.store(pointers, value, allowed)

    def atomic_rmw(self, operation: Any, pointers: Addresses, value: Any, mask: Flags, order: Any) -> Any:
        """Do an atomic operation where the programs may write; the order of programs decides no bits here."""
        mask = _as_flags(mask)
        outside = self._visit(pointers, mask, value.itemsize, "wrote", self._prepare_read)
        allowed = mask if outside is None else mask & ~outside
        self._note_writes(pointers, value, allowed, atomic=True)
        return self.inner.atomic_rmw(operation, pointers, value, allowed, order)

    def atomic_cas(self, pointers: Addresses, expected: Any, value: Any, order: Any) -> Any:
        """Do a compare-and-swap where the programs may write."""
        everywhere = np.ones(pointers.shape, dtype=np.bool_)
        if self._visit(pointers, everywhere, value.itemsize, "wrote", self._prepare_read) is not None:
            return expected
        self._note_writes(pointers, value, everywhere, atomic=True)
        return self.inner.atomic_cas(pointers, expected, value, order)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def _visit(
        self, pointers: Addresses, mask: Flags, size: int, verb: str, prepare: Callable[[Region, Any], None]
    ) -> Flags | None:
        """Prepare each region that is accessed; return which accesses are outside all, None if none."""
        active = pointers[mask]
        if not active.size:
            return None
        for region, words in self._split(active, size):
            prepare(region, words)
        low, high = int(active.min()), int(active.max()) + size
        if any(r.start <= low and high <= r.start + r.size for r in self._reachable):
            return None
        outside = mask & ~self._inside(pointers, size)
        if not outside.any():
            return None
        self._find_outside(pointers[outside], size, verb)
        return outside

    def _split(self, active: Addresses, size: int) -> Iterable[tuple[Region, NDArray[np.int64]]]:
        for region in self._reachable:
            within = (active >= region.start) & (active + np.uint64(size) <= region.start + region.size)
            if within.any():
                words = ((active[within] - np.uint64(region.start)) // WORD_BYTES).astype(np.int64)
                parts = [words + part for part in range(1, size // WORD_BYTES)]
                yield region, np.concatenate([words, *parts]) if parts else words

    def _inside(self, pointers: Addresses, size: int) -> Flags:
        inside = np.zeros(pointers.shape, dtype=np.bool_)
        for region in self._reachable:
            end = np.uint64(region.start + region.size)
            inside |= (pointers >= np.uint64(region.start)) & (pointers + np.uint64(size) <= end)
        return inside

    def _prepare_read(self, region: Region, words: NDArray[np.int64]) -> None:
        region.readers.add(self.launch)
        region.settle(words)

    def _note_writes(self, pointers: Addresses, value: Any, mask: Flags, *, atomic: bool = False) -> None:
        active = pointers[mask]
        if not active.size:
            return
        for region, words in self._split(active, value.itemsize):
            if not atomic and value.itemsize == WORD_BYTES and words.size == active.size:
                self._check_race(region, words, np.broadcast_to(value, pointers.shape)[mask].view(np.uint32))
            region.writers[words] = self.program
            region.log.append((self.program, words))
            region.wrote = self.launch
            if region.settled is not None:
                region.settled[words] = True

    def _check_race(self, region: Region, words: NDArray[np.int64], bits: NDArray[np.uint32]) -> None:
        before = region.writers[words]
        others = (before >= self.first_program) & (before != self.program)
        if not others.any():
            return
        if (region.words[words[others]] != bits[others]).any():
            self._find(
                f"{self._who()} wrote other values where another program of the same launch had written"
            )
        for other in map(int, np.unique(before[others])):
            if are_far_apart(self.places[other], self.places[self.program]):
                self._find(f"{self._who()} and program {self.places[other]} wrote the same elements")

    def _find_outside(self, addresses: Addresses, size: int, verb: str) -> None:
        worst = int(addresses.min())
        nearest = min(
            self._reachable, key=lambda r: max(r.start - worst, worst - r.start - r.size), default=None
        )
        if nearest is None:
            self._find(f"{self._who()} {verb} memory of no tensor")
            return
        distance = worst - (nearest.start + nearest.size) if worst >= nearest.start else worst - nearest.start
        edge = "past the end" if worst >= nearest.start else "from the start"
        place = f"at {distance:+d} bytes {edge} of a tensor of {nearest.size} bytes"
        self._find(f"{self._who()} {verb} {addresses.size} x {size} bytes outside its tensors, first {place}")

    def _who(self) -> str:
        return f"program {self.places[self.program]} of {self.kernel}"

    def _find(self, what: str) -> None:
        if len(self.found) < MAX_FOUND:
            self.found.append(what)


def _as_flags(mask: NDArray[Any]) -> Flags:
    """Return a mask as booleans: the interpreter's may hold numbers, by which NumPy would choose elements.

    A tensor descriptor's comes as a bare buffer from Triton 3.7.
    """
    return np.asarray(mask).astype(np.bool_, copy=False)
