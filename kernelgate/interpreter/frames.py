"""Names and their values, for the programs that are under way together; parts of them look names up above."""

from typing import Protocol

from kernelgate.interpreter.elements import Array
from kernelgate.interpreter.values import Rows, Value, take


class Group(Protocol):
    """Programs that run together: how many, where in the grid, and what memory they reach."""

    def __len__(self) -> int: ...

    def place(self, axis: int) -> Array:
        """Return the programs' places along an axis of the grid."""
        ...

    def part(self, rows: Rows) -> "Group":
        """Return some of the programs."""
        ...

    def note_line(self, line: int) -> None:
        """Note which line of the text they are at."""
        ...


class Frame:
    """The values of a function's names for a group of programs.

    `above` is the frame that this one is a part of, `rows` which of its programs.
    """

    __slots__ = ("above", "calls", "group", "rows", "values")

    def __init__(self, group: Group, above: "Frame | None" = None, rows: Rows | None = None) -> None:
        self.group = group
        self.above = above
        self.rows = rows
        self.values: dict[str, Value] = {}
        self.calls: int = above.calls if above is not None else 0

    def __getitem__(self, name: str) -> Value:
        value = self.values.get(name)
        if value is None:
            if self.above is None or self.rows is None:
                raise KeyError(name)
            value = self.values[name] = take(self.above[name], self.rows)
        return value

    def part(self, rows: Rows) -> "Frame":
        """Return a frame for some of the programs."""
        return Frame(self.group.part(rows), self, rows)
