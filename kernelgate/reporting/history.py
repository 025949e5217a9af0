"""How the accepted kernel's speed has moved: what was accepted on each GPU, and where later runs stand."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from kernelgate.baselines.records import SpeedRecord
from kernelgate.baselines.store import read_proposal
from kernelgate.errors import KernelgateError
from kernelgate.operations.declaration.operation import Original
from kernelgate.reporting.markdown import table
from kernelgate.reporting.report_files import ReportError, read_report

ORIGINAL = "the original"
"""What an operation's accepted kernels are compared with; those of a problem are with PyTorch."""


class HistoryError(KernelgateError, ValueError):
    """A report that cannot be read, or does not say how fast the accepted kernel was."""


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """How fast an accepted kernel was: ln(t_accepted / t_original), its error; None if nobody measured it.

    `best` is the least log-ratio among it and the accepted kernels before it. `is_run` is a later run of a
    kernel that was accepted already, which may have no date.
    """

    date: str
    log_ratio: float | None
    error: float | None
    best: float | None
    kernel_sha256: str
    reason: str
    is_run: bool = False

    @property
    def gain(self) -> float | None:
        """In percent of the original's time."""
        return to_gain(self.log_ratio)

    @property
    def behind_percent(self) -> float | None:
        """How much more time it takes than the best kernel accepted until then, in percent."""
        if self.log_ratio is None or self.best is None:
            return None
        return 100 * math.expm1(self.log_ratio - self.best)


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """The moments of an operation's accepted kernels on one GPU, oldest first, each beside the same one."""

    operation: str
    gpu: str
    moments: tuple[Moment, ...]
    beside: str = ORIGINAL

    @property
    def columns(self) -> tuple[str, ...]:
        """What stands above the rows of `list_moment`."""
        return ("date", "reason", f"gain over {self.beside}", "error", "against the best", "kernel")


class _Run(msgspec.Struct, frozen=True, kw_only=True):
    gpu: str
    date: str
    log_ratio: float
    half_width: float
    error: float
    kernel_sha256: str


def read_courses(root: Path, name: str, original: Original | None, reports: Sequence[Path]) -> list[Course]:
    """Return the course on each GPU that has a record, at its end the runs of the reports, by date.

    A project's own problem has no original. A report counts by its measurement of the accepted kernel.
    Raises BaselineError, HistoryError.
    """
    runs = sorted((_read_run(report) for report in reports), key=lambda run: run.date)
    files = sorted((root / "baselines" / name).glob("*.json"))
    return [
        Course(
            operation=name,
            gpu=record.gpu,
            moments=tuple(_moments(record, original, runs)),
            beside=ORIGINAL if original else "PyTorch",
        )
        for record in (read_proposal(file, (name,)) for file in files)
        if isinstance(record, SpeedRecord)
    ]


def render_history(courses: Sequence[Course]) -> Iterator[str]:
    """Yield a Markdown table for each GPU."""
    for course in courses:
        yield f"**{course.gpu}**: {course.operation}, the accepted kernel against {course.beside}"
        yield table(course.columns, [list_moment(moment) for moment in course.moments])


def list_moment(moment: Moment) -> tuple[str, ...]:
    """Return the row of a moment, in the order of the columns; what nobody measured is left blank."""
    gain, behind = moment.gain, moment.behind_percent
    return (
        moment.date,
        moment.reason,
        "" if gain is None else f"{gain:+z.2f} %",
        "" if moment.error is None else f"{100 * moment.error:.2f} %",
        "" if behind is None else f"{behind:z.2f} % more time" if behind >= 0.005 else "the best",
        moment.kernel_sha256[:12],
    )


def to_gain(log_ratio: float | None) -> float | None:
    """Return the gain in percent that a log-ratio is."""
    return None if log_ratio is None else -100 * math.expm1(log_ratio)


def _moments(record: SpeedRecord, original: Original | None, runs: Sequence[_Run]) -> Iterator[Moment]:
    best: float | None = None
    for accepted in record.history:
        log_ratio = accepted.log_ratio_original
        if log_ratio is None and original and accepted.kernel_sha256 == original.sha256:
            log_ratio = 0.0  # it is the original
        best = min((each for each in (best, log_ratio) if each is not None), default=None)
        yield Moment(
            date=accepted.date,
            log_ratio=log_ratio,
            error=accepted.error_original,
            best=best,
            kernel_sha256=accepted.kernel_sha256,
            reason=accepted.reason,
        )
    for run in (run for run in runs if run.gpu == record.gpu):
        offset = 100 * (run.log_ratio - record.log_ratio_original)
        off = f"{offset:+.2f} % off the record; the interval is +-{100 * run.half_width:.2f} %"
        yield Moment(
            date=run.date[:10] or "this run",
            log_ratio=run.log_ratio,
            error=run.error,
            best=record.log_ratio_original if best is None else min(best, record.log_ratio_original),
            kernel_sha256=run.kernel_sha256,
            reason=off,
            is_run=True,
        )


def _read_run(report: Path) -> _Run:
    try:
        said = read_report(report)
    except ReportError as error:
        raise HistoryError(str(error)) from error
    contrast = said.timing.accepted_to_original if said.timing else None
    # Written so that NaN fails it too.
    if contrast is None or said.accepted.sha256 is None or not contrast.half_width < math.inf:
        raise HistoryError(f"{report}: does not say how fast the accepted kernel was: give one of `-m perf`")
    return _Run(
        gpu=said.gpu or "",
        date=said.judged_at,
        log_ratio=contrast.estimate,
        half_width=contrast.half_width,
        error=contrast.standard_error,
        kernel_sha256=said.accepted.sha256,
    )
