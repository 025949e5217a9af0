"""Drawings of a report that stand alone, as SVG files: for a README, a pull request, a talk."""

from collections.abc import Iterator
from textwrap import wrap
from xml.etree.ElementTree import Element

from kernelgate.operations.faults.fault_map import FaultMap
from kernelgate.performance.result import Performance
from kernelgate.reporting.html.charts.interval import chart_interval
from kernelgate.reporting.html.charts.plane import list_key, name_plane, picture_plane
from kernelgate.reporting.html.charts.plot import text
from kernelgate.reporting.html.elements import Child, node, render
from kernelgate.reporting.html.style import CHARTS, PALETTE
from kernelgate.reporting.report import Report

WIDTH = 720
"""Of a drawing, in pixels."""

PLANE = 240
"""Width and height of the picture of a wrong answer, in pixels."""

LETTERS = 54
"""Of a line beside that picture."""


def draw_pictures(report: Report) -> Iterator[tuple[str, str]]:
    """Yield name and content of each SVG file: the interval of a timing, the plane of a wrong answer."""
    if report.timing is not None:
        chart = chart_interval(report.timing.candidate, report.timing.band)
        if chart is not None:
            yield "interval.svg", _frame_interval(report.verdict, report.operation, report.timing, chart)
    found = report.diagnosis.map if report.diagnosis else None
    if found is not None and any(found.rows):
        yield "output.svg", _frame_plane(report, found)


def stand_alone(height: int, *children: Child) -> str:
    """Return an SVG file: these elements on paper, with the style of the report's pages."""
    return render(
        node(
            "svg",
            node("style", PALETTE, CHARTS, "svg { overflow: visible; font-family: system-ui, sans-serif; }"),
            node("rect", width=WIDTH, height=height, fill="var(--paper)"),
            *children,
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {WIDTH} {height}",
        )
    )


def title(content: str, y: int = 24, class_: str = "strong") -> Element:
    """Return a line of text above a drawing."""
    return node("g", text(content, 24, y, "start", class_), class_="chart")


def _frame_interval(verdict: str, operation: str, timing: Performance, chart: Element) -> str:
    gain = timing.candidate
    ends = f"{100 * gain.gain_low:.2f} to {100 * gain.gain_high:.2f} %"
    height = int(chart.get("height", 0))
    return stand_alone(
        height + 148,
        title(f"{verdict}: gain {100 * gain.gain:.2f} %, interval {ends}"),
        title(f"{operation} on {timing.gpu.name}, batch {timing.batch}", 42, "tick"),
        node("svg", chart, x=100, y=92, width=WIDTH - 130, height=height),
    )


def _frame_plane(report: Report, found: FaultMap) -> str:
    return stand_alone(
        PLANE + 84,
        title(f"{report.verdict} ({report.reason}): {found.where} wrong"),
        title(f"{report.operation}, {name_plane(found)}", 42, "tick"),
        node("svg", picture_plane(found), x=24, y=64, width=PLANE, height=PLANE),
        node("g", *_explain_plane(report, found), transform=f"translate({PLANE + 56} 90)", class_="chart"),
    )


def _explain_plane(report: Report, found: FaultMap) -> Iterator[Element]:
    """Yield the key of the picture, and what the fault looks like."""
    y = 0
    for word, class_ in list_key(found):
        yield node("rect", x=0, y=y, width=14, height=14, class_=f"cell {class_}".strip())
        yield text(word, 24, y + 12, "start")
        y += 28
    guess = report.diagnosis.guess if report.diagnosis else None
    if guess is not None:
        yield text(f"looks like: {guess.kind}", 0, y + 24, "start", "strong")
        for number, line in enumerate(wrap(guess.because, LETTERS), 1):
            yield text(line, 0, y + 24 + 18 * number, "start")
