"""Counting wrong elements along the axes of an answer, part by part: an answer of 256 images is 300 MB."""

import math

import numpy as np
from numpy.typing import NDArray

from kernelgate.operations.convolution import Convolution
from kernelgate.operations.faults.fault_map import RIGHT, UNSEEN, UNWRITTEN, WRONG
from kernelgate.operations.reference import unravel

Counts = NDArray[np.int64]


class Tally:
    """How many elements were looked at, wrong and unwritten, along each axis; and one plane of them.

    A plane is one image's channel. The one that is kept is the plane with most wrong elements of the first
    part that has any. `pixels` counts over the planes, row by row.
    """

    def __init__(self, operation: Convolution, batch: int) -> None:
        self.operation, self.shape = operation, operation.output_shape(batch)
        self.seen = [np.zeros(extent, np.int64) for extent in self.shape]
        self.wrong = [np.zeros(extent, np.int64) for extent in self.shape]
        self.pixels_seen = np.zeros(math.prod(self.shape[2:]), np.int64)
        self.pixels_wrong = np.zeros_like(self.pixels_seen)
        self.unwritten = 0
        self.first_pixel = math.inf
        """The first wrong pixel, counted over the images."""
        self.plane: tuple[int, int] | None = None
        self.first_place = (0, 0, 0, 0)
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
        """Count a part: flat NCHW offsets, and for each whether it is wrong, and whether never written."""
        places = [axis.numpy() for axis in unravel(self.operation, offsets)]
        pixels = places[2] * self.shape[3] + places[3]
        self.seen = self._added(self.seen, places)
        self.pixels_seen += np.bincount(pixels, minlength=self.pixels_seen.size)
        if not wrong.any():
            return
        self.wrong = self._added(self.wrong, [axis[wrong] for axis in places])
        self.pixels_wrong += np.bincount(pixels[wrong], minlength=self.pixels_wrong.size)
        self.unwritten += int((wrong & unwritten).sum())
        over_images = places[0][wrong] * self.pixels_seen.size + pixels[wrong]
        self.first_pixel = min(self.first_pixel, int(over_images.min()))
        if self.plane is None:
            self._keep_plane(places, wrong, unwritten)

    def _added(self, counts: list[Counts], places: list[NDArray[np.int64]]) -> list[Counts]:
        axes = zip(counts, self.shape, places, strict=True)
        return [before + np.bincount(place, minlength=extent) for before, extent, place in axes]

    def _keep_plane(
        self, places: list[NDArray[np.int64]], wrong: NDArray[np.bool_], unwritten: NDArray[np.bool_]
    ) -> None:
        planes = places[0] * self.shape[1] + places[1]
        numbers, counts = np.unique(planes[wrong], return_counts=True)
        worst = int(numbers[counts.argmax()])
        inside = planes == worst
        drawn = np.full(self.shape[2:], UNSEEN)
        marks = np.where(wrong, np.where(unwritten, UNWRITTEN, WRONG), RIGHT)
        drawn[places[2][inside], places[3][inside]] = marks[inside]
        self.plane = worst // self.shape[1], worst % self.shape[1]
        first = int((wrong & inside).argmax())
        self.first_place = (*self.plane, int(places[2][first]), int(places[3][first]))
        self.drawn = tuple("".join(row) for row in drawn)
