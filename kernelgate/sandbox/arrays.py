"""Arrays that a worker wrote: exactly as long as they must be, or none."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelgate.files import ForeignFileError, open_foreign


def read_words(file: Path, count: int) -> NDArray[np.uint32] | None:
    """Return the 32-bit words of a file that a worker wrote, None if it has not exactly that many."""
    return read_array(file, count, np.uint32)


def read_array(file: Path, count: int, dtype: Any) -> NDArray[Any] | None:
    """Return the elements of a worker's file, None if it has not exactly that many.

    A link or a device in its place is not followed.
    """
    try:
        with open_foreign(file) as stream:
            if os.fstat(stream.fileno()).st_size != count * np.dtype(dtype).itemsize:
                return None
            elements = np.fromfile(stream, dtype=dtype, count=count)
    except ForeignFileError:
        return None
    return elements if elements.size == count else None  # it may have been cut short since
