"""Calls where there is no GPU: a recorder says what the file does, the interpreter does it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kernelgate import protocol
from kernelgate.compilation.recording import PlannedCall, Recorded, UnplannedError, record
from kernelgate.correctness.calls import Call, Run, draw_poison, fetch_answer
from kernelgate.execution.cards import ADA, Card
from kernelgate.execution.launch_plan import CallForm
from kernelgate.execution.plan_check import PlanError
from kernelgate.execution.plan_files import StoredPlan, plan_file
from kernelgate.kernel_file.source import KernelFile
from kernelgate.sandbox.faults import FaultKind
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.worker_process import Worker, WorkerFault

OF_THE_KERNEL = frozenset(
    {FaultKind.RAISES, FaultKind.NO_ANSWER, FaultKind.UNTRIED, FaultKind.NOT_INTERPRETED}
)
"""What an interpreting worker may say of what it runs; any other fault is its own."""


class Planner:
    """The launch plans of one kernel file, each recorded once, for every caller."""

    def __init__(self, sandbox: Sandbox, kernel: KernelFile) -> None:
        self.sandbox, self.kernel = sandbox, kernel
        self._recorded: dict[PlannedCall, Recorded] = {}
        self._recorder: Worker | None = None
        self._one_at_a_time = threading.Lock()

    def plan(self, call: PlannedCall) -> StoredPlan:
        """Return the plan of a call.

        Raises UnplannedError if the file can have none, WorkerFault `untried` if this configuration has none.
        """
        with self._one_at_a_time:
            if call not in self._recorded:
                self._recorded[call] = self._record(call)
        recorded = self._recorded[call]
        if recorded.broken is not None:
            raise UnplannedError(self.kernel.sha256, *recorded.broken)
        if recorded.stored is None:
            raise WorkerFault(FaultKind.UNTRIED, recorded.refused)
        return recorded.stored

    def close(self) -> None:
        """End the recorder."""
        if self._recorder is not None:
            self._recorder.close()
            self._recorder = None

    def _record(self, call: PlannedCall) -> Recorded:
        recorder, self._recorder = self._recorder or self._start(), None
        try:
            recorded = record(self.sandbox, recorder, call)
        except PlanError as error:
            recorder.close()
            raise WorkerFault(FaultKind.PROTOCOL, f"sent what is no launch plan: {error}") from error
        except BaseException:
            recorder.close()
            raise
        self._recorder = recorder
        return recorded

    def _start(self) -> Worker:
        recorder = self.sandbox.start("record", self.kernel)
        self.sandbox.await_loaded(recorder)
        return recorder


class PlanCaller:
    """Has the launch plan of each call, made for a GPU, run on the interpreter of TTIR."""

    interprets = True

    def __init__(self, planner: Planner, card: Card = ADA) -> None:
        self.planner, self.sandbox, self.card = planner, planner.sandbox, card
        self._worker: Worker | None = None

    def run(self, call: Call) -> Run:
        """Return what the kernel makes of a call; after a WorkerFault the next run starts afresh."""
        form = CallForm(layout=call.layout, bias=call.recipe.bias)
        wanted = PlannedCall(batch=call.recipe.batch, pin=call.pin, card=self.card, form=form)
        stored = self.planner.plan(wanted)
        with _blaming_the_kernel_alone():
            return self._interpret(stored, call)

    def close(self) -> None:
        """End the worker, if one runs."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _interpret(self, stored: StoredPlan, call: Call) -> Run:
        worker, self._worker = self._worker or self._start(), None
        poison_bits = draw_poison(call.recipe.seed + call.number)
        request = protocol.RunPlan(
            plan=str(plan_file(stored)),
            recipe=call.recipe,
            layout=call.layout,
            poison_bits=poison_bits,
            programs=call.programs,
            sampled=call.sampled,
        )
        try:
            ran = worker.ask(request, protocol.Ran, self._timeout_s(call))
            bits, offsets = fetch_answer(self.sandbox, worker, call, parts=True)
        except BaseException:
            worker.close()
            raise
        self._worker = worker
        return Run(call=call, ran=ran, bits=bits, offsets=offsets, poison_bits=poison_bits)

    def _timeout_s(self, call: Call) -> float:
        """Return how long a call may take: every program of some images, interpreted, is no hang."""
        limits = self.sandbox.limits
        return limits.run_timeout_s * (1 if call.programs else limits.whole_run_factor)

    def _start(self) -> Worker:
        worker = self.sandbox.start("interpret", None)
        self.sandbox.await_loaded(worker)
        return worker


@contextmanager
def _blaming_the_kernel_alone() -> Iterator[None]:
    """Turn what is the interpreter's own fault into a case that could not be tried, or a kernel likewise."""
    try:
        yield
    except WorkerFault as fault:
        if fault.kind in OF_THE_KERNEL:
            raise
        exhausted = fault.kind is FaultKind.OUT_OF_MEMORY
        kind = FaultKind.UNTRIED if exhausted else FaultKind.NOT_INTERPRETED
        raise WorkerFault(kind, f"the interpreter's worker failed: {fault}") from fault
