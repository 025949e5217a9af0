"""What somebody else wrote is read only if it is a file, and no more of it than allowed."""

import os
from pathlib import Path

import pytest

from kernelgate.files import ForeignFileError, open_foreign, read_foreign


def test_a_file_of_the_size_allowed_is_read(tmp_path: Path) -> None:
    """To its last byte; one more is refused."""
    (tmp_path / "file").write_bytes(b"\0" * 10)
    assert read_foreign(tmp_path / "file", 10) == b"\0" * 10
    with pytest.raises(ForeignFileError, match="more than the 9 bytes"):
        read_foreign(tmp_path / "file", 9)


def test_a_pipe_does_not_hang_the_reader(tmp_path: Path) -> None:
    """Nobody ever writes to it."""
    os.mkfifo(tmp_path / "file")
    with pytest.raises(ForeignFileError, match="no regular file"):
        read_foreign(tmp_path / "file", 10)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """Nor is what it holds one."""
    with pytest.raises(IsADirectoryError), open_foreign(tmp_path):
        pass


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Wherever it leads."""
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "file").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic links"):
        read_foreign(tmp_path / "file", 10)
