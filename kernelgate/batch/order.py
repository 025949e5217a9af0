"""What is asked of one candidate of many, as it can be sent to another process; and how that is judged."""

import time
import traceback
from pathlib import Path
from typing import Any

import msgspec

from kernelgate.batch.result import Result, not_judged, result_of
from kernelgate.judging.judge import Asked, make_gate, run_gate
from kernelgate.judging.options import AskedError
from kernelgate.judging.watch import Watch
from kernelgate.kernel_file.source import KernelFile
from kernelgate.pipeline.pipeline import Gate
from kernelgate.reporting.report import Report, make_report

SENT = frozenset({*Asked.__annotations__, "candidate", "accepted"} - {"project", "report_dir"})
"""The options that decide how a candidate is judged, but for where the project and the report lie."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate and how it is judged: `sha256` is that of its bytes, `asked` that of all else.

    With `only_form` it is held to its form alone. `id` is what the caller knows it by. `to_beat` is the
    kernel to beat: who judges may have no checkout to look it up in.
    """

    options: dict[str, str | bool]
    project: str | None
    sha256: str | None
    asked: str
    report_dir: str
    to_beat: KernelFile | None = None
    only_form: bool = False
    id: str | int = 0

    @property
    def file(self) -> str:
        """The candidate's path, as it was named."""
        return str(self.options["candidate"])

    @property
    def key(self) -> tuple[str | None, str]:
        """What its verdict follows from."""
        return self.sha256, self.asked


def choose_sent(options: dict[str, Any]) -> dict[str, str | bool]:
    """Return the options that an order has, of all that were given."""
    given = {name: options.get(name) for name in SENT}
    return {
        name: value if isinstance(value, bool) else str(value)
        for name, value in given.items()
        if value is not None
    }


def carry_out(order: Order, watch: Watch) -> Result | None:
    """Return how the candidate was judged; None if only its form was asked for, and it has it.

    The report is written. Whatever happens to a candidate is its result, an error of the gate's own too.
    """
    started = time.monotonic()
    try:
        gate = _open_gate(order, watch)
        if order.only_form and _has_form(gate):
            return None
        report = _run(gate, watch)
    except (AskedError, OSError, ValueError) as error:  # what this machine cannot do is no fault of the gate
        return not_judged(order.file, str(error))
    return result_of(report, order.asked, time.monotonic() - started, order.report_dir)


def _open_gate(order: Order, watch: Watch) -> Gate:
    project = Path(order.project) if order.project is not None else None
    gate = make_gate(order.options.get, project, watch, to_beat=order.to_beat)
    gate.request = msgspec.structs.replace(gate.request, report_dir=Path(order.report_dir))
    return gate


def _has_form(gate: Gate) -> bool:
    """Return whether the file has its form. An error of the gate's own is told, and leaves its verdict."""
    try:
        return gate.stage("format").status == "passed"
    except Exception:  # noqa: BLE001 - `_run` meets it again, and has its verdict, INVALID
        traceback.print_exc()
        return False


def _run(gate: Gate, watch: Watch) -> Report:
    try:
        return run_gate(gate, watch)
    except AskedError:
        raise
    except Exception:  # noqa: BLE001 - the gate has its verdict by then, INVALID; the others go on
        traceback.print_exc()
        return make_report(gate)
