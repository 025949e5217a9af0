"""Files that somebody else wrote are read with care; our own are written whole or not at all.

Reading follows no link that leads elsewhere, waits for no pipe and stops at a number of bytes.
"""

import errno
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

GUARDS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
PERMISSIONS = 0o644
"""Of what is written: a temporary file would be for its owner alone."""


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


def digest_file(file: Path) -> str:
    """Return the sha256 of a file's bytes; raises OSError."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def write_whole(file: Path, content: bytes | str) -> Path:
    """Return the file, which holds all of the content or what it held before; missing folders are made.

    Raises OSError. Text is written as UTF-8.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as stream:
        temporary = Path(stream.name)
        try:
            stream.write(content.encode() if isinstance(content, str) else content)
            stream.flush()
            os.fchmod(stream.fileno(), PERMISSIONS)
            os.fsync(stream.fileno())
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)
    _settle(file.parent)
    return file


def _settle(folder: Path) -> None:
    """Wait until new names of the folder are on the disk, or they would not survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
