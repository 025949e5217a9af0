"""The wheel of the gate as it lies here, made without the network."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LIBRARIES = Path(pytest.__file__).parents[1]
"""As a path of modules it has the libraries, and not the checkout: a path's own .pth files are not read."""


def build_wheel(folder: Path) -> Path:
    """Return the wheel, built in a folder."""
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "kernelgate", source / "kernelgate", ignore=shutil.ignore_patterns("__pycache__"))
    # No index is asked: the tools that build it are among the libraries.
    pip("wheel", "--no-build-isolation", "-w", str(folder), str(source))
    (wheel,) = folder.glob("kernelgate-*.whl")
    return wheel


def pip(command: str, *options: str) -> None:
    """Run a command of pip's without the network, and show what it says where it fails."""
    words = [sys.executable, "-m", "pip", "--disable-pip-version-check", command, "--no-index", "--no-deps"]
    ended = subprocess.run([*words, *options], capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
