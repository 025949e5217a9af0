"""Which line of a kernel file Triton's compiler complains of: its error is raised where the launch is."""

from pathlib import Path
from typing import Any

COMPILER = "triton.compiler.errors"
MAX_DEPTH = 20


def find_cause(error: BaseException) -> BaseException:
    """Return the compiler's innermost complaint, which says what is wrong; another error as it is.

    In a function that a kernel calls it is the cause of the one at the call, which says nothing.
    """
    found = error
    for _ in range(MAX_DEPTH):
        cause = found.__cause__
        if not _is_of_compiler(found) or cause is None or not _is_of_compiler(cause):
            return found
        found = cause
    return found


def find_compiled_line(error: BaseException, kernel_file: str) -> int:
    """Return the line of the kernel file that does not compile, from 1; 0 if it is no such error.

    An error holds its function's text, without the file's indentation, and counts lines from there.
    """
    cause = find_cause(error)
    if not _is_of_compiler(cause):
        return 0
    source, place = getattr(cause, "src", None), getattr(getattr(cause, "node", None), "lineno", None)
    if not isinstance(source, str) or not isinstance(place, int):
        return 0
    try:
        whole = _stripped(Path(kernel_file).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0
    part = _stripped(source.strip("\n"))
    starts = (first for first in range(len(whole)) if whole[first : first + len(part)] == part)
    first = next(starts, None)
    return 0 if first is None else first + place


def _is_of_compiler(error: Any) -> bool:
    return type(error).__module__ == COMPILER


def _stripped(text: str) -> list[str]:
    return [line.strip() for line in text.rstrip().splitlines()]
