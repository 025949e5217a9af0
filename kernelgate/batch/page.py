"""A batch as a page: batch.html, with what is worth a look first."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from kernelgate.batch.result import Result, Tally
from kernelgate.reporting.html.charts.gains import Gain, draw_gains
from kernelgate.reporting.html.document import FAIL, PASS, UNSURE, accent_of, render_document
from kernelgate.reporting.html.elements import Child, node, section, table
from kernelgate.verdict import Outcome

PAGE_NAME = "batch.html"

MOST_DRAWN = 40
"""Gains in the picture: of more the table tells."""


def render_batch_page(results: Sequence[Result], folder: Path, seconds: float) -> str:
    """Return the page of these results as one file that needs no network; it will lie in the folder."""
    ordered = sorted(results, key=_interest)
    tally = Tally()
    for each in results:
        tally.add(each)
    head = node(
        "header",
        node("p", " \u00b7 ".join(_circumstances(results, seconds)), class_="kind"),
        node("h1", node("span", f"{len(results)} candidates", class_="verdict")),
        node("p", tally.count(), class_="number-first"),
    )
    return render_document(f"{len(results)} candidates", _accent(results), head, *_parts(ordered, folder))


def _interest(result: Result) -> tuple[int, float, str]:
    """Return what orders results: the best verdict first, in it the largest gain."""
    return list(Outcome).index(result.verdict), -(result.gain or 0.0), result.file


def _accent(results: Sequence[Result]) -> str:
    accents = {accent_of(each.verdict) for each in results}
    return next((accent for accent in (PASS, UNSURE) if accent in accents), FAIL)


def _circumstances(results: Sequence[Result], seconds: float) -> Iterator[str]:
    yield from sorted({each.operation for each in results if each.operation})
    judged = [each for each in results if not each.reused and each.same_as is None]
    yield f"{len(judged)} judged in {seconds:.0f} s"
    if judged and seconds >= 1:
        yield f"{3600 * len(judged) / seconds:.0f} an hour"


def _parts(ordered: Sequence[Result], folder: Path) -> Iterator[Element]:
    timed = [each for each in ordered if _gain_of(each) is not None]
    if timed:
        yield _render_timed(timed, folder)
    if len(timed) < len(ordered):
        header = ("file", "verdict", "seconds", "why")
        rows = [_row(each, folder, _why(each)) for each in ordered if each not in timed]
        title = f"{len(rows)} were not timed"
        yield section(title, table(title, header, rows, numbers=(2,), kind="said"))


def _render_timed(timed: Sequence[Result], folder: Path) -> Element:
    gains = sorted(filter(None, map(_gain_of, timed)), key=lambda gain: -gain.value)
    title, header = f"{len(timed)} were timed", ("file", "verdict", "seconds", "gain")
    rows = [_row(each, folder, _show(gain)) for each in timed if (gain := _gain_of(each))]
    figures = table(title, header, rows, numbers=(2, 3), kind="figures")
    return section(title, draw_gains(gains[:MOST_DRAWN]), figures)


def _gain_of(result: Result) -> Gain | None:
    if result.gain is None or result.gain_low is None or result.gain_high is None:
        return None
    return Gain(result.file, result.gain, result.gain_low, result.gain_high)


def _show(gain: Gain) -> str:
    return f"{100 * gain.value:.2f} % [{100 * gain.low:.2f}, {100 * gain.high:.2f}]"


def _row(result: Result, folder: Path, last: str) -> list[Child]:
    took = "before" if result.reused else "copy" if result.same_as else f"{result.seconds:.1f}"
    return [_link(result, folder), f"{result.verdict} ({result.reason})", took, last]


def _why(result: Result) -> str:
    """Return the detail without the case to replay, which stands in the report."""
    return result.detail.partition(" Replay: ")[0]


def _link(result: Result, folder: Path) -> Child:
    """Return the file's name, which leads to its report, as seen from the folder, where there is one."""
    if result.report is None:
        return result.file
    return node("a", result.file, href=Path(os.path.relpath(result.report, folder), "report.html").as_posix())
