"""The history as a page: the accepted kernel against its original, by GPU, with accepted changes named."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from kernelgate.reporting.history import Course, list_moment
from kernelgate.reporting.html.charts.course import draw_course
from kernelgate.reporting.html.charts.plot import figure
from kernelgate.reporting.html.document import FAIL, PASS, UNSURE, render_document
from kernelgate.reporting.html.elements import Child, node, section, table

WORDS = {PASS: "NO CREEP", FAIL: "CREPT", UNSURE: "NOT MEASURED"}
"""By the worst of the GPUs."""


def render_history_page(operation: str, courses: Sequence[Course], max_creep: float) -> str:
    """Return the page; `max_creep` is the share of time by which a kernel may fall behind the best one."""
    accents = [_accent(course, max_creep) for course in courses]
    accent = next((each for each in (FAIL, UNSURE, PASS) if each in accents), UNSURE)
    head = node(
        "header",
        node("p", "the accepted kernel over time", class_="kind"),
        node("h1", node("span", WORDS[accent], class_="verdict"), node("span", operation, class_="path")),
        *(node("p", *_tell(course), class_="number-first") for course in courses),
        None if courses else node("p", "No GPU has a record yet.", class_="why"),
    )
    parts = (_render_course(course, max_creep) for course in courses)
    return render_document(f"{operation}: {WORDS[accent]}", accent, head, *parts)


def _accent(course: Course, max_creep: float) -> str:
    behind = course.moments[-1].behind_percent if course.moments else None
    if behind is None:
        return UNSURE
    return FAIL if behind > 100 * max_creep else PASS


def _tell(course: Course) -> list[Child]:
    """Return where the accepted kernel stands, in a line and a smaller one."""
    last = course.moments[-1] if course.moments else None
    gain, behind = (last.gain, last.behind_percent) if last else (None, None)
    if gain is None or behind is None:
        return [f"{course.gpu}: not measured against {course.beside}"]
    stands = (
        f"{behind:.2f} % behind the best kernel accepted so far" if behind >= 0.005 else "the best so far"
    )
    return [
        f"{course.gpu}: {abs(gain):.2f} % {'less' if gain >= 0 else 'more'} time than {course.beside}",
        node("small", stands),
    ]


def _render_course(course: Course, max_creep: float) -> Element:
    rows: list[list[Child]] = []
    for number, each in enumerate(course.moments, 1):
        date, reason, *figures = list_moment(each)
        rows.append([node("span", f"{number}. {date}", node("small", reason)), *figures])
    return section(
        course.gpu,
        figure(
            draw_course(course.moments, max_creep, course.beside),
            "Full points are accepted kernels, hollow ones later runs of the last one; a bar is its 95 % "
            "interval. The upper dashed line is the best kernel accepted so far. The lower one is "
            f"{100 * max_creep:g} % more time than that: what sinks below it has crept too far.",
        ),
        table("Accepted kernels", ("accepted", *course.columns[2:]), rows, numbers=(1, 2, 3)),
    )
