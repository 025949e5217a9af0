"""Names and their values, for the programs that are under way together; parts of them look names up above."""

from kernelgate.interpreter.programs import Programs
from kernelgate.interpreter.values import Rows, Value, take


class Frame:
    """The values of a function's names for a group of programs.

    `above` is the frame that this one is a part of, `rows` which of its programs.
    """

    __slots__ = ("above", "calls", "group", "rows", "values")

    def __init__(self, group: Programs, above: "Frame | None" = None, rows: Rows | None = None) -> None:
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
