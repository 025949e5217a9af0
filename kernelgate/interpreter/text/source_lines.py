"""From a line of TTIR to the place in the kernel file that it came from, by what is there for debuggers."""

import re
from typing import NamedTuple

_DEFINED = re.compile(r"^(#loc\d*) = loc\((.*)\)\s*$")
_REFERRED = re.compile(r"#loc\d*")
_PLACE = re.compile(r'"((?:[^"\\]|\\.)*)":(\d+):(\d+)')
_LAST = re.compile(r"loc\((.*)\)\s*$")
MAX_DEPTH = 20


class Place(NamedTuple):
    """A line and a column of the kernel file, lines counted from 1."""

    line: int
    column: int


class SourceLines:
    """The locations of one TTIR text."""

    def __init__(self, ttir: str) -> None:
        self.lines = ttir.splitlines()
        self.defined = {
            match[1]: match[2] for line in self.lines if (match := _DEFINED.match(line)) is not None
        }
        own = self._places(self.defined.get("#loc", ""))
        self.file = own[0][0] if own else ""

    def of(self, line: int) -> tuple[Place, ...]:
        """Return the places in the kernel file that a line of TTIR, counted from 1, came from.

        The first is that of the operation, the others those of the calls that lead there. What a function of
        a library does is at the place that calls it. Without locations there is none.
        """
        located = _LAST.search(self.lines[line - 1]) if 0 < line <= len(self.lines) else None
        places = self._places(located[1]) if located else []
        return tuple(place for file, place in places if file == self.file)

    def _places(self, text: str, depth: int = 0) -> list[tuple[str, Place]]:
        """Return files and places, that of the innermost function first."""
        found = [(match[1], Place(int(match[2]), int(match[3]))) for match in _PLACE.finditer(text)]
        if depth < MAX_DEPTH:
            for name in _REFERRED.findall(text):
                found += self._places(self.defined.get(name, ""), depth + 1)
        return found
