"""The report as a page: report.html."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from kernelgate.compilation.stage import CompileResult
from kernelgate.correctness.result import Correctness
from kernelgate.kernel_file.violation import Violation
from kernelgate.reporting.contents.environment import list_environment
from kernelgate.reporting.html.checked import render_checked, render_fault
from kernelgate.reporting.html.compiled import render_compiled, render_counters
from kernelgate.reporting.html.document import accent_of, render_document
from kernelgate.reporting.html.elements import listed, node, section, table
from kernelgate.reporting.html.headline import render_headline
from kernelgate.reporting.html.speed import render_speed
from kernelgate.reporting.report import Report


def render_html(report: Report) -> str:
    """Return the report as one file that needs no network and no script."""
    title = f"{report.verdict}: {report.candidate.path}"
    parts = (*_render_answers(report), *_render_record(report))
    return render_document(title, accent_of(report.verdict), render_headline(report), *parts)


def _render_answers(report: Report) -> Iterator[Element]:
    """Yield what the verdict rests on, the most telling part first."""
    results = [stage.result for stage in report.stages.values()]
    for result in results:
        if isinstance(result, tuple) and result:
            yield _render_violations(result)
        if isinstance(result, Correctness) and (fault := render_fault(result)) is not None:
            yield fault
    if report.timing is not None:
        yield render_speed(report.timing, report.operation)
    for result in results:
        if isinstance(result, CompileResult):
            yield render_compiled(result)
            if report.counters is not None:
                yield render_counters(report.counters, report.gpu)
    yield from (render_checked(result) for result in results if isinstance(result, Correctness))


def _render_violations(violations: tuple[Violation, ...]) -> Element:
    rows = [(str(each.line or "-"), each.rule, each.message) for each in violations]
    return section("What is forbidden", table("What is forbidden", ("line", "rule", "what was seen"), rows))


def _render_record(report: Report) -> Iterator[Element]:
    """Yield what may be looked up: stages, advice, environment."""
    yield _render_stages(report)
    if report.advice:
        note = node("p", "It decides nothing.", class_="note")
        yield section("Advice", note, listed(report.advice))
    lacks = report.sandbox.lacks if report.sandbox else ()
    yield section(
        "Environment",
        table("Environment", ("what", "value"), list(list_environment(report)), kind="facts"),
        listed(lacks) if lacks else None,
    )


def _render_stages(report: Report) -> Element:
    longest = max((stage.seconds for stage in report.stages.values()), default=0.0) or 1.0
    rows = []
    for name, stage in report.stages.items():
        bar = node("rect", width=f"{100 * stage.seconds / longest:.1f}%", height="100%")
        share = node("svg", bar, class_="share", aria_hidden="true")
        said = "what the verdict says" if stage.detail == report.detail else stage.detail
        rows.append((name, stage.status, f"{stage.seconds:.1f} s", share, said))
    total = sum(stage.seconds for stage in report.stages.values())
    header = ("stage", "result", "time", "share", "what was seen")
    return section(f"Stages: {total:.1f} s in all", table("Stages", header, rows, numbers=(2,), kind="said"))
