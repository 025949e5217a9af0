"""What a reader sees first: the verdict, the figure that it rests on, why, and what to do."""

import math
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from kernelgate.outcome import Outcome
from kernelgate.performance.result import Performance
from kernelgate.performance.samples import Arm
from kernelgate.reporting.html.elements import node, prose
from kernelgate.reporting.report import Report


def render_headline(report: Report) -> Element:
    """Return the head of the page."""
    title = node(
        "h1",
        node("span", report.verdict, class_="verdict"),
        node("span", report.candidate.path, class_="path"),
    )
    return node(
        "header",
        node("p", " · ".join(_circumstances(report)), class_="kind"),
        title,
        _render_figure(report),
        node("p", report.verdict.meaning, class_="why"),
        node("p", node("b", "Why: "), *prose(report.why), class_="why"),
        node("p", node("b", "What to do: "), *prose(report.next_step), class_="do"),
    )


def _circumstances(report: Report) -> Iterator[str]:
    yield report.operation
    yield report.gpu or "no GPU"
    yield f"stage {report.stage}"
    yield f"rule {report.rule}"
    yield f"reason {report.reason}"
    if report.judged_at:
        yield report.judged_at.replace("T", " ").replace("+00:00", " UTC")


def _render_figure(report: Report) -> Element | None:
    """Return the number that the verdict rests on, None where it rests on none."""
    if (finding := report.finding) is not None:
        fault = finding.diagnosis.map if finding.diagnosis else None
        if fault is not None:
            return _figure(f"{fault.wrong:,} of {fault.compared:,} elements wrong", fault.where)
        return _figure(f"Broken law: {finding.law}", str(finding.case))
    if report.timing is None or report.verdict is Outcome.INVALID:  # whose figures say nothing
        return None
    return _tell_gain(report.timing, report.verdict is Outcome.UNSTABLE)


def _tell_gain(timing: Performance, is_open: bool) -> Element | None:
    low, gain, high = (
        100 * each for each in (timing.candidate.gain_low, timing.candidate.gain, timing.candidate.gain_high)
    )
    ours, theirs = (timing.time_ms.get(arm, math.nan) for arm in (Arm.CANDIDATE, Arm.ACCEPTED))
    if not all(map(math.isfinite, (low, gain, high, ours, theirs))):
        return None
    says = f"{abs(gain):.2f} % {'less' if gain > 0 else 'more'} time than the accepted kernel"
    interval = f"gain {low:.2f} to {high:.2f} % at {100 * timing.candidate.confidence:.2f} % confidence"
    if is_open:
        says, interval = f"Gain somewhere from {low:.2f} to {high:.2f} %", f"{gain:.2f} % in the middle"
    elif low <= 0 <= high:
        says = f"No difference in time: {gain:+.2f} %"
    by_code = " by an RTX 4090's code" if timing.ada_path else ""
    times = f"{ours:.3f} ms in place of {theirs:.3f} ms a call{by_code}, {theirs / ours:.2f} times as fast"
    return _figure(says, f"{interval}; {times}")


def _figure(number: str, note: str) -> Element:
    return node("p", number, node("small", note), class_="number-first")
