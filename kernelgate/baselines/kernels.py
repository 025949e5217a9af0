"""Which kernel a candidate must beat: the accepted one as a commit has it, and the frozen original."""

import hashlib
import os
import subprocess
from pathlib import Path

import msgspec

from kernelgate.errors import KernelgateError
from kernelgate.kernel_file.source import KernelFile, read_kernel
from kernelgate.kernel_file.violation import UnreadableKernel
from kernelgate.operations.declaration.operation import Operation

BASE = "HEAD"
GIT_TIMEOUT_S = 30


class AcceptedError(KernelgateError, ValueError):
    """The accepted or the original kernel is not to be had, or is not what it must be."""


def kernel_path(name: str) -> Path:
    """Return where in its project the accepted kernel of an operation, or of a problem, lies."""
    return Path("kernels") / f"{name}.py"


def find_accepted(root: Path, operation: Operation, where: str | None, max_bytes: int) -> KernelFile:
    """Return the accepted kernel: of a file, or of a git revision; by default of the last commit.

    Outside a git checkout the default is the file as it lies. Raises AcceptedError if there is none.
    """
    if where is not None and Path(where).exists():
        return read_accepted(Path(where), max_bytes)
    path = kernel_path(operation.name)
    source = _show(root, where or BASE, path)
    if source is not None:
        return _read_shown(f"{where or BASE}:{path}", source)
    if where is not None:
        raise AcceptedError(f"--accepted {where}: neither a file nor a git revision that holds {path.name}")
    return read_accepted(Path(os.path.relpath(root / path)), max_bytes)


def find_to_beat(root: Path | None, name: str | None, where: str | None, max_bytes: int) -> KernelFile | None:
    """Return the kernel to beat for a problem: of a file, or a project's `name` of a git revision.

    None, which PyTorch stands in for, where none was asked for and the last commit holds none. Raises
    AcceptedError for what was asked for and is not to be had.
    """
    if where is not None and Path(where).exists():
        return read_accepted(Path(where), max_bytes)
    if root is None or name is None:
        if where is None:
            return None
        raise AcceptedError(f"--against {where}: no such file, and no project to take a revision of")
    path, revision = kernel_path(name), where or BASE
    source = _show(root, revision, path)
    if source is None:
        if where is not None:
            raise AcceptedError(
                f"--against {where}: neither a file nor a git revision that holds {path.name}"
            )
        return None
    return _read_shown(f"{revision}:{path}", source)


def find_original(root: Path, operation: Operation, max_bytes: int) -> KernelFile:
    """Return the frozen original; raises AcceptedError if its bytes are not the ones that were frozen."""
    path = root / "kernels" / f"{operation.name}_original.py"
    original = read_accepted(path, max_bytes)
    if original.sha256 != operation.original.sha256:
        raise AcceptedError(
            f"{path}: is the control of every timing and must never change: sha256 {original.sha256}, "
            f"allowed {operation.original.sha256}. Restore it from git."
        )
    return original


def read_accepted(path: Path, max_bytes: int) -> KernelFile:
    """Return a kernel file that a candidate is held against; raises AcceptedError."""
    try:
        return read_kernel(path, max_bytes)
    except UnreadableKernel as error:
        raise AcceptedError(str(error)) from error


def _read_shown(name: str, source: str) -> KernelFile:
    return KernelFile(path=name, sha256=hashlib.sha256(source.encode()).hexdigest(), source=source)


def _show(root: Path, revision: str, path: Path) -> str | None:
    """Return the file of a revision, None if git, the repository, the revision or the file is missing."""
    command = ["git", "-C", str(root), "show", "--end-of-options", f"{revision}:{path}"]
    try:
        shown = subprocess.run(command, capture_output=True, check=True, timeout=GIT_TIMEOUT_S)
        return shown.stdout.decode("utf-8")
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None


class Kernels(msgspec.Struct, frozen=True, kw_only=True):
    """The kernel files of one judgement; in the place of one that is missing PyTorch is timed."""

    candidate: KernelFile
    accepted: KernelFile | None
    original: KernelFile | None
