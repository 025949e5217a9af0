"""Counting wrong elements along the axes of an answer, part by part: an answer of 256 images is 300 MB."""

import math

import numpy as np
from numpy.typing import NDArray

from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.faults.fault_map import RIGHT, UNSEEN, UNWRITTEN, WRONG

Counts = NDArray[np.int64]


class Tally:
    """How many elements were looked at, wrong and unwritten, along each axis; and one plane of them.

    An answer is seen as items of channels of rows of columns; an axis that it lacks has one place. A plane is
    one item's channel. The one that is kept is the plane with most wrong elements of the first part that has
    any. `pixels` counts over the planes, row by row.
    """

    def __init__(self, operation: Operation, batch: int) -> None:
        self.operation, self.shape = operation, _in_four(operation.output_shape(batch))
        self.names = _named(operation.output_axes)
        self.seen = [np.zeros(extent, np.int64) for extent in self.shape]
        self.wrong = [np.zeros(extent, np.int64) for extent in self.shape]
        self.pixels_seen = np.zeros(math.prod(self.shape[2:]), np.int64)
        self.pixels_wrong = np.zeros_like(self.pixels_seen)
        self.unwritten = 0
        self.first_pixel = math.inf
        """The first wrong pixel, counted over the items."""
        self.plane: tuple[int, int] | None = None
        self.first_offset = 0
        """A wrong element of that plane."""
        self.drawn: tuple[str, ...] = ()

    @property
    def wrong_in_all(self) -> int:
        """The number of wrong elements."""
        return int(self.pixels_wrong.sum())

    @property
    def seen_in_all(self) -> int:
        """The number of elements that were looked at."""
        return int(self.pixels_seen.sum())

    def add(self, offsets: NDArray[np.int64], wrong: NDArray[np.bool_], unwritten: NDArray[np.bool_]) -> None:
        """Count a part: flat offsets, and for each whether it is wrong, and whether it was never written."""
        places = _place(offsets, self.shape)
        pixels = places[2] * self.shape[3] + places[3]
        self.seen = self._added(self.seen, places)
        self.pixels_seen += np.bincount(pixels, minlength=self.pixels_seen.size)
        if not wrong.any():
            return
        self.wrong = self._added(self.wrong, [axis[wrong] for axis in places])
        self.pixels_wrong += np.bincount(pixels[wrong], minlength=self.pixels_wrong.size)
        self.unwritten += int((wrong & unwritten).sum())
        over_items = places[0][wrong] * self.pixels_seen.size + pixels[wrong]
        self.first_pixel = min(self.first_pixel, int(over_items.min()))
        if self.plane is None:
            self._keep_plane(offsets, places, wrong, unwritten)

    def _added(self, counts: list[Counts], places: list[NDArray[np.int64]]) -> list[Counts]:
        axes = zip(counts, self.shape, places, strict=True)
        return [before + np.bincount(place, minlength=extent) for before, extent, place in axes]

    def _keep_plane(
        self,
        offsets: NDArray[np.int64],
        places: list[NDArray[np.int64]],
        wrong: NDArray[np.bool_],
        unwritten: NDArray[np.bool_],
    ) -> None:
        planes = places[0] * self.shape[1] + places[1]
        numbers, counts = np.unique(planes[wrong], return_counts=True)
        worst = int(numbers[counts.argmax()])
        inside = planes == worst
        drawn = np.full(self.shape[2:], UNSEEN)
        marks = np.where(wrong, np.where(unwritten, UNWRITTEN, WRONG), RIGHT)
        drawn[places[2][inside], places[3][inside]] = marks[inside]
        self.plane = worst // self.shape[1], worst % self.shape[1]
        self.first_offset = int(offsets[int((wrong & inside).argmax())])
        self.drawn = tuple("".join(row) for row in drawn)


def _in_four(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return the extents of items, channels, rows and columns."""
    items, *inner = shape or (1,)
    *inner, columns = inner or [1]
    *inner, rows = inner or [1]
    return items, math.prod(inner), rows, columns


def _named(axes: tuple[str, ...]) -> tuple[str, str, str, str]:
    """Return what the four axes are called, empty for what the answer lacks."""
    items, *inner = axes or ("answer",)
    *inner, columns = inner or [""]
    *inner, rows = inner or [""]
    return items, "-".join(inner), rows, columns


def _place(flat: NDArray[np.int64], shape: tuple[int, int, int, int]) -> list[NDArray[np.int64]]:
    """Return where flat row-major offsets lie along the four axes."""
    rest, column = np.divmod(flat, shape[3])
    rest, row = np.divmod(rest, shape[2])
    return [*np.divmod(rest, shape[1]), row, column]
