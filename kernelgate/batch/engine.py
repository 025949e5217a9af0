"""What is known of many candidates: none is judged twice, and each has its line as soon as it is judged."""

import hashlib
from pathlib import Path
from typing import Any

from kernelgate.batch.asked import digest_asked, digest_candidate
from kernelgate.batch.order import Order, choose_sent
from kernelgate.batch.result import Result, not_judged
from kernelgate.batch.results_file import ResultsFile
from kernelgate.errors import KernelgateError
from kernelgate.judging.judge import make_gate
from kernelgate.judging.options import REPORT_DIR, Ask, AskedError
from kernelgate.judging.watch import Silent
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
    """Makes orders of what is asked in a project, or in none, and keeps their results.

    `gpus` are those of whoever judges: a verdict follows from them too.
    """

    def __init__(self, results: ResultsFile, project: Path | None, gpus: tuple[str, ...]) -> None:
        self._results, self._project, self._gpus = results, project, gpus

    def order(self, options: dict[str, Any]) -> Order | Result:
        """Return what is to be judged, or the line of a candidate whose judgement cannot begin."""
        file = str(options["candidate"])
        try:
            gate = make_gate(options.get, self._project, Silent(), visible=self._gpus)
            asked = digest_asked(gate, options.get("profile"), self._gpus)
            sha256 = digest_candidate(gate)
        except (KernelgateError, OSError, ValueError) as error:
            return self.refuse(file, str(error))
        return Order(
            options=choose_sent(options),
            project=str(self._project) if self._project is not None else None,
            sha256=sha256,
            asked=asked,
            to_beat=gate.accepted,
            report_dir=str(self._results.folder / _name_folder(Path(file), sha256, asked)),
        )

    def find(self, order: Order) -> Result | None:
        """Return what is known of an order: its own line, or a new one if another file has the same bytes."""
        return self._results.find(order.key, order.file)

    def keep(self, result: Result) -> Result:
        """Return a result, whose line is in the file by then."""
        return self._results.add(result)

    def refuse(self, file: str, why: str) -> Result:
        """Return the line of a candidate whose judgement cannot begin."""
        return self.keep(not_judged(file, why))


def _name_folder(file: Path, sha256: str | None, asked: str) -> str:
    """Return a folder's name that no other bytes have, nor the same ones where something else is asked."""
    what = f"{sha256 or file} {asked}"
    return f"{file.stem[:LONGEST_STEM]}-{hashlib.sha256(what.encode()).hexdigest()[:12]}"
