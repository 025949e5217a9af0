"""The progress bar of the long stages, where the output is a terminal."""

from typing import Protocol, TextIO, cast

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class TerminalWriter(Protocol):
    """What pytest's terminal writer tells of the terminal; it writes past the capture of output."""

    hasmarkup: bool


class StageProgress:
    """Shows the stage at work, the steps it has done and the time it takes; silent without a terminal."""

    def __init__(self, writer: TerminalWriter) -> None:
        stream = cast("TextIO", getattr(writer, "_file", None))
        self.shown = stream is not None and stream.isatty()
        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed} steps"),
            TimeElapsedColumn(),
            console=Console(file=stream) if self.shown else None,
            transient=True,
            disable=not self.shown,
        )
        self.tasks: dict[str, int] = {}

    def note(self, stage: str) -> None:
        """Start the bar of a stage when it is first named; count a step each time after."""
        if not self.shown:
            return
        if stage not in self.tasks:
            for task in self.tasks.values():
                self.progress.remove_task(task)  # type: ignore[arg-type]
            self.progress.start()
            self.tasks = {stage: self.progress.add_task(stage, total=None)}
        else:
            self.progress.advance(self.tasks[stage])  # type: ignore[arg-type]

    def stop(self) -> None:
        """Take the bar away."""
        if self.shown:
            self.progress.stop()
