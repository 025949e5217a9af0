"""Gains of many kernels over one: an interval a kernel, against the lines of the rule."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element

from kernelgate.reporting.html.charts import plot
from kernelgate.reporting.html.charts.axis import Axis
from kernelgate.reporting.html.charts.rows import ROW, draw_bar, name_row, shorten

SHOWN = 0.25
"""A loss of more than this share is written: the others would shrink."""


class Gain(NamedTuple):
    """The gain of a kernel, a fraction, with the ends of its interval."""

    name: str
    value: float
    low: float
    high: float


def draw_gains(gains: Sequence[Gain]) -> Element:
    """Return the drawing with what explains it, the largest gain on top."""
    axis, height = _find_axis(gains), ROW * len(gains)
    marks = [*plot.ticks_across(axis, height, " %", "gain"), *_lines(axis, height)]
    for row, each in enumerate(gains):
        marks += _row(axis, each, ROW * row)
    said = f"{len(gains)} kernels by their gain, the largest is {100 * gains[0].value:.2f} %"
    return plot.figure(
        plot.draw_chart(height, said, *marks),
        "A bar is the interval of a kernel's gain: the share of the accepted kernel's time that it saves. "
        "Each was measured by itself, so that kernels which are close are not put in order by this: "
        "kernelgate rank does that.",
    )


def _find_axis(gains: Sequence[Gain]) -> Axis:
    ends = [100 * end for each in gains if each.value >= -SHOWN for end in (each.low, each.high)]
    low, high = min(-2.0, *ends, 0.0), max(3.0, *ends, 0.0)
    room = 0.06 * (high - low)
    return Axis(low=low - room, high=high + room)


def _lines(axis: Axis, height: int) -> Iterator[Element]:
    x = plot.across(axis, 0.0)
    yield plot.line(x, -4, x, height, "rule gain")
    yield plot.text("the accepted kernel", x, -8, "start")


def _row(axis: Axis, each: Gain, top: int) -> Iterator[Element]:
    yield name_row(shorten(each.name), top)
    y = top + 27
    if each.value < -SHOWN:
        yield plot.text(f"{100 * each.value:.0f} %, beyond the picture", "0%", y + 4, "start")
    else:
        yield from draw_bar(axis, (each.low, each.value, each.high), y)
