"""A line of TTIR cut into tokens, without the locations that only debuggers read."""

import re
from collections.abc import Sequence

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*")
    |(?P<value>%[\w$.\-]+(?:\#\d+)?(?::\d+)?)
    |(?P<symbol>@(?:"(?:[^"\\]|\\.)*"|[\w$.\-]+))
    |(?P<block>\^\w+)
    |(?P<type>!?(?:tensor|tt\.ptr|tt\.tensordesc)<)
    |(?P<number>-?(?:0x[0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)(?![\w]))
    |(?P<word>[A-Za-z_][\w$]*(?:\.[\w$]+)*)
    |(?P<mark>->|[-(){}\[\]<>,:=*\#!?+/|]))""",
    re.VERBOSE,
)
_PLAIN_LOCATION = re.compile(r"\s*loc\((?:#\w+|unknown)\)")
_ESCAPE = re.compile(r"\\([0-9A-Fa-f]{2}|.)")


def without_locations(line: str) -> str:
    """Return the line without `loc(...)`, which may hold parentheses and texts."""
    if "loc(" not in line:
        return line
    line = _PLAIN_LOCATION.sub("", line) if '"' not in line else line
    while (start := _find_location(line)) >= 0:
        line = line[:start].rstrip() + line[_end_of_parentheses(line, start + 3) :]
    return line


def _find_location(line: str) -> int:
    """Return where a location begins that is not within a text, or -1."""
    quoted = False
    for place, letter in enumerate(line):
        if letter == '"' and line[place - 1] != "\\":
            quoted = not quoted
        elif not quoted and line.startswith("loc(", place) and (place == 0 or line[place - 1] in " ,("):
            return place
    return -1


def _end_of_parentheses(line: str, start: int) -> int:
    depth, quoted = 0, False
    for place in range(start, len(line)):
        letter = line[place]
        if letter == '"' and line[place - 1] != "\\":
            quoted = not quoted
        depth += 0 if quoted else (letter == "(") - (letter == ")")
        if depth == 0 and not quoted:
            return place + 1
    return len(line)


def tokens_of(line: str) -> list[str]:
    """Return the line's tokens; a type in angle brackets is one. Raises ValueError."""
    found: list[str] = []
    place, end = 0, len(line.rstrip())
    while place < end:
        match = _TOKEN.match(line, place)
        if match is None:
            raise ValueError(f"`{line[place:].strip()[:20]}` is not understood")
        place = match.end()
        lexeme = match[0].strip()
        if match["type"]:
            stop = _end_of_angles(line, place)
            lexeme, place = lexeme + line[place:stop], stop
        found.append(lexeme)
    return found


def _end_of_angles(line: str, start: int) -> int:
    depth = 1
    for place in range(start, len(line)):
        depth += (line[place] == "<") - (line[place] == ">")
        if depth == 0:
            return place + 1
    raise ValueError("a bracket is not closed")


def unquote(lexeme: str) -> str:
    """Return what a quoted text says."""

    def one(match: re.Match[str]) -> str:
        code = match[1]
        if len(code) == 2:
            return chr(int(code, 16))
        return {"n": "\n", "t": "\t"}.get(code, code)

    return _ESCAPE.sub(one, lexeme[1:-1])


def matching(tokens: Sequence[str], start: int) -> int:
    """Return the place of the bracket that closes the one at `start`; raises ValueError."""
    depth = 0
    for place in range(start, len(tokens)):
        depth += (tokens[place] in "({[<") - (tokens[place] in ")}]>")
        if depth == 0:
            return place
    raise ValueError("a bracket is not closed")
