"""How one candidate of many was judged, in a line; and the count of them."""

from collections import Counter
from typing import Literal

import msgspec

from kernelgate.judging.options import CANNOT_JUDGE
from kernelgate.reporting.report import Report
from kernelgate.reporting.terminal import printable
from kernelgate.verdict import Outcome, Reason, conclude


class Result(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one candidate was judged: a line of results.jsonl.

    `sha256` is that of the bytes that were judged, `asked` that of all else which the verdict follows from:
    options, settings, accepted kernel, versions and the gate itself. `gain` and the ends of its interval are
    fractions, None where nothing was timed. `report` is the folder of report.json and its pages, None where
    no judgement began. `same_as` names the file whose verdict this is: it has the same bytes, and the same
    was asked. `gpu` is the card that it was judged on, `host` that of a cluster. `seconds` are those of the
    judgement. `reused` is never stored: the line was there before.
    """

    schema: Literal["kernelgate.result/1"] = "kernelgate.result/1"
    file: str
    sha256: str | None
    asked: str | None
    verdict: Outcome
    reason: Reason
    detail: str
    next_step: str
    passes: bool
    operation: str | None = None
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    seconds: float = 0.0
    report: str | None = None
    same_as: str | None = None
    gpu: str | None = None
    host: str | None = None
    reused: bool = False


def result_of(report: Report, asked: str, seconds: float, folder: str) -> Result:
    """Return the line of a report, which lies in the folder."""
    contrast = report.timing.candidate if report.timing else None
    return Result(
        file=report.candidate.path,
        sha256=report.candidate.sha256,
        asked=asked,
        verdict=report.verdict,
        reason=report.reason,
        detail=report.detail,
        next_step=report.next_step,
        passes=report.passes,
        operation=report.operation,
        gain=contrast.gain if contrast else None,
        gain_low=contrast.gain_low if contrast else None,
        gain_high=contrast.gain_high if contrast else None,
        seconds=round(seconds, 3),
        report=folder,
        gpu=report.gpu,
    )


def not_judged(file: str, why: str) -> Result:
    """Return the line of a candidate whose judgement could not begin; its name may be no text."""
    verdict = conclude(Outcome.INVALID, Reason.NOT_JUDGED, printable(why))
    return Result(
        file=file if file.isprintable() else ascii(file),
        sha256=None,
        asked=None,
        verdict=verdict.outcome,
        reason=verdict.reason,
        detail=verdict.detail,
        next_step=verdict.next_step,
        passes=False,
    )


class Tally:
    """Counts results as they come."""

    def __init__(self) -> None:
        self._verdicts: Counter[Outcome] = Counter()
        self._not_judged = self._reused = self._failed = 0

    def add(self, result: Result) -> None:
        """Count one."""
        self._verdicts[result.verdict] += 1
        self._reused += result.reused
        self._failed += not result.passes
        self._not_judged += result.reason is Reason.NOT_JUDGED

    def describe(self, seconds: float) -> str:
        """Return how many there are of each verdict, as `3 judged: 2 WRONG, 1 INVALID; 41 s`."""
        before = f", {self._reused} of them before" if self._reused else ""
        return f"{self._verdicts.total()} judged{before}: {self.count()}; {seconds:.0f} s"

    def count(self) -> str:
        """Return how many there are of each verdict, as `2 WRONG, 1 INVALID`."""
        counts = [f"{self._verdicts[each]} {each}" for each in Outcome if self._verdicts[each]]
        return ", ".join(counts) or "nothing"

    @property
    def exit_code(self) -> int:
        """0 if all pass, 2 if nothing could be judged, else 1."""
        if self._not_judged == self._verdicts.total():
            return CANNOT_JUDGE
        return int(self._failed > 0)
