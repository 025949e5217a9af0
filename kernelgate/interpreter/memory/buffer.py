"""One buffer: bytes that are filled as they are touched, and who wrote them.

The largest batches have buffers of many GB. A granule of one is filled when a program first touches it; pages
that nobody touches are never committed.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int64]
Fill = Callable[[int, Bytes], None]
"""Gets the number of a granule and its bytes, and fills them."""

ADDRESS_BITS = 42
"""Buffers lie so far apart (4 TiB) that no offset in 32 bits leads from one to another."""

PAGE_BYTES = 4096
FILLED_AT_ONCE = 64 * 2**20
"""A stretch up to this size is filled whole, even if only parts of it are touched, where pages repeat."""

SPARSE = 8
"""Of a stretch over so many times as long as what is written there, granules are noted one by one."""

UNITS_AT_ONCE = 2**18
"""Looked through at once for who wrote them."""

FEW_GRANULES = 2
"""So many are filled without a look at which of them are touched."""


class Repeated:
    """Fills granules with the bytes of one page, again and again; many of them in one step."""

    def __init__(self, page: Bytes) -> None:
        self.page = page

    def __call__(self, _granule: int, into: Bytes) -> None:
        """Fill one granule."""
        into[:] = self.page[: into.size] if into.size <= PAGE_BYTES else np.resize(self.page, into.size)

    def fill_pages(self, data: Bytes, pages: NDArray[np.int64]) -> None:
        """Fill whole pages of the data, by their numbers."""
        whole = data[: data.size // PAGE_BYTES * PAGE_BYTES].view(np.uint64).reshape(-1, PAGE_BYTES // 8)
        first, last = int(pages[0]), int(pages[-1])
        if last - first + 1 == pages.size:
            whole[first : last + 1] = self.page.view(np.uint64)
        else:
            whole[pages] = self.page.view(np.uint64)


def poison(word: int) -> Repeated:
    """Return what fills memory with one 4-byte word again and again."""
    return Repeated(np.full(PAGE_BYTES // 4, word, np.uint32).view(np.uint8))


class Buffer:
    """Memory of one name at a made-up address.

    `unit` is the size in bytes of what one owner is noted for: `writers` has for each unit the number of the
    program that wrote it last, 0 for none; `latest` has the highest of those that wrote near each granule.
    Where a launch reads and writes, `readers` has that of the reader, `origins` the lane and the time of the
    last store.
    """

    def __init__(self, name: str, number: int, size: int) -> None:
        self.name, self.size = name, size
        self.base = (number + 1) << ADDRESS_BITS
        self.data: Bytes = np.empty(-(-size // 8) * 8, dtype=np.uint8)
        self.fill: Fill | None = None
        self.granule = PAGE_BYTES
        self.settled = np.zeros(0, dtype=np.bool_)
        self.latest = np.zeros(0, dtype=np.uint32)
        self.unit = 4
        self.writers = np.zeros(0, dtype=np.uint32)
        self.readers: NDArray[np.uint32] | None = None
        self.origins: NDArray[np.uint64] | None = None
        self._views: dict[str, NDArray[Any]] = {}

    @property
    def units(self) -> int:
        """How many units the buffer has."""
        return -(-self.size // self.unit)

    def view(self, size: int) -> NDArray[Any]:
        """Return the memory as unsigned integers of that many bytes."""
        kind = f"u{size}"
        if kind not in self._views:
            self._views[kind] = self.data[: self.data.size // size * size].view(kind)
        return self._views[kind]

    def fill_with(self, fill: Fill, granule: int) -> None:
        """Have each granule of so many bytes filled when it is first touched."""
        self.fill, self.granule = fill, granule
        self.settled = np.zeros(-(-self.size // granule), dtype=np.bool_)
        self.latest = np.zeros(self.settled.size, dtype=np.uint32)

    def refill(self, fill: Fill) -> None:
        """Have all of it filled anew, page by page, as a fill between launches does; nobody wrote it."""
        self.fill_with(fill, PAGE_BYTES)
        self.forget_owners()

    def settle(self, first: int, last: int, offsets: Offsets | None) -> None:
        """Fill what lies from `first` to `last`; of a long stretch only the granules of the offsets."""
        if self.fill is None:
            return
        low, high = first // self.granule, last // self.granule + 1
        if self.settled[low:high].all():
            return
        is_cheap = isinstance(self.fill, Repeated) and (high - low) * self.granule <= FILLED_AT_ONCE
        if offsets is None or is_cheap or high - low <= FEW_GRANULES:
            missing = low + np.flatnonzero(~self.settled[low:high])
        else:
            touched = offsets // self.granule
            missing = np.unique(touched[~self.settled[touched]])
        self._fill_granules(self.fill, missing)
        self.settled[missing] = True

    def _fill_granules(self, fill: Fill, missing: NDArray[np.int64]) -> None:
        """Fill granules, by their numbers in order."""
        if isinstance(fill, Repeated) and self.granule == PAGE_BYTES and missing.size:
            whole = missing if (int(missing[-1]) + 1) * PAGE_BYTES <= self.size else missing[:-1]
            if whole.size:
                fill.fill_pages(self.data, whole)
            missing = missing[whole.size :]
        for granule in map(int, missing):
            fill(granule, self.data[granule * self.granule : min(self.size, (granule + 1) * self.granule)])

    def own(self, units: NDArray[np.int64], owners: NDArray[np.uint32] | int) -> None:
        """Note programs as those that wrote these units last."""
        self.writers[units] = owners
        if self.fill is None or not units.size:
            return
        low = int(units.min()) * self.unit // self.granule
        high = (int(units.max()) * self.unit + self.unit - 1) // self.granule + 1
        is_dense = (high - low) * self.granule <= SPARSE * units.size * self.unit + PAGE_BYTES
        within = (
            slice(low, high) if is_dense or self.granule % self.unit else units * self.unit // self.granule
        )
        self.latest[within] = np.maximum(self.latest[within], np.uint32(np.max(owners)))

    def note_in_units_of(self, size: int) -> None:
        """Have owners noted for elements of this size, if they are not for smaller ones already."""
        if not self.writers.size:
            self.unit = size
            self.writers = np.zeros(self.units, dtype=np.uint32)
        elif size < self.unit:
            factor, self.unit = self.unit // size, size
            self.writers = np.repeat(self.writers, factor)[: self.units]
            self.readers = None if self.readers is None else np.repeat(self.readers, factor)[: self.units]
            self.origins = None if self.origins is None else np.repeat(self.origins, factor)[: self.units]

    def forget_owners(self) -> None:
        """Have nobody noted for anything."""
        self.writers = np.zeros(self.writers.size, dtype=np.uint32)
        self.latest = np.zeros(self.latest.size, dtype=np.uint32)
        self.readers = self.origins = None

    def written_since(self, number: int) -> NDArray[np.int64]:
        """Return the units that programs wrote from this number on, in order; each once."""
        found = [np.empty(0, dtype=np.int64)]
        for starts, owners in self._pieces(number):
            within, length = np.flatnonzero(owners >= max(1, number)), owners.shape[1]
            is_row = starts.size == 1
            found.append(starts + within if is_row else starts[within // length] + within % length)
        return np.concatenate(found)

    def count_by_writer(self, number: int, count: int) -> NDArray[np.int64]:
        """Return how many units each of so many programs wrote, of which this number is the first."""
        counts = np.zeros(count, dtype=np.int64)
        for _, owners in self._pieces(number):
            counts += np.bincount(owners[owners >= number] - np.uint32(number), minlength=count)
        return counts

    def count_written_since(self, number: int) -> int:
        """Return how many units programs wrote from this number on."""
        return sum(int(np.count_nonzero(owners >= max(1, number))) for _, owners in self._pieces(number))

    def _pieces(self, number: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint32]]]:
        """Yield rows of writers, and the unit that each begins with: all from this number on are in them.

        A piece is small, so that the memory for it is used again.
        """
        if not self.writers.size:
            return
        scale = self.granule // self.unit
        count = 0 if self.fill is None or self.granule % self.unit else self.units // scale
        granules = np.flatnonzero(self.latest[:count] >= max(1, number))
        ranges = [(count * scale, self.units)]
        if granules.size and int(granules[-1] - granules[0]) + 1 == granules.size:
            ranges.insert(0, (int(granules[0]) * scale, (int(granules[-1]) + 1) * scale))
        else:
            for some in np.array_split(granules, -(-granules.size * scale // UNITS_AT_ONCE) or 1):
                yield some * scale, self.writers[: count * scale].reshape(count, scale)[some]
        for first, last in ranges:
            for begin in range(first, last, UNITS_AT_ONCE):
                yield np.array([begin]), self.writers[None, begin : min(last, begin + UNITS_AT_ONCE)]
