"""A worker is confined: to its own folder, to reading libraries, to no network and no other process.

It happens in the forked copy, before the kernel file is imported, while it has one thread. A step that fails
ends the worker: none runs half confined.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import kernelgate
from kernelgate import protocol
from kernelgate.worker.confinement.landlock import DEVICE, OWN, READ, WRITE, restrict_files
from kernelgate.worker.confinement.privileges import drop_capabilities, limit_resources
from kernelgate.worker.confinement.seccomp import refuse_calls
from kernelgate.worker.confinement.system_calls import forgo_new_privileges

SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/opt", "/proc", "/sys")
"""All of `/proc`: what a worker starts reads its own part, by a number that nobody knows yet."""

SETTINGS = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "nsswitch.conf", "passwd")
"""Of `/etc` what a library reads as it starts: PyTorch asks for the user's name, which everybody may read."""

DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/full")
PACKAGE = Path(kernelgate.__file__).parent


def confine(start: protocol.Start) -> None:
    """Give up everything that a worker in that folder has no use for; raises OSError."""
    limit_resources()
    forgo_new_privileges()
    restrict_files(_allowed(start))
    drop_capabilities()
    refuse_calls()


def _allowed(start: protocol.Start) -> Iterator[tuple[Path, int]]:
    yield from ((path, READ) for path in _libraries())
    yield from ((Path(path), READ) for path in (*SYSTEM, *start.reads))
    yield from ((Path("/etc", name), READ) for name in SETTINGS)
    yield from ((Path(path), OWN) for path in (start.folder, *start.writes))
    yield from ((Path(path), DEVICE) for path in DEVICES)
    if start.uses_gpu:
        yield from _allowed_for_cuda()


def _allowed_for_cuda() -> Iterator[tuple[Path, int]]:
    """Yield what CUDA needs beside that: the GPU's devices, and to name its threads.

    It opens the files of their names to truncate them, and ends with error 304 where it cannot.
    """
    yield from ((path, DEVICE) for path in Path("/dev").glob("nvidia*"))
    yield _held(Path("/proc", str(os.getpid()))), WRITE


def _held(folder: Path) -> Path:
    """Return the folder, which from now on the system does not forget.

    Folders of `/proc` are made when they are looked up. Where memory is short one that nobody has open is
    dropped and made anew, and then no rule is of it.
    """
    os.open(folder, os.O_PATH | os.O_CLOEXEC)
    return folder


def _libraries() -> Iterator[Path]:
    """Yield where Python and its packages lie; of this project's folder the package alone."""
    yield PACKAGE
    yield from (Path(sys.prefix), Path(sys.base_prefix))
    # Not what holds the package: an empty entry of PYTHONPATH is the whole disk, another the project.
    yield from (Path(entry) for entry in sys.path if entry and Path(entry) not in PACKAGE.parents)
