"""How the accepted kernel's speed has moved: what was accepted on each GPU, and where a run stands."""

import math
from collections.abc import Iterator
from pathlib import Path

import msgspec

from kernelgate.baselines.records import SpeedRecord
from kernelgate.baselines.store import read_proposal
from kernelgate.errors import KernelgateError
from kernelgate.operations.declaration.operation import Operation
from kernelgate.reporting.markdown import table
from kernelgate.reporting.report_files import ReportError, read_report


class HistoryError(KernelgateError, ValueError):
    """A report that cannot be read, or does not say how fast the accepted kernel was."""


class Today(msgspec.Struct, frozen=True, kw_only=True):
    """What a run measured: ln(t_accepted / t_original), and half of its interval's width."""

    gpu: str
    log_ratio: float
    half_width: float
    kernel_sha256: str


def render_history(root: Path, operation: Operation, report: Path | None) -> Iterator[str]:
    """Yield a Markdown table for each GPU that has a record: gains over the original, oldest first.

    The last row is the report's own measurement of the accepted kernel. Raises BaselineError, HistoryError.
    """
    today = _read_today(report) if report else None
    for path in sorted((root / "baselines" / operation.name).glob("*.json")):
        record = read_proposal(path)
        if isinstance(record, SpeedRecord):
            yield f"**{record.gpu}**: {operation.name}, gain of the accepted kernel over the original"
            yield table(("date", "gain", "error", "kernel", "reason"), list(_rows(record, today)))


def _rows(record: SpeedRecord, today: Today | None) -> Iterator[tuple[str, ...]]:
    for accepted in record.history:
        yield (
            accepted.date,
            _percent_gain(accepted.log_ratio_original),
            _percent(accepted.error_original),
            accepted.kernel_sha256[:12],
            accepted.reason,
        )
    if today and today.gpu == record.gpu:
        offset = today.log_ratio - record.log_ratio_original
        off = f"{100 * offset:+.2f} % off the record; the interval is +-{100 * today.half_width:.2f} %"
        yield "this run", _percent_gain(today.log_ratio), "", today.kernel_sha256[:12], off


def _read_today(report: Path) -> Today:
    try:
        said = read_report(report)
    except ReportError as error:
        raise HistoryError(str(error)) from error
    contrast = said.timing.accepted_to_original if said.timing else None
    # Written so that NaN fails it too.
    if contrast is None or said.accepted.sha256 is None or not contrast.half_width < math.inf:
        raise HistoryError(f"{report}: does not say how fast the accepted kernel was: give one of `-m perf`")
    return Today(
        gpu=said.gpu or "",
        log_ratio=contrast.estimate,
        half_width=contrast.half_width,
        kernel_sha256=said.accepted.sha256,
    )


def _percent_gain(log_ratio: float | None) -> str:
    return "" if log_ratio is None else f"{100 * (1 - math.exp(log_ratio)):+.2f} %"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f} %"
