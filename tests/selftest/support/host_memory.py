"""The access functions of an interpreter, made up: they do what they are told, at any address."""

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray


class HostMemory:
    """Reads and writes at the addresses that it is given, and remembers which."""

    def __init__(self) -> None:
        self.touched: set[int] = set()

    def _views(self, pointers: Any, mask: Any, dtype: Any) -> list[tuple[int, NDArray[Any]]]:
        places = np.flatnonzero(mask)
        self.touched |= {int(pointers[place]) for place in places}
        size = np.dtype(dtype).itemsize
        raw = [(ctypes.c_uint8 * size).from_address(int(pointers[place])) for place in places]
        return [
            (place, np.ctypeslib.as_array(each).view(dtype)) for place, each in zip(places, raw, strict=True)
        ]

    def load(self, pointers: Any, mask: Any, other: Any, dtype: Any) -> NDArray[Any]:
        values = np.array(other, dtype=dtype)
        for place, held in self._views(pointers, mask, dtype):
            values[place] = held[0]
        return values

    def store(self, pointers: Any, value: Any, mask: Any) -> None:
        for place, held in self._views(pointers, mask, value.dtype):
            held[0] = value[place]

    def atomic_rmw(self, _operation: Any, pointers: Any, value: Any, mask: Any, _order: Any) -> NDArray[Any]:
        before = np.zeros_like(value)
        for place, held in self._views(pointers, mask, value.dtype):
            before[place] = held[0]
            held[0] += value[place]
        return before

    def atomic_cas(self, pointers: Any, expected: Any, value: Any, _order: Any) -> NDArray[Any]:
        before = expected.copy()
        for place, held in self._views(pointers, np.ones(pointers.shape, np.bool_), value.dtype):
            before[place] = held[0]
            held[0] = value[place] if held[0] == expected[place] else held[0]
        return before
