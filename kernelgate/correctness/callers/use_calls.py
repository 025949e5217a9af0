"""Calls of the kernel file itself on a GPU, as users make them, held against what its launch plans give.

The file shares a process with nothing that decides. Its own state shows here: caches, counters, modes,
streams, and whatever computes beside its launches. What the plans do not compute, the answers cannot have.
"""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from kernelgate import protocol
from kernelgate.correctness.callers.plan_calls import PlanCaller
from kernelgate.correctness.calls import Call, Run, draw_poison, fetch_answer, nothing, read_poison
from kernelgate.sandbox.faults import FaultKind
from kernelgate.sandbox.worker_process import Worker, WorkerFault


class UseCaller:
    """Has the file called; the planned calls are made by another caller, on the same GPU."""

    def __init__(self, planned: PlanCaller, pins: Sequence[int]) -> None:
        self.planned, self.pins = planned, list(pins)
        self.sandbox = planned.sandbox
        self._worker: Worker | None = None

    @property
    def interprets(self) -> bool:
        """Whether calls are made without a GPU: never."""
        return False

    def expect(self, call: Call) -> None:
        """Have the plans of a call recorded beforehand, in each configuration."""
        for pin in self.pins:
            self.planned.expect(msgspec.structs.replace(call, pin=pin))

    def run(self, call: Call, meanwhile: Callable[[], None] = nothing) -> Run:
        """Return what the file makes of a call; after a WorkerFault the next run starts afresh."""
        worker, self._worker = self._worker or self._start(), None
        try:
            run = self._ask(worker, call, meanwhile)
        except BaseException:
            worker.close()
            raise
        self._worker = worker
        return msgspec.structs.replace(run, as_planned=self._is_as_planned(run))

    def close(self) -> None:
        """End the worker, if one runs: the next call is made of a fresh one."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _ask(self, worker: Worker, call: Call, meanwhile: Callable[[], None]) -> Run:
        request = protocol.UseOne(
            recipe=call.recipe,
            layout=call.layout,
            way=call.way,
            model=call.model,
            same_storage=call.same_storage,
        )
        worker.send(request)
        meanwhile()
        ran = worker.receive(protocol.Ran, self.sandbox.limits.run_timeout_s)
        left_running = worker.has_descendants()
        operation = self.sandbox.operation
        shape = operation.output_shape(call.recipe.batch)
        bits = offsets = None
        if ran.returned == "Tensor" and ran.dtype == f"torch.{operation.dtype}" and ran.shape == shape:
            bits, offsets = fetch_answer(self.sandbox, worker, call, parts=False)
        poison_bits = read_poison(operation, draw_poison(call.recipe.seed + call.number))
        return Run(
            call=call, ran=ran, bits=bits, offsets=offsets, poison_bits=poison_bits, left_running=left_running
        )

    def _is_as_planned(self, run: Run) -> bool:
        """Return whether the launches of one of the configurations give the same bits."""
        for pin in list(self.pins):
            try:
                planned = self.planned.run(msgspec.structs.replace(run.call, pin=pin))
            except WorkerFault as fault:
                if fault.kind is FaultKind.UNTRIED:  # this configuration is not for this call
                    continue
                raise
            if run.bits is not None and planned.bits is not None and np.array_equal(run.bits, planned.bits):
                self.pins.sort(key=lambda each: each != pin)  # the autotuner stays with its choice
                return True
        return False

    def _start(self) -> Worker:
        planner = self.planned.planner
        worker = self.sandbox.start("use", planner.kernel, gpu=self.planned.gpu)
        self.sandbox.await_loaded(worker)
        return worker
