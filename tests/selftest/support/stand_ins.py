"""Commands that a script would start, replaced by ones that note how they were started."""

import os
import shutil
import subprocess
from pathlib import Path

NOTE = """#!/bin/bash
# Builtins only: any command may be one that is replaced.
{{ echo "{name} $*"; export -p; }} >>"{seen}"
echo "{name} $*" >>"{log}"
{body}
"""


class StandIns:
    """A folder that comes first in PATH; a command in it notes its arguments, then does what it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "stand-ins"
        self.bin.mkdir()

    def add(self, name: str, body: str = "exit 0") -> Path:
        """Put a command in place; returns its path."""
        text = NOTE.format(name=name, body=body, seen=self.folder / "seen", log=self.folder / "log")
        (self.bin / name).write_text(text, encoding="utf-8")
        (self.bin / name).chmod(0o755)
        return self.bin / name

    def watch(self, *names: str) -> None:
        """Note how these are started, and start the real ones."""
        for name in names:
            self.add(name, f'exec "{shutil.which(name)}" "$@"')

    @property
    def calls(self) -> list[str]:
        """The commands that were started, with their arguments."""
        log = self.folder / "log"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    @property
    def seen(self) -> str:
        """All arguments and variables of the commands that were started."""
        return (self.folder / "seen").read_text(encoding="utf-8")

    def forget(self) -> None:
        """Start the notes anew."""
        for name in ("log", "seen"):
            (self.folder / name).unlink(missing_ok=True)

    def run(
        self, script: Path, *arguments: str | Path, given: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Return how a script ended that was started with these variables only, and `given` typed in."""
        path = f"{self.bin}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            [script, *arguments],
            env={"PATH": path, "PREFIX": str(self.folder / "root"), **variables},
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
