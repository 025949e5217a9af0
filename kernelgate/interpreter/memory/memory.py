"""Named buffers, and the launches that work on them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelgate.interpreter.errors import CannotInterpretError
from kernelgate.interpreter.findings import Findings
from kernelgate.interpreter.memory.buffer import ADDRESS_BITS, PAGE_BYTES, Buffer, Fill

UNDEFINED = 0x7FD97FD9
"""What lanes hold that a load leaves undefined: a NaN in float32, and in float16 and bfloat16 too."""

LAST_NUMBER = 2**32 - 1
"""The largest number of a program that the owners of a buffer hold."""


class Memory:
    """Buffers by name. `findings` are those of all launches; `undefined` is what undefined lanes hold."""

    def __init__(self, undefined: int = UNDEFINED) -> None:
        self.buffers: dict[str, Buffer] = {}
        self.findings = Findings()
        self.undefined = undefined
        self.changes = 0
        self.last_number = 0
        self.first_number = 1
        self._in_order: list[Buffer] = []

    def add(
        self,
        name: str,
        size: int,
        *,
        content: NDArray[Any] | None = None,
        fill: Fill | None = None,
        granule: int = PAGE_BYTES,
    ) -> Buffer:
        """Return a new buffer of so many bytes that holds the content, or is filled granule by granule.

        Without either its bytes are zero. A granule is a multiple of 8 bytes.
        """
        if name in self.buffers or not 0 <= size < 2**ADDRESS_BITS or granule % 8:
            raise ValueError(f"buffer {name} of {size} bytes in granules of {granule} cannot be added")
        buffer = Buffer(name, len(self._in_order), size)
        if content is not None:
            buffer.data[:size] = np.ascontiguousarray(content).reshape(-1).view(np.uint8)
        else:
            buffer.fill_with(fill or (lambda _, into: into.fill(0)), granule)
        self.buffers[name] = buffer
        self._in_order.append(buffer)
        return buffer

    def read(self, name: str, dtype: Any, offset: int = 0, count: int | None = None) -> NDArray[Any]:
        """Return a copy of a buffer's elements, filling what nobody has touched."""
        buffer, kind = self.buffers[name], np.dtype(dtype)
        size = buffer.size - offset if count is None else count * kind.itemsize
        if size > 0:
            buffer.settle(offset, offset + size - 1, None)
        return buffer.data[offset : offset + size].copy().view(kind)

    def gather(self, name: str, dtype: Any, elements: NDArray[np.int64]) -> NDArray[Any]:
        """Return the elements at these places, counted from the start, filling what nobody has touched."""
        buffer, kind = self.buffers[name], np.dtype(dtype)
        if elements.size:
            offsets = elements * kind.itemsize
            buffer.settle(int(offsets.min()), int(offsets.max()) + kind.itemsize - 1, offsets)
        found: NDArray[Any] = buffer.view(kind.itemsize)[elements].view(kind)
        return found

    def write(self, name: str, content: NDArray[Any], offset: int = 0) -> None:
        """Put the content into a buffer, as a copy between launches does; nobody is noted for it."""
        buffer = self.buffers[name]
        flat = np.ascontiguousarray(content).reshape(-1).view(np.uint8)
        if flat.size:
            buffer.settle(offset, offset + flat.size - 1, None)
        buffer.data[offset : offset + flat.size] = flat

    def written(self, name: str) -> NDArray[np.int64]:
        """Return which elements programs have written, by their places in units of the smallest store."""
        return self.buffers[name].written_since(1)

    def begin_launch(self, programs: int) -> None:
        """Give numbers to the programs of a launch.

        The first number is no program's: it stands for what atomic operations wrote and for several readers.
        """
        if self.last_number + programs + 1 >= LAST_NUMBER:
            self.last_number = 0
            for buffer in self._in_order:
                buffer.forget_owners()
        if programs + 1 >= LAST_NUMBER:
            raise CannotInterpretError(f"a grid of {programs} programs cannot be interpreted")
        self.first_number = self.last_number + 1
        self.last_number += programs + 1

    def at(self, address: int) -> Buffer | None:
        """Return the buffer whose stretch of addresses this one is in; it may be outside its bytes."""
        number = (address >> ADDRESS_BITS) - 1
        return self._in_order[number] if 0 <= number < len(self._in_order) else None

    def nearest(self, address: int) -> Buffer | None:
        """Return the buffer whose bytes are nearest to the address."""
        return min(
            self._in_order,
            key=lambda each: max(each.base - address, address - each.base - each.size),
            default=None,
        )
