"""The verdict in the few lines that a terminal shows."""

from kernelgate.reporting.report import Report


def render_summary(report: Report) -> str:
    """Return the few lines that a terminal shows."""
    lines = [f"{report.verdict}  ({report.reason})", f"  {printable(report.detail)}"]
    lines += [
        f"  {name:<12} {result.status:<10} {result.seconds:6.1f} s  {first_line(result.detail)}"
        for name, result in report.stages.items()
    ]
    lines += [f"  sandbox: {lack}" for lack in (report.sandbox.lacks if report.sandbox else ())]
    lines += [f"  advice: {first_line(each)}" for each in report.advice]
    lines.append(f"  next: {report.next_step}")
    return "\n".join(lines)


def first_line(text: str) -> str:
    """Return the first line of a text as a terminal may show it, cut at 160 characters."""
    line = printable(text).partition("\n")[0]
    return line if len(line) <= 160 else line[:157] + "..."


def printable(text: str) -> str:
    """Return text that drives no terminal; a line of its own never starts a command of a workflow."""
    lines = ("".join(c if c.isprintable() else "?" for c in line) for line in text.strip().splitlines())
    return "\n  | ".join(lines)
