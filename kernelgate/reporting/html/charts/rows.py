"""Rows of a chart with an interval each: the name of a kernel, and beneath that its bar."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from kernelgate.reporting.html.charts import plot
from kernelgate.reporting.html.charts.axis import Axis
from kernelgate.reporting.html.elements import node

ROW = 40
"""Height of a row, in pixels."""

LETTERS = 34
"""Of a name, at most: a phone is as wide."""

OUTLINE = {"stroke": "var(--paper)", "stroke-width": "4", "paint-order": "stroke"}
"""Of a name, so that the lines behind it do not cross it."""


def name_row(name: str, top: int) -> Element:
    """Return the name of a row."""
    written = plot.text(name, "0%", top + 14, "start", "tick strong")
    for attribute, value in OUTLINE.items():
        written.set(attribute, value)
    return written


def draw_bar(axis: Axis, figures: tuple[float, float, float], y: int) -> Iterator[Element]:
    """Yield the interval: its low end, the figure and its high end are fractions, the axis is in percent."""
    low, middle, high = (plot.across(axis, 100 * each) for each in figures)
    yield plot.line(low, y, high, y, "interval")
    for end in (low, high):
        yield plot.line(end, y - 6, end, y + 6, "interval end")
    yield node("circle", cx=middle, cy=y, r=5, class_="estimate")


def shorten(name: str) -> str:
    """Return a name, or its end, which tells files apart."""
    return name if len(name) <= LETTERS else f"\u2026{name[1 - LETTERS :]}"
