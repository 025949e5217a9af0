"""What every chart has: a frame with its axes in words, lines, points and labels.

Places across are in percent of the chart, which is as wide as the page lets it be; heights are in pixels.
So text has the same size on a phone as on a desk. Text beside the frame stands in the chart's margins.
"""

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from kernelgate.reporting.html.charts.axis import Axis
from kernelgate.reporting.html.elements import Child, node


def draw_chart(height: int, describe: str, *marks: Child, wide: str = "") -> Element:
    """Return the drawing; `describe` says in words what it shows, for who cannot see it."""
    classes = f"chart {wide}".strip()
    return node("svg", *marks, class_=classes, height=height, role="img", aria_label=describe)


def figure(chart: Element, caption: str) -> Element:
    """Return a drawing with what explains it."""
    return node("figure", chart, node("figcaption", caption))


def across(axis: Axis, value: float) -> str:
    """Return the place of a value across the chart, cut at its edges."""
    return f"{100 * min(1.0, max(0.0, axis.share(value))):.2f}%"


def text(content: str, x: str | float, y: float, anchor: str = "middle", class_: str = "tick") -> Element:
    """Return a label; `anchor` is start, middle or end."""
    return node("text", content, x=x, y=round(y, 1), text_anchor=anchor, class_=class_)


def line(x1: str, y1: float, x2: str, y2: float, class_: str) -> Element:
    """Return a straight line."""
    return node("line", x1=x1, y1=round(y1, 1), x2=x2, y2=round(y2, 1), class_=class_)


def ticks_across(axis: Axis, height: int, unit: str, label: str, about: int = 5) -> list[Element]:
    """Return the lower axis: lines up the chart, numbers beneath, and what they are of."""
    marks = [line("0%", height, "100%", height, "axis")]
    for value in axis.ticks(about):
        marks.append(line(across(axis, value), 0, across(axis, value), height, "grid"))
        marks.append(text(f"{value:g}{unit}", across(axis, value), height + 16))
    return [*marks, text(label, "50%", height + 36, class_="label")]


def ticks_up(axis: Axis, height: int, label: str, about: int = 5) -> list[Element]:
    """Return the left axis: lines across the chart, numbers beside it, and above it what they are of."""
    marks = []
    for value in axis.ticks(about):
        y = up(axis, value, height)
        marks.append(line("0%", y, "100%", y, "grid"))
        marks.append(text(f"{value:g}", -8, y + 4, "end"))
    return [*marks, text(label, 0, -12, "start", "label")]


def up(axis: Axis, value: float, height: int) -> float:
    """Return the place of a value on the left axis, in pixels from the top."""
    return round(height * (1 - axis.share(value)), 1)


def spread(places: Sequence[float], gap: float, lowest: float) -> list[float]:
    """Return the places, which are sorted, so far apart that labels there do not cover each other.

    They are moved down, and up again from what would lie below the lowest place.
    """
    moved = list(places)
    for index in range(1, len(moved)):
        moved[index] = max(moved[index], moved[index - 1] + gap)
    for index in range(len(moved) - 1, -1, -1):
        moved[index] = min(moved[index], lowest - gap * (len(moved) - 1 - index))
    return moved
