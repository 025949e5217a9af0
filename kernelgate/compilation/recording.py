"""Asking a recorder for the launch plan of a call: it is checked, and kept where no worker writes."""

import itertools
import shutil

import msgspec

from kernelgate import protocol
from kernelgate.errors import KernelgateError
from kernelgate.execution.cards import Card
from kernelgate.execution.contents import Held
from kernelgate.execution.launch_plan import CallForm
from kernelgate.execution.plan_check import PlanError
from kernelgate.execution.plan_files import StoredPlan, keep_plan, read_plan
from kernelgate.operations.declaration.operation import Operation
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.worker_process import Worker, shown

_NUMBERS = itertools.count()


class UnplannedError(KernelgateError):
    """A kernel file does what no launch plan can say; `reason` is its code, `kernel_sha256` the file."""

    def __init__(self, kernel_sha256: str, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.kernel_sha256, self.reason = kernel_sha256, reason


class PlannedCall(msgspec.Struct, frozen=True, kw_only=True):
    """The call that a plan is asked for: batch, configuration, target, and how forward is called.

    Without a `pin` it is the first call of an autotuned file, which tries every configuration.
    """

    batch: int
    pin: int | None
    card: Card
    assembled_for: int | None = None
    form: CallForm = CallForm()
    with_log: bool = True


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """The plan of a call, or why there is none.

    `held` says of each of the plan's buffers what earlier calls of the recorder have left there. `refused`
    says that this configuration is not for this call; `broken` that no call of the file can be planned: its
    reason code, and what was seen. `cpu_s` is the processor's time that it took.
    """

    stored: StoredPlan | None = None
    held: tuple[Held, ...] = ()
    refused: str = ""
    broken: tuple[str, str] | None = None
    cpu_s: float = 0.0


def record(sandbox: Sandbox, worker: Worker, call: PlannedCall) -> Recorded:
    """Return the plan of a call, checked and kept in the sandbox; raises WorkerFault, or PlanError."""
    folder = worker.folder / f"plan-{next(_NUMBERS)}"
    folder.mkdir()
    request = protocol.Record(
        batch=call.batch,
        pin=call.pin,
        card=call.card,
        assembled_for=call.assembled_for,
        form=call.form,
        with_log=call.with_log,
        folder=str(folder),
    )
    before = worker.cpu_seconds()
    answer = worker.ask(request, protocol.Recorded, sandbox.limits.run_timeout_s)
    cpu_s = worker.cpu_seconds() - before
    try:
        if answer.plan_file:
            stored = read_plan(folder / "plan.json", sandbox.operation)
            _check_held(stored, answer)
            return Recorded(stored=keep_plan(stored, sandbox.plans), held=answer.held, cpu_s=cpu_s)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    broken = _what_is_broken(answer, sandbox.operation)
    return Recorded(refused=answer.refused, broken=broken, cpu_s=cpu_s)


def _check_held(stored: StoredPlan, answer: protocol.Recorded) -> None:
    if len(answer.held) != len(stored.plan.buffers):
        raise PlanError(f"{len(answer.held)} contents of {len(stored.plan.buffers)} buffers were sent")


def _what_is_broken(answer: protocol.Recorded, operation: Operation) -> tuple[str, str] | None:
    if answer.refused:
        return None
    where = f" (line {answer.line} of the kernel file)" if answer.line else ""
    if answer.unplanned is not None:
        return answer.unplanned.value, shown(answer.detail) + where
    allowed = f"{operation.dtype}, row-major, on the input's device"
    return "form", f"forward returned {answer.returned or 'nothing'}, allowed {allowed}"
