"""Calls by launch plans: a recorder says what the file does, a GPU or the interpreter does it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from kernelgate import protocol
from kernelgate.correctness.callers.planner import Planner
from kernelgate.correctness.calls import Call, Run, draw_poison, fetch_answer, nothing, read_poison
from kernelgate.execution.plan_files import StoredPlan, plan_file
from kernelgate.sandbox.faults import FaultKind
from kernelgate.sandbox.worker_process import NO_PROOF, Worker, WorkerFault

OF_THE_KERNEL = frozenset(
    {
        FaultKind.RAISES,
        FaultKind.NO_ANSWER,
        FaultKind.UNTRIED,
        FaultKind.NOT_INTERPRETED,
        FaultKind.GATE_FAULT,
    }
)
"""What an interpreting worker may say of what it runs; any other fault is its own."""


SECONDS = 4.0
"""Of the interpreter's own time a call may take for launches of which some programs tell enough."""


class PlanCaller:
    """Has the launch plan of each call run on a GPU, or on the interpreter of TTIR where none is named."""

    def __init__(self, planner: Planner, gpu: str = "") -> None:
        self.planner, self.sandbox, self.gpu = planner, planner.sandbox, gpu
        self._worker: Worker | None = None

    @property
    def interprets(self) -> bool:
        """Whether calls are made without a GPU."""
        return not self.gpu

    def expect(self, call: Call) -> None:
        """Have the plan of a call recorded beforehand."""
        self.planner.expect(call)

    def run(self, call: Call, meanwhile: Callable[[], None] = nothing) -> Run:
        """Return what the kernel makes of a call; after a WorkerFault the next run starts afresh."""
        stored = self.planner.plan(call)
        if self.gpu:
            return self._execute(stored, call, meanwhile)
        with _blaming_the_kernel_alone():
            return self._execute(stored, call, meanwhile)

    def close(self) -> None:
        """End the worker, if one runs."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _execute(self, stored: StoredPlan, call: Call, meanwhile: Callable[[], None]) -> Run:
        worker, self._worker = self._worker or self._start(), None
        poison_bits = draw_poison(call.recipe.seed + call.number)
        unwritten = read_poison(self.sandbox.operation, poison_bits)
        counts = call.covers and self.planner.stores.begin(stored.plan)
        request = protocol.RunPlan(
            plan=str(plan_file(stored)),
            recipe=call.recipe,
            layout=call.layout,
            poison_bits=poison_bits,
            programs=call.programs,
            sampled=call.sampled,
            covers=counts,
            seconds=SECONDS if self.interprets else None,
            backwards=call.number % 2 == 1,  # what depends on the order has other bits in the next call
        )
        try:
            worker.send(request)
            meanwhile()
            ran = worker.receive(protocol.Ran, self._timeout_s(call))
            bits, offsets = fetch_answer(self.sandbox, worker, call, parts=self.interprets)
        except BaseException:
            worker.close()
            if counts:
                self.planner.stores.give_up(stored.plan)
            raise
        if counts:
            self.planner.stores.note(stored.plan, ran.covered)
        elif call.covers:
            ran = msgspec.structs.replace(ran, covered=self.planner.stores.known(stored.plan))
        self._worker = worker
        return Run(call=call, ran=ran, bits=bits, offsets=offsets, poison_bits=unwritten)

    def _timeout_s(self, call: Call) -> float:
        """Return how long a call may take: every program of some items, interpreted, is no hang."""
        limits, whole = self.sandbox.limits, self.interprets and not call.programs
        return limits.run_timeout_s * (limits.whole_run_factor if whole else 1)

    def _start(self) -> Worker:
        worker = self.sandbox.start_executor("execute" if self.gpu else "interpret", gpu=self.gpu)
        self.sandbox.await_loaded(worker)
        return worker


@contextmanager
def _blaming_the_kernel_alone() -> Iterator[None]:
    """Turn what is the interpreter's own fault into a case that could not be tried, or a kernel likewise."""
    try:
        yield
    except WorkerFault as fault:
        if fault.kind is FaultKind.NO_ANSWER and NO_PROOF in fault.detail:
            # Loops that do not end are counted, not timed: this one may be slow to interpret, no more.
            raise WorkerFault(FaultKind.NOT_INTERPRETED, f"too slow to interpret: {fault}") from fault
        if fault.kind in OF_THE_KERNEL:
            raise
        exhausted = fault.kind is FaultKind.OUT_OF_MEMORY
        kind = FaultKind.UNTRIED if exhausted else FaultKind.NOT_INTERPRETED
        raise WorkerFault(kind, f"the interpreter's worker failed: {fault}") from fault
