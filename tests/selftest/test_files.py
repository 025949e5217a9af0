"""What somebody else wrote is read only if it is a file, and no more of it than allowed."""

import os
from pathlib import Path

import pytest

from kernelgate.files import ForeignFileError, open_foreign, read_foreign, write_whole


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


@pytest.mark.parametrize("content", ["whole \u00e4\n", b"whole \xc3\xa4\n"])
def test_a_file_is_written_whole_into_a_folder_that_is_made(tmp_path: Path, content: str | bytes) -> None:
    """Others may read it, and nothing lies beside it."""
    file = write_whole(tmp_path / "new" / "folder" / "file", "before")
    assert write_whole(file, content) == file
    assert file.read_bytes() == b"whole \xc3\xa4\n"
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("step", ["replace", "fsync", "fchmod"])
def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Whatever step fails; and no temporary file."""
    file = write_whole(tmp_path / "file", "before")

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="the disk is full"):
        write_whole(file, "after")
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_in_the_place_of_what_is_written_is_replaced(tmp_path: Path) -> None:
    """What it leads to stays as it was."""
    (tmp_path / "elsewhere").write_text("before")
    (tmp_path / "file").symlink_to(tmp_path / "elsewhere")
    write_whole(tmp_path / "file", "after")
    assert ((tmp_path / "elsewhere").read_text(), (tmp_path / "file").read_text()) == ("before", "after")
