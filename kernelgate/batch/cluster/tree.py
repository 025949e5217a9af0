"""Files of another host, in a folder that stands for the root of its file system."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from kernelgate.sandbox.scratch import make_scratch


class Tree:
    """Holds files under the names that they have where they come from.

    Relative names are those of `directory`, which a judge works in. So a message about a file names it as the
    user did, once the folder's own name is struck out.
    """

    def __init__(self, directory: str) -> None:
        self._root = os.path.realpath(make_scratch())
        self.directory = Path(self.place(directory))
        self.directory.mkdir(parents=True)
        self._held: dict[str, bytes] = {}

    def place(self, name: str) -> str:
        """Return the name here of what has this name there; a relative one stays as it is."""
        return self._root + name if name.startswith("/") else name

    def hold(self, files: Mapping[str, bytes]) -> None:
        """Hold these files, and none of those before. Raises OSError."""
        for name in self._held.keys() - files.keys():
            self._find(name).unlink(missing_ok=True)
        for name, content in files.items():
            if self._held.get(name) != content:
                self._find(name).parent.mkdir(parents=True, exist_ok=True)
                self._find(name).write_bytes(content)
        self._held = dict(files)

    def take(self, folder: str) -> dict[str, bytes]:
        """Return the files of a folder by their names in it, with paths of there; the folder is gone then."""
        top = self._find(folder)
        files = [file for file in sorted(top.rglob("*")) if file.is_file()]
        taken = {str(file.relative_to(top)): self.restore(file.read_bytes()) for file in files}
        shutil.rmtree(top, ignore_errors=True)
        return taken

    def restore(self, text: bytes) -> bytes:
        """Return the text with the paths of there in the place of those of here."""
        return text.replace(os.fsencode(self._root), b"")

    def remove(self) -> None:
        """Remove all of it."""
        shutil.rmtree(self._root, ignore_errors=True)

    def _find(self, name: str) -> Path:
        return self.directory / self.place(name)
