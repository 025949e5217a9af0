"""What a terminal shows of a judgement: each stage as it ends, and the verdict last and largest."""

from typing import TextIO

from rich.console import Console, Group
from rich.panel import Panel
from rich.text import Text

from kernelgate.pipeline.stage import StageName, StageResult
from kernelgate.reporting.progress import StageLog, StageProgress
from kernelgate.reporting.report import Report
from kernelgate.reporting.terminal import (
    render_next,
    render_reasons,
    render_remarks,
    render_stage,
    render_verdict,
)
from kernelgate.verdict import Outcome

COLOURS = {"passed": "green", "failed": "red", "not-needed": "dim"}
MARKS = {"passed": "✓", "failed": "✗", "not-needed": "-"}
UNDECIDED = frozenset({Outcome.UNSTABLE, Outcome.INVALID, Outcome.NO_BASELINE})
"""They say nothing against the kernel."""


class Screen:
    """Tells a judgement as it runs; what is no terminal gets the same lines without colour or frame."""

    def __init__(self, output: TextIO) -> None:
        self._console = Console(file=output, highlight=False, soft_wrap=True)
        self._progress = StageProgress(output) if output.isatty() else StageLog(output)

    def note(self, stage: StageName) -> None:
        """Show the stage at work: by a bar, in a log by a line every ten seconds."""
        self._progress.note(stage)

    def ended(self, stage: StageName, result: StageResult) -> None:
        """Print the stage's line, unless an earlier one has said why there is nothing to say."""
        self.stop()
        if result.status == "not-run":
            return
        line = render_stage(stage, result)
        if self._console.is_terminal:
            line = f"{MARKS[result.status]}{line[1:]}"
        self._console.print(Text(line, style=COLOURS[result.status]))

    def stop(self) -> None:
        """Take the progress away."""
        self._progress.stop()


def show_verdict(report: Report, page: str, output: TextIO, *, with_remarks: bool = True) -> None:
    """Print remarks, the page's place and the verdict: in a frame on a terminal, else as plain lines."""
    console = Console(file=output, highlight=False, soft_wrap=True)
    for line in [*(render_remarks(report) if with_remarks else ()), f"  report: {page}"]:
        console.print(Text(line))
    if console.is_terminal:
        console.print(_frame(report), soft_wrap=False)
        console.print(Text(render_next(report)))  # outside of the frame, which would break its command
    else:
        console.print(Text("\n".join(render_verdict(report))))


def _frame(report: Report) -> Panel:
    colour = "yellow" if report.verdict in UNDECIDED else "green" if report.passes else "red"
    title = Text(f" {report.verdict} ", style=f"bold reverse {colour}")
    told = Group(*(Text(line) for line in render_reasons(report)))
    return Panel(told, title=title, subtitle=Text(report.reason), title_align="left", border_style=colour)
