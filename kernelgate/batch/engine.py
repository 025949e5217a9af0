"""Judges candidates one after another in one process: its fork servers stay, and nothing is judged twice."""

import hashlib
import time
import traceback
from pathlib import Path
from typing import Any

import msgspec

from kernelgate.batch.asked import digest_asked, digest_candidate
from kernelgate.batch.result import Result, not_judged, result_of
from kernelgate.batch.results_file import ResultsFile
from kernelgate.errors import KernelgateError
from kernelgate.judging.judge import make_gate, run_gate
from kernelgate.judging.options import REPORT_DIR, Ask, AskedError
from kernelgate.judging.watch import Watch
from kernelgate.pipeline.pipeline import Gate
from kernelgate.reporting.report import Report, make_report
from kernelgate.reporting.report_files import prepare_folder

LONGEST_STEM = 60


def open_results(ask: Ask) -> ResultsFile:
    """Return the results of the report folder that was asked for; the caller closes it.

    Raises KernelgateError or OSError where the folder cannot be written, or is another run's.
    """
    if ask("keep_plans"):
        raise AskedError("--keep-plans: is a folder for one kernel's plan book; judge that file alone")
    asked = Path(ask("report_dir") or REPORT_DIR)
    return ResultsFile(prepare_folder(asked, is_default=asked == Path(REPORT_DIR)))


class Engine:
    """Judges what it is given, in a project or in none; `watch` is told of the stages."""

    def __init__(self, results: ResultsFile, project: Path | None, watch: Watch) -> None:
        self._results, self._project, self._watch = results, project, watch

    def judge(self, options: dict[str, Any], *, only_format: bool = False) -> Result | None:
        """Return how the candidate of the options was judged, once its line is in the results.

        With `only_format` None comes back for one whose form is right: nothing else was tried. Whatever
        happens to one candidate is its result, an error of the gate's own too. Raises OSError where the
        results cannot be written.
        """
        started, file = time.monotonic(), options["candidate"]
        try:
            gate = make_gate(options.get, self._project, self._watch)
            asked = digest_asked(gate, options.get("profile"))
            before = digest_candidate(gate), asked
        except (KernelgateError, OSError, ValueError) as error:
            return self.refuse(file, str(error))
        if (known := self._results.find(before, file)) is not None:
            return known
        if _has_form(gate) and only_format:
            return None
        folder = self._results.folder / _name_folder(gate, asked)
        gate.request = msgspec.structs.replace(gate.request, report_dir=folder)
        try:
            report = self._run(gate)
        except AskedError as error:  # what this machine cannot do is no fault of the gate's
            return self.refuse(file, str(error))
        return self._results.add(result_of(report, asked, time.monotonic() - started, str(folder)))

    def refuse(self, file: str, why: str) -> Result:
        """Return the line of a candidate whose judgement cannot begin."""
        return self._results.add(not_judged(file, why))

    def _run(self, gate: Gate) -> Report:
        try:
            return run_gate(gate, self._watch)
        except AskedError:
            raise
        except Exception:  # noqa: BLE001 - the gate has its verdict by then, INVALID; the others go on
            traceback.print_exc()
            return make_report(gate)


def _has_form(gate: Gate) -> bool:
    """Return whether the file has its form. An error of the gate's own is told, and leaves its verdict."""
    try:
        return gate.stage("format").status == "passed"
    except Exception:  # noqa: BLE001 - `judge` meets it again, and has its verdict, INVALID
        traceback.print_exc()
        return False


def _name_folder(gate: Gate, asked: str) -> str:
    """Return a folder's name that no other bytes have, nor the same ones where something else is asked."""
    stem = gate.request.candidate.stem[:LONGEST_STEM]
    what = gate.candidate_sha256 or str(gate.request.candidate)
    return f"{stem}-{hashlib.sha256(f'{what} {asked}'.encode()).hexdigest()[:12]}"
