"""What a terminal shows of a batch: a line for each candidate, and how many got which verdict."""

import time
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.text import Text

from kernelgate.batch.result import Result, Tally
from kernelgate.judging.screen import UNDECIDED
from kernelgate.pipeline.stage import StageName, StageResult
from kernelgate.reporting.progress import StageProgress
from kernelgate.reporting.terminal import printable
from kernelgate.verdict import Outcome, Reason

VERDICT_WIDTH = max(map(len, Outcome))
REASON_WIDTH = max(map(len, Reason))


class Table:
    """Tells a batch as it runs; on a terminal also the stage at work."""

    def __init__(self, output: TextIO, *, with_rows: bool) -> None:
        self._console = Console(file=output, highlight=False, soft_wrap=True)
        self._progress = StageProgress(output if with_rows else None)
        self._with_rows, self._started = with_rows, time.monotonic()
        self.tally = Tally()
        self.results: list[Result] = []

    def begin(self, candidates: int, judges: int) -> None:
        """Say how many are judged at a time, if several are: no row comes before the first is judged."""
        if self._with_rows and judges > 1:
            self._console.print(Text(f"  {candidates} candidates, {judges} at a time"))

    def note(self, stage: StageName) -> None:
        """Show the stage at work."""
        self._progress.note(stage)

    def ended(self, stage: StageName, result: StageResult) -> None:
        """Say nothing: a batch has a line for each candidate, not for each stage."""

    def stop(self) -> None:
        """Take the progress away."""
        self._progress.stop()

    def add(self, result: Result) -> None:
        """Keep a result, and print its row."""
        self.results.append(result)
        self.tally.add(result)
        if self._with_rows:
            colour = "yellow" if result.verdict in UNDECIDED else "green" if result.passes else "red"
            self._console.print(Text(render_row(result), style=colour))

    @property
    def seconds(self) -> float:
        """How long the batch has taken."""
        return time.monotonic() - self._started

    def end(self, results: Path, page: Path) -> None:
        """Print the count, and where the results and their page lie."""
        self._console.print(Text(self.tally.describe(self.seconds)))
        self._console.print(Text(f"  results: {results}\n  page:    {page}"))


def render_row(result: Result) -> str:
    """Return verdict, reason, seconds and file; what was not judged now says so in the place of seconds."""
    took = "before" if result.reused else "copy" if result.same_as else f"{result.seconds:.1f} s"
    of = f", the same as {printable(result.same_as)}" if result.same_as else ""
    left = f"  {result.verdict:<{VERDICT_WIDTH}}  {result.reason:<{REASON_WIDTH}}  {took:>8}"
    why = f": {result.detail.removeprefix(f'{result.file}: ')}" if result.reason is Reason.NOT_JUDGED else ""
    return f"{left}  {printable(result.file)}{of}{why}"
