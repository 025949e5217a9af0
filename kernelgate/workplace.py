"""The judge's scratch folder: copies of kernel files, tensors in transit, contestants started there."""

import os
import shutil
import tempfile
import uuid
from pathlib import Path

import psutil

from kernelgate import wire
from kernelgate.candidate import KernelFile
from kernelgate.contestant import Contestant
from kernelgate.operations import Convolution
from kernelgate.settings import Limits

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it, readable by its owner only
PREFIX = "kernelgate-"
WANTED_FREE_BYTES = 4 * 2**30


class Workplace:
    """A folder that is gone when the judge closes it.

    With `ada_on`, a compute capability, contestants on a GPU of it run what an RTX 4090 would.
    """

    def __init__(self, operation: Convolution, limits: Limits, ada_on: int | None = None) -> None:
        self.operation, self.limits, self.ada_on = operation, limits, ada_on
        folder = _roomy_folder()
        _sweep(folder)
        self.root = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=folder))

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.root, ignore_errors=True)

    def place(self, kernel: KernelFile) -> Path:
        """Return a copy of the source as it was read: a file changed since then changes nothing."""
        file = self.root / f"kernel-{kernel.sha256[:16]}.py"
        # Written anew each time, since a contestant of another file runs as the same user; and put in place
        # whole, since one of this file may be reading it.
        fresh = self.root / f"{uuid.uuid4().hex}.py"
        with fresh.open("x", encoding="utf-8", newline="") as stream:
            stream.write(kernel.source)
        fresh.chmod(0o400)
        return fresh.replace(file)

    def cache_of(self, kernel: KernelFile | None) -> Path:
        """Return the folder of a kernel file's compiled programs, where no other file's contestant writes."""
        return self.root / f"cache-{kernel.sha256[:16] if kernel else 'vendor'}"

    def start(self, mode: wire.Mode, kernel: KernelFile | None, name: str = "", gpu: str = "") -> Contestant:
        """Return a contestant that is importing the kernel file; None is the vendor implementation.

        Its faults carry the name. `gpu` is the one that it may see, those of the judge if it is empty.
        """
        folder = self.root / f"contestant-{uuid.uuid4().hex[:8]}"
        contestant = Contestant(mode, folder, self.limits, self.cache_of(kernel), name, gpu)
        file = str(self.place(kernel)) if kernel is not None else None
        contestant.send(
            wire.Load(
                operation=self.operation.name,
                file=file,
                gpu_memory_bytes=self.limits.gpu_memory_bytes,
                ada_on=self.ada_on,
            )
        )
        return contestant

    def await_loaded(self, contestant: Contestant) -> wire.Loaded:
        """Return what the contestant imported; raises ContestantFault."""
        return contestant.receive(wire.Loaded, self.limits.load_timeout_s)


def _sweep(folder: Path) -> None:
    """Remove what judges left that were killed before they could: their tensors may fill the memory."""
    for left in folder.glob(f"{PREFIX}*-*"):
        pid = left.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def _roomy_folder() -> Path:
    """Return shared memory where it has room for the tensors of a large batch; else the usual folder."""
    if SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free >= WANTED_FREE_BYTES:
        return SHARED_MEMORY
    return Path(tempfile.gettempdir())
