"""The judge's scratch folder: where it is made, and what a judge that was killed left behind."""

import os
import shutil
import tempfile
from pathlib import Path

import psutil

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it, readable by its owner only

PREFIX = "kernelgate-"

WANTED_FREE_BYTES = 4 * 2**30


def make_scratch() -> Path:
    """Return a new folder of this judge's, after removing what judges left that have ended."""
    folder = roomy_folder()
    sweep(folder)
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=folder))


def sweep(folder: Path) -> None:
    """Remove what judges left that were killed before they could: their tensors may fill the memory."""
    for left in folder.glob(f"{PREFIX}*-*"):
        pid = left.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def roomy_folder() -> Path:
    """Return shared memory where it has room for the tensors of a large batch; else the usual folder."""
    if SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free >= WANTED_FREE_BYTES:
        return SHARED_MEMORY
    return Path(tempfile.gettempdir())
