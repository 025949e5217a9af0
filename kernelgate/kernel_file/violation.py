"""A broken rule of a kernel file, and where."""

from pathlib import Path

import msgspec

from kernelgate.errors import KernelgateError


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """One broken rule; `line` is 0 where the file could not be read."""

    rule: str
    line: int
    message: str

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        return f"{place}[{self.rule}] {self.message}"


class UnreadableKernel(KernelgateError, ValueError):  # noqa: N818 - says what the file is
    """The file holds no text or no Python that could be judged; `violation` says why."""

    def __init__(self, path: str | Path, rule: str, message: str, line: int = 0) -> None:
        self.violation = Violation(rule=rule, line=line, message=message)
        super().__init__(f"{path}: {self.violation}")
