"""A kernel file, read once and parsed, never imported: the format rules of the brief."""

import ast
import hashlib
import io
import stat
import tokenize
import warnings
from pathlib import Path

import msgspec

from kernelgate.kernel_file.violation import UnreadableKernel

MODEL = "ModelNew"


class KernelFile(msgspec.Struct, frozen=True, kw_only=True):
    """The text of a kernel file as it was read; `path` is what the user gave, for messages."""

    path: str
    sha256: str
    source: str


def read_kernel(path: Path, max_bytes: int) -> KernelFile:
    """Return the text of a kernel file.

    Raises UnreadableKernel unless it is a regular file of at most `max_bytes` bytes, UTF-8 and not blank.
    """
    try:
        # Asked before opening: a FIFO blocks in open, a device may never end.
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise UnreadableKernel(path, "not-a-file", f"got {stat.filemode(mode)}; allowed: a regular file")
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except FileNotFoundError:
        raise UnreadableKernel(path, "file-missing", "got no such file; allowed: a kernel file") from None
    except OSError as error:
        raise UnreadableKernel(path, "file-unreadable", f"got: {error.strerror}") from error
    if len(content) > max_bytes:
        raise UnreadableKernel(path, "file-too-large", f"got more than the {max_bytes} bytes allowed")
    if not content.strip():
        raise UnreadableKernel(path, "file-empty", "got nothing but white space; allowed: a kernel file")
    if (offset := content.find(b"\0")) >= 0:
        raise UnreadableKernel(path, "nul-byte", f"got a NUL byte at offset {offset}; allowed: text")
    sha256 = hashlib.sha256(content).hexdigest()
    return KernelFile(path=str(path), sha256=sha256, source=_decode(path, content))


def _decode(path: Path, content: bytes) -> str:
    try:
        # A coding comment would let an import run other code than the judge reads.
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        if encoding == "utf-8":
            return content.decode("utf-8")
        got = f"encoding {encoding}"
    except (UnicodeDecodeError, SyntaxError) as error:
        got = str(error)
    raise UnreadableKernel(path, "not-utf-8", f"got {got}; allowed: UTF-8 without a byte order mark")


def parse_kernel(kernel: KernelFile) -> ast.Module:
    """Return the syntax tree; raises UnreadableKernel with rule `not-python` and the line of the fault."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(kernel.source, filename=kernel.path)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        message = f"got {type(error).__name__}: {error}; allowed: Python that parses"
        raise UnreadableKernel(kernel.path, "not-python", message, line) from None


def is_kernel(node: ast.AST) -> bool:
    """Whether the node is a function that `triton.jit` decorates, with or without arguments."""
    return isinstance(node, ast.FunctionDef) and "triton.jit" in map(callee_name, node.decorator_list)


def dotted_name(node: ast.AST) -> str:
    """Return `a.b.c` for a name or attributes of a name, and an empty text for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def is_main_guard(node: ast.AST) -> bool:
    """Whether the node is `if __name__ == "__main__":`, whose body runs as a script alone."""
    return isinstance(node, ast.If) and ast.unparse(node.test).replace('"', "'") in {
        "__name__ == '__main__'",
        "'__main__' == __name__",
    }


def callee_name(node: ast.AST) -> str:
    """Return the dotted name of what a call calls, or of the node itself if it is no call."""
    return dotted_name(node.func if isinstance(node, ast.Call) else node)
