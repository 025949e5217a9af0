"""Files that somebody else wrote: no link that leads elsewhere, no pipe that hangs, no end of bytes."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

GUARDS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


class ForeignFileError(OSError):
    """There is something else than a regular file of the size allowed."""


@contextmanager
def open_foreign(file: Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading; raises ForeignFileError for anything else, OSError as `open` does."""
    with os.fdopen(os.open(file, GUARDS), "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise ForeignFileError(errno.EINVAL, "no regular file")
        yield stream


def read_foreign(file: Path, max_bytes: int) -> bytes:
    """Return the bytes of a regular file of at most so many; raises as `open_foreign` does."""
    with open_foreign(file) as stream:
        data = stream.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise ForeignFileError(errno.EFBIG, f"more than the {max_bytes} bytes allowed")
    return data


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
