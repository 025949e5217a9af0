"""What a reader sees first: the verdict, the figure that it rests on, why, and what to do."""

import math
import re
import shlex
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from kernelgate.correctness.result import Correctness
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
        node("p", node("b", "Why: "), *prose(report.detail), class_="why"),
        node("p", node("b", "What to do: "), *prose(fill_in(report)), class_="do"),
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
    correctness = report.stages.get("correctness")
    found = correctness.result if correctness else None
    if isinstance(found, Correctness) and found.finding is not None:
        fault = report.diagnosis.map if report.diagnosis else None
        if fault is not None:
            return _figure(f"{fault.wrong:,} of {fault.compared:,} elements wrong", fault.where)
        return _figure(f"Broken law: {found.finding.law}", str(found.finding.case))
    return _tell_gain(report.timing) if report.timing is not None else None


def _tell_gain(timing: Performance) -> Element | None:
    low, gain, high = (
        100 * each for each in (timing.candidate.gain_low, timing.candidate.gain, timing.candidate.gain_high)
    )
    ours, theirs = (timing.time_ms.get(arm, math.nan) for arm in (Arm.CANDIDATE, Arm.ACCEPTED))
    if not all(map(math.isfinite, (low, gain, high, ours, theirs))):
        return None
    says = f"{abs(gain):.2f} % {'less' if gain > 0 else 'more'} time than the accepted kernel"
    if low <= 0 <= high:
        says = f"No difference in time: {gain:+.2f} %"
    by_code = " by an RTX 4090's code" if timing.ada_path else ""
    interval = f"gain {low:.2f} to {high:.2f} % at {100 * timing.candidate.confidence:.2f} % confidence"
    times = f"{ours:.3f} ms in place of {theirs:.3f} ms a call{by_code}, {theirs / ours:.2f} times as fast"
    return _figure(says, f"{interval}; {times}")


def _figure(number: str, note: str) -> Element:
    return node("p", number, node("small", note), class_="number-first")


def fill_in(report: Report) -> str:
    """Return the next step; commands that name this judgement's file or case can be pasted."""
    correctness = report.stages.get("correctness")
    finding = (
        correctness.result.finding if correctness and isinstance(correctness.result, Correctness) else None
    )
    case = finding.case.replay if finding and finding.alone else None

    def fill(found: re.Match[str]) -> str:
        command = found[0]
        if "--stage" not in command and not ("CASE" in command and case):
            return command
        command = re.sub(r"\bFILE\b", lambda _: shlex.quote(report.candidate.path), command)
        command = re.sub(r"\bCASE\b", lambda _: shlex.quote(case or "CASE"), command)
        return command if "--stage" in command else f"{command[:-1]} --stage {shlex.quote(report.stage)}`"

    return re.sub(r"`[^`]*`", fill, report.next_step)
