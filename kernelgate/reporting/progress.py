"""How far a long stage or a tuning is: a bar on a terminal, now and then a line in a log."""

import time
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

LONG_STAGES = ("compile", "correctness", "performance")
LINE_EVERY_S = 10.0


class CountedProgress:
    """Shows what is worked on and how much of it is done; silent without a terminal."""

    def __init__(self, terminal: TextIO) -> None:
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._console = Console(file=terminal) if terminal.isatty() else None

    def note(self, what: str, done: int, total: int) -> None:
        """Show that this is worked on, so many steps of all being done."""
        if self._console is None:
            return
        if self._bar is None:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total}"),
            )
            self._bar = Progress(*columns, TimeElapsedColumn(), console=self._console, transient=True)
            self._task = self._bar.add_task(what, total=total)
            self._bar.start()
        self._bar.update(self._task, description=what, completed=done, total=total)

    def stop(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class StageProgress:
    """Shows the stage at work, the steps it has done and the time it takes; silent without a terminal.

    `within_a_line` says that the caller has begun a line, which a bar must leave.
    """

    def __init__(self, terminal: TextIO | None, *, within_a_line: bool = False) -> None:
        self._within_a_line = within_a_line
        self._bar: Progress | None = None
        self._stage, self._task = "", TaskID(0)
        self._console = Console(file=terminal) if terminal is not None and terminal.isatty() else None

    def note(self, stage: str) -> None:
        """Start the bar of a stage when it is first named; count a step each time after."""
        if self._console is None or stage not in LONG_STAGES:
            return
        if stage == self._stage and self._bar is not None:
            self._bar.advance(self._task)
            return
        self.stop()
        if self._within_a_line:
            self._console.line()
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed} steps"))
        self._bar = Progress(*columns, TimeElapsedColumn(), console=self._console, transient=True)
        self._stage, self._task = stage, self._bar.add_task(stage, total=None)
        self._bar.start()

    def stop(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class StageLog:
    """Says in a log, every ten seconds at most, which stage is at work and how many steps it has done."""

    def __init__(self, log: TextIO) -> None:
        self._log, self._stage, self._steps = log, "", 0
        self._began = self._said = 0.0

    def note(self, stage: str) -> None:
        """Begin to count when a stage is first named; count a step each time after."""
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._steps, self._began, self._said = stage, 0, now, now
            return
        self._steps += 1
        if now - self._said >= LINE_EVERY_S:
            self._said = now
            line = f"  {stage:<12} {'works':<10} {now - self._began:6.1f} s  {self._steps} steps so far"
            print(line, file=self._log, flush=True)

    def stop(self) -> None:
        """There is nothing to take away."""
