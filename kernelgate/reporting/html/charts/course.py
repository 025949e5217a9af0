"""The accepted kernel's gain from change to change, beside the best that there was."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from xml.etree.ElementTree import Element

from kernelgate.reporting.history import ORIGINAL, Moment, to_gain
from kernelgate.reporting.html.charts import plot
from kernelgate.reporting.html.charts.axis import Axis, around
from kernelgate.reporting.html.elements import node

HEIGHT = 260
ERRORS = 1.96
"""Errors that a bar shows on each side: it holds 95 of 100 (normal)."""

MAX_DATES = 4
"""Of what stands beneath, so that dates do not cover each other on a phone."""


def draw_course(moments: Sequence[Moment], max_creep: float, beside: str = ORIGINAL) -> Element:
    """Return the drawing of those moments that were measured, evenly spaced, oldest left.

    Gains are over what stands `beside` the kernels, the original or PyTorch.

    The lower line is `max_creep`, a share of time, behind the best kernel so far: under it is REGRESSED.
    Without a measured moment it is a sentence.
    """
    placed = [
        (number, each)
        for number, each in enumerate(moments, 1)
        if each.gain is not None and math.isfinite(each.gain)
    ]
    if not placed:
        return node("p", f"No chart: no accepted kernel was measured against {beside}.")
    axis = around([value for _, each in placed for value in _heights(each, max_creep)], 0.12)
    places = [f"{100 * (number + 0.5) / len(placed):.2f}%" for number in range(len(placed))]
    marks = [
        *plot.ticks_up(axis, HEIGHT, f"gain over {beside}, %"),
        plot.line("0%", HEIGHT, "100%", HEIGHT, "axis"),
        *_steps(axis, places, [each for _, each in placed], max_creep),
    ]
    step = math.ceil(len(placed) / MAX_DATES)
    for place, (number, moment) in enumerate(placed):
        marks += _point(axis, places[place], number, moment)
        if place % step == 0:
            marks.append(plot.text(moment.date, places[place], HEIGHT + 16))
    last = placed[-1][1]
    said = f"{len(placed)} moments, the last {last.date}: gain {last.gain:.2f} % over {beside}"
    return plot.draw_chart(HEIGHT, said, *marks)


def _heights(moment: Moment, max_creep: float) -> Iterator[float]:
    for log_ratio in (*_ends(moment), moment.best, _limit(moment, max_creep)):
        gain = to_gain(log_ratio)
        if gain is not None and math.isfinite(gain):
            yield gain


def _ends(moment: Moment) -> tuple[float, float]:
    middle, reach = moment.log_ratio or 0.0, ERRORS * (moment.error or 0.0)
    return middle - reach, middle + reach


def _limit(moment: Moment, max_creep: float) -> float | None:
    return None if moment.best is None else moment.best + math.log1p(max_creep)


def _steps(
    axis: Axis, places: Sequence[str], moments: Sequence[Moment], max_creep: float
) -> Iterator[Element]:
    """Yield the best so far, and how far behind it is allowed, over each moment; then the kernels."""
    width = 50 / len(moments)
    for place, moment in zip(places, moments, strict=True):
        left, right = (f"{float(place[:-1]) + side * width:.2f}%" for side in (-1, 1))
        for class_, log_ratio in (("best", moment.best), ("limit", _limit(moment, max_creep))):
            gain = to_gain(log_ratio)
            if gain is not None:
                y = plot.up(axis, gain, HEIGHT)
                yield plot.line(left, y, right, y, class_)
    for (left, old), (right, new) in pairwise(zip(places, moments, strict=True)):
        yield plot.line(left, _height(axis, old), right, _height(axis, new), "run" if new.is_run else "step")


def _height(axis: Axis, moment: Moment) -> float:
    return plot.up(axis, moment.gain or 0.0, HEIGHT)


def _point(axis: Axis, x: str, number: int, moment: Moment) -> Iterator[Element]:
    low, high = (plot.up(axis, to_gain(end) or 0.0, HEIGHT) for end in _ends(moment))
    yield plot.line(x, low, x, high, "error")
    yield node("circle", cx=x, cy=_height(axis, moment), r=5, class_="today" if moment.is_run else "estimate")
    yield plot.text(str(number), x, min(low, high) - 9, class_="tick strong")
