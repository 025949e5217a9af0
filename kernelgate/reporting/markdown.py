"""Text in Markdown that cannot leave its place: it may hold what a candidate printed or is called."""

from collections.abc import Sequence

_INERT = str.maketrans(
    {char: f"\\{char}" for char in "`*["}
    | {char: f"&#{ord(char)};" for char in "\\<|#&"}
    | {"@": "&#64;&#8203;"}
)
"""Characters that Markdown or GitHub would act on; a space without width keeps @name from being a mention.

What a sentence often holds gets a backslash, since people read the page as raw text too.
"""

MAX_CELL_CHARACTERS = 600


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table; its cells may hold any text."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(map(cell, line)) + " |" for line in lines)


def cell(text: str) -> str:
    """Return text that cannot leave its cell, cut to what a table can show."""
    return inert(" ".join(text.split())[:MAX_CELL_CHARACTERS])


def inert(text: str) -> str:
    """Return text on one line that is no Markdown, no HTML and mentions nobody."""
    return " ".join(text.split()).translate(_INERT)


def prose(text: str) -> str:
    """Return text on one line in which only what stands between backticks is Markdown: code."""
    pieces = " ".join(text.split()).split("`")
    if len(pieces) % 2 == 0:
        return inert(text)
    shown = (code(piece) if place % 2 else piece.translate(_INERT) for place, piece in enumerate(pieces))
    return "".join(shown)


def code(text: str) -> str:
    """Return text on one line as code."""
    return "`" + " ".join(text.split()).replace("`", "'") + "`"
