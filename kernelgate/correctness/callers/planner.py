"""The launch plans of one kernel file, asked of recorders before they are needed."""

import queue
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from kernelgate.compilation.machine_code.compiled_kernel import Target
from kernelgate.compilation.machine_code.ptx import find_narrow, narrower_than
from kernelgate.compilation.recorders import Recorder, key_of, open_recorder
from kernelgate.compilation.recording import PlannedCall, Recorded, UnplannedError
from kernelgate.correctness.callers.stores_counted import StoresCounted
from kernelgate.correctness.calls import Call
from kernelgate.execution.launch_plan import CallForm
from kernelgate.execution.plan_check import PlanError
from kernelgate.execution.plan_files import StoredPlan
from kernelgate.kernel_file.source import KernelFile
from kernelgate.sandbox.faults import FaultKind
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.worker_process import WorkerFault

MAX_RECORDERS = 6
"""Side by side: each imports Triton and may hold some gigabytes."""

DECLARED_MATH = "declared-math"


class Planner:
    """Records the plan of each call once, for every caller; so many `recorders` work side by side."""

    def __init__(self, sandbox: Sandbox, kernel: KernelFile, target: Target, recorders: int = 1) -> None:
        self.sandbox, self.kernel, self.target = sandbox, kernel, target
        self.stores = StoresCounted()
        self._asked: dict[PlannedCall, Future[Recorded]] = {}
        self._idle: queue.SimpleQueue[Recorder] = queue.SimpleQueue()
        self._pool = ThreadPoolExecutor(recorders)
        self._narrow: dict[str, tuple[str, ...]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def expect(self, call: Call) -> "Future[Recorded]":
        """Begin to record the plan of a call that will be made."""
        wanted = self._wanted(call)
        if wanted not in self._asked:  # two threads may ask at once: then it is recorded twice
            self._asked[wanted] = self._pool.submit(self._record, wanted)
        return self._asked[wanted]

    def finish(self) -> None:
        """Wait until all that was expected is recorded; raises what recording it raised."""
        for asked in list(self._asked.values()):
            asked.result()

    def has(self, call: Call) -> bool:
        """Return whether a plan book of the file, where there is one, knows the call."""
        book = self.sandbox.book
        return book is None or key_of(self._wanted(call)) in book

    def plan(self, call: Call) -> StoredPlan:
        """Return the plan of a call.

        Raises UnplannedError if the file can have none, WorkerFault `untried` if this configuration has none.
        """
        recorded = self.expect(call).result()
        if recorded.broken is not None:
            raise UnplannedError(self.kernel.sha256, *recorded.broken)
        if recorded.stored is None:
            raise WorkerFault(FaultKind.UNTRIED, recorded.refused)
        return recorded.stored

    def close(self) -> None:
        """End the recorders; what was expected and not begun is dropped."""
        self._pool.shutdown(cancel_futures=True)
        while not self._idle.empty():
            self._idle.get().close()

    def _wanted(self, call: Call) -> PlannedCall:
        return PlannedCall(
            batch=call.recipe.batch,
            pin=call.pin,
            card=self.target.gpu,
            assembled_for=self.target.card,
            form=CallForm(layout=call.layout, absent=call.recipe.absent),
            with_log=False,
        )

    def _record(self, call: PlannedCall) -> Recorded:
        recorder = self._start() if self._idle.empty() else self._idle.get()
        try:
            recorded = recorder.record(call)
        except PlanError as error:
            recorder.close()
            raise WorkerFault(FaultKind.PROTOCOL, f"sent what is no launch plan: {error}") from error
        except BaseException:
            recorder.close()
            raise
        self._idle.put(recorder)
        return self._judge_math(recorded)

    def _judge_math(self, recorded: Recorded) -> Recorded:
        """Return no plan if a program computes in less than is declared: at this batch it may be another."""
        if recorded.stored is None:
            return recorded
        for program in recorded.stored.plan.programs:
            if program.ptx not in self._narrow:
                ptx, ttir = (
                    recorded.stored.read(digest, kind).decode()
                    for digest, kind in ((program.ptx, "ptx"), (program.ttir, "ttir"))
                )
                self._narrow[program.ptx] = narrower_than(
                    self.sandbox.operation.dtype, find_narrow(ptx, ttir)
                )
            if narrow := self._narrow[program.ptx]:
                less = f"computes in less than the declared {self.sandbox.operation.math}"
                detail = f"at N = {recorded.stored.plan.batch} it {less}: {', '.join(narrow)}"
                return Recorded(broken=(DECLARED_MATH, detail))
        return recorded

    def _start(self) -> Recorder:
        recorder = open_recorder(self.sandbox, self.kernel)
        recorder.load()
        return recorder
