"""Elements that a program stores and reads back by another lane, with no barrier between.

A GPU keeps the order of one thread only. Lanes at the same place of tensors of one shape are taken for one
thread; a barrier, or an atomic operation that orders memory, makes the threads of a program meet.
"""

import zlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from kernelgate.interpreter.elements import Array
from kernelgate.interpreter.memory.buffer import Buffer
from kernelgate.interpreter.programs import Programs

LANE_BITS = 24
"""Lanes of a program are counted in so many bits, its shape's mark stands above them."""

TIME_BITS = 32


@lru_cache(maxsize=256)
def lanes_of(shape: tuple[int, ...]) -> NDArray[np.uint64]:
    """Return [1, *shape]: what tells the lanes of accesses of this shape, and of other ones, apart."""
    mark = (zlib.crc32(repr(shape).encode()) & 0xFF) << LANE_BITS
    count = int(np.prod(shape, dtype=np.int64))
    lanes = np.arange(count, dtype=np.uint64) & np.uint64(2**LANE_BITS - 1)
    return (lanes | np.uint64(mark)).reshape(1, *shape)


def note_origin(programs: Programs, buffer: Buffer, units: Array, lanes: Array) -> None:
    """Note by which lanes, and when, units are written."""
    if buffer.origins is None:
        buffer.origins = np.zeros(buffer.units, dtype=np.uint64)
    buffer.origins[units] = lanes | np.uint64(programs.launch.tick() << TIME_BITS)


def is_unordered(programs: Programs, buffer: Buffer, units: Array, owners: Array, lanes: Array) -> Array:
    """Return which of the units, written by their readers, other lanes wrote since the last barrier."""
    if buffer.origins is None:
        return np.zeros(units.shape, np.bool_)
    origins = buffer.origins[units]
    met = programs.launch.barriers[owners.astype(np.int64) - (programs.memory.first_number + 1)]
    other_lane = (origins & np.uint64(2**TIME_BITS - 1)) != lanes
    unordered: Array = other_lane & ((origins >> np.uint64(TIME_BITS)) > met)
    return unordered
