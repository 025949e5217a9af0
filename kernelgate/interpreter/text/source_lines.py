"""From a line of TTIR to the line of the kernel file that it came from, by the locations that debuggers read."""

import re

_DEFINED = re.compile(r"^(#loc\d*) = loc\((.*)\)\s*$")
_REFERRED = re.compile(r"#loc\d*")
_PLACE = re.compile(r'"((?:[^"\\]|\\.)*)":(\d+):\d+')
_LAST = re.compile(r"loc\((.*)\)\s*$")
MAX_DEPTH = 20


class SourceLines:
    """The locations of one TTIR text."""

    def __init__(self, ttir: str) -> None:
        self.lines = ttir.splitlines()
        self.defined = {
            match[1]: match[2] for line in self.lines if (match := _DEFINED.match(line)) is not None
        }
        own = self._places(self.defined.get("#loc", ""))
        self.file = own[0][0] if own else ""

    def of(self, line: int) -> int:
        """Return the line of the kernel file that a line of TTIR, counted from 1, came from; 0 if unknown.

        Of a function of a library that was called it is the line that calls it.
        """
        located = _LAST.search(self.lines[line - 1]) if 0 < line <= len(self.lines) else None
        places = self._places(located[1]) if located else []
        return next((number for file, number in places if file == self.file), 0)

    def _places(self, text: str, depth: int = 0) -> list[tuple[str, int]]:
        """Return files and lines, that of the innermost function first."""
        found = [(match[1], int(match[2])) for match in _PLACE.finditer(text)]
        if depth < MAX_DEPTH:
            for name in _REFERRED.findall(text):
                found += self._places(self.defined.get(name, ""), depth + 1)
        return found
