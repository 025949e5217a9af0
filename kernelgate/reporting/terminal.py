"""The verdict in the few lines that a terminal shows."""

from kernelgate.correctness.diagnosis.words import draw, tell
from kernelgate.operations.faults.fault_map import FaultMap
from kernelgate.pipeline.stage import StageResult
from kernelgate.reporting.report import Report

WIDEST, FEW_ROWS = 100, 16
"""The characters of a line of a picture, at most; so many rows are drawn one by one."""

TALL_TO_WIDE = 2
"""A character is so much taller than wide: the plane keeps its shape."""


def render_asked(candidate: str, operation: str, stage: str) -> str:
    """Return which file is judged, as what."""
    return f"{printable(candidate)} as {printable(operation)}, by stage {stage}"


def render_summary(report: Report) -> str:
    """Return the few lines that a terminal shows, the verdict at their end."""
    stages = [render_stage(name, result, report.detail) for name, result in report.stages.items()]
    return "\n".join([*stages, *render_remarks(report), *render_verdict(report)])


def render_stage(name: str, result: StageResult, said: str | None = None) -> str:
    """Return a line for a stage; what fails it is said by the verdict, as is what else is `said`."""
    is_said = result.status == "failed" or result.detail == said
    seen = "the verdict says why" if is_said else first_line(result.detail)
    return f"  {name:<12} {result.status:<10} {result.seconds:6.1f} s  {seen}"


def render_remarks(report: Report) -> list[str]:
    """Return what a reader should know beside the verdict, and a wrong answer as a picture."""
    lines = [f"  sandbox: {lack}" for lack in (report.sandbox.lacks if report.sandbox else ())]
    if report.algorithm != "direct":
        lines.append(f"  judged by the laws of {report.algorithm} algorithm")
    lines += [f"  advice: {first_line(each)}" for each in report.advice]
    if report.diagnosis is not None and report.diagnosis.map is not None:
        lines += ["", *(f"  {line}" for line in _draw_small(report.diagnosis.map)), ""]
    return lines


def _draw_small(found: FaultMap) -> list[str]:
    """Draw a plane in its shape; one that fits is drawn whole."""
    columns = max(map(len, found.rows), default=0)
    wide = -(-columns // WIDEST)
    if len(found.rows) > FEW_ROWS:
        wide = max(2, wide)
    return draw(found, 1 if len(found.rows) <= FEW_ROWS else TALL_TO_WIDE * wide, wide)


def render_verdict(report: Report) -> list[str]:
    """Return the verdict, why, and what to do next."""
    told = [*render_reasons(report), render_next(report)]
    return [f"{report.verdict}  ({report.reason})", *(f"  {line}" for line in told)]


def render_reasons(report: Report) -> list[str]:
    """Return why, and what a wrong answer looks like."""
    told = [f"{name}: {printable(text)}" for name, text in tell(report.diagnosis)] if report.diagnosis else []
    return [printable(report.why), *told]


def render_next(report: Report) -> str:
    """Return what to do next, in a line: a command in it can be copied."""
    return f"next: {printable(report.next_step)}"


def first_line(text: str) -> str:
    """Return the first line of a text as a terminal may show it, cut at 160 characters."""
    line = printable(text).partition("\n")[0]
    return line if len(line) <= 160 else line[:157] + "..."


def printable(text: str) -> str:
    """Return text that drives no terminal; a line of its own never starts a command of a workflow."""
    lines = ("".join(c if c.isprintable() else "?" for c in line) for line in text.strip().splitlines())
    return "\n  | ".join(lines)
