"""The verdict in the few lines that a terminal shows."""

from kernelgate.correctness.diagnosis.words import draw, tell
from kernelgate.pipeline.stage import StageName
from kernelgate.reporting.report import Report

TALL, WIDE = 4, 2
"""Rows and columns of a picture that one character stands for: so the plane is as wide as it is high."""


def render_summary(report: Report) -> str:
    """Return the few lines that a terminal shows, the verdict at their end."""
    lines = [
        f"  {name:<12} {result.status:<10} {result.seconds:6.1f} s  {_seen(report, name)}"
        for name, result in report.stages.items()
    ]
    lines += [f"  sandbox: {lack}" for lack in (report.sandbox.lacks if report.sandbox else ())]
    if report.algorithm != "direct":
        lines.append(f"  judged by the laws of {report.algorithm} algorithm")
    lines += [f"  advice: {first_line(each)}" for each in report.advice]
    diagnosis = report.diagnosis
    if diagnosis is not None and diagnosis.map is not None:
        lines += ["", *(f"  {line}" for line in draw(diagnosis.map, TALL, WIDE)), ""]
    lines += [f"{report.verdict}  ({report.reason})", f"  {printable(report.detail)}"]
    if diagnosis is not None:
        lines += [f"  {name}: {printable(text)}" for name, text in tell(diagnosis)]
    lines.append(f"  next: {report.next_step}")
    return "\n".join(lines)


def _seen(report: Report, name: StageName) -> str:
    """Return what a stage saw, which the verdict does not say again."""
    detail = report.stages[name].detail
    return "the verdict says why" if detail == report.detail else first_line(detail)


def first_line(text: str) -> str:
    """Return the first line of a text as a terminal may show it, cut at 160 characters."""
    line = printable(text).partition("\n")[0]
    return line if len(line) <= 160 else line[:157] + "..."


def printable(text: str) -> str:
    """Return text that drives no terminal; a line of its own never starts a command of a workflow."""
    lines = ("".join(c if c.isprintable() else "?" for c in line) for line in text.strip().splitlines())
    return "\n  | ".join(lines)
