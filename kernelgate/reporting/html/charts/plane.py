"""A plane of a wrong answer: each element right, wrong, never written, or not looked at."""

import itertools
from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element

from kernelgate.operations.faults.fault_map import RIGHT, UNSEEN, UNWRITTEN, WRONG, FaultMap
from kernelgate.reporting.html.elements import node

CLASSES = {RIGHT: "right", WRONG: "wrong", UNWRITTEN: "unwritten"}
WORDS = {RIGHT: "right", WRONG: "wrong", UNWRITTEN: "never written", UNSEEN: "not looked at"}
LABELS = 28
"""Lines of text that a picture is high or wide: their size goes by it, whatever the plane's."""


def draw_plane(found: FaultMap) -> Element:
    """Return the drawing with its key; a mark that is no mark of a map is drawn as not looked at."""
    key = [node("span", word, class_=f"key {class_}".strip()) for word, class_ in list_key(found)]
    return node(
        "figure", picture_plane(found), node("figcaption", f"{name_plane(found)}:", *key), class_="fault"
    )


def name_plane(found: FaultMap) -> str:
    """Return which plane it is, and how large."""
    return f"{found.plane}, {len(found.rows)} rows x {max(map(len, found.rows), default=0)} columns"


def list_key(found: FaultMap) -> list[tuple[str, str]]:
    """Return what each mark of the drawing means, and the class that colours it."""
    drawn = [mark for mark in WORDS if any(mark in row for row in found.rows)]
    return [(WORDS[mark], CLASSES.get(mark, "")) for mark in drawn]


def picture_plane(found: FaultMap) -> Element:
    """Return the drawing alone."""
    rows, columns = len(found.rows), max(map(len, found.rows), default=0)
    size = max(rows, columns) / LABELS
    shapes = [
        node("path", d="".join(_runs(found.rows, mark)), class_=f"cell {class_}")
        for mark, class_ in CLASSES.items()
        if any(mark in row for row in found.rows)
    ]
    return node(
        "svg",
        _hatching(),
        node("rect", x=0, y=0, width=columns, height=rows, class_="plane"),
        *shapes,
        *_numbers(rows, columns, size),
        class_="picture",
        viewBox=" ".join(f"{each:g}" for each in (-2 * size, -2 * size, columns + 3 * size, rows + 3 * size)),
        role="img",
        aria_label=f"{found.plane}: {found.where} wrong",
    )


def _runs(rows: Sequence[str], mark: str) -> Iterator[str]:
    """Yield a rectangle for each run of the mark along a row."""
    for y, row in enumerate(rows):
        x = 0
        for found, run in itertools.groupby(row):
            width = len(list(run))
            if found == mark:
                yield f"M{x} {y}h{width}v1h-{width}z"
            x += width


def _hatching() -> Element:
    stripe = node("path", d="M0 1L1 0", class_="stripe")
    pattern = node("pattern", stripe, id="hatched", width=1, height=1, patternUnits="userSpaceOnUse")
    return node("defs", pattern)


def _numbers(rows: int, columns: int, size: float) -> Iterator[Element]:
    """Yield the first and the last number of the columns, above, and of the rows, beside."""

    def label(content: str, x: float, y: float, anchor: str) -> Element:
        return node("text", content, x=f"{x:g}", y=f"{y:g}", text_anchor=anchor, font_size=f"{size:g}")

    for column in (0, columns - 1):
        yield label(str(column), column + 0.5, -size / 2, "middle")
    for row in (0, rows - 1):
        yield label(str(row), -size / 2, row + 0.5 + size / 3, "end")
    yield label("column", columns / 2, -size / 2, "middle")
