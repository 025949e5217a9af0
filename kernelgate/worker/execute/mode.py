"""Mode `execute`: run launch plans on an NVIDIA GPU, and time calls of them, or of the vendor's."""

from collections.abc import Callable
from typing import Any

import torch

from kernelgate import protocol
from kernelgate.operations import find_operation
from kernelgate.worker.execute.arms import PlanArm, TimedArm, VendorArm
from kernelgate.worker.execute.choice import choose_fastest, try_each
from kernelgate.worker.execute.timing import Timing
from kernelgate.worker.execute.trial import Trial
from kernelgate.worker.tensors.gpu_share import GpuShare


class ExecuteMode:
    """Answers with what the GPU computes and how long it takes; no kernel file is ever imported here."""

    kernel_file = ""

    def __init__(self) -> None:
        torch.set_num_threads(1)  # arms and judges run side by side; the work is the GPU's
        self.share = GpuShare()

    def answer(self, request: protocol.Request) -> protocol.Response:
        """Return what was loaded, run, prepared, timed or written."""
        if isinstance(request, protocol.LoadPlans):
            return self._load(request)
        self._reach_gpu()
        does: dict[type[protocol.Request], Callable[[Any], protocol.Response]] = {
            protocol.RunPlan: self.trial.run,
            protocol.SendRun: self.trial.send,
            protocol.Prepare: self._prepare,
            protocol.WarmUp: self._warm_up,
            protocol.PlaceTensors: self.timing.place,
            protocol.ReleaseTensors: self.timing.release,
            protocol.MoveCode: self.timing.move_code,
            protocol.TimeLaunches: self.timing.time,
            protocol.SendAnswers: self.timing.send_answers,
        }
        if type(request) not in does:
            raise ValueError(f"mode execute does not answer {type(request).__name__}")
        return does[type(request)](request)

    def is_crowded(self) -> bool:
        """Return whether the GPU has not as much left as this worker may take."""
        return self.share.is_crowded()

    def _load(self, request: protocol.LoadPlans) -> protocol.Loaded:
        # The GPU is not touched yet: another replicate may be on it, being timed.
        self.operation = find_operation(request.operation)
        self.share.promise(request.gpu_memory_bytes)
        self.timed = request.timed
        return protocol.Loaded(autotuned=())

    def _reach_gpu(self) -> None:
        if self.share.take():
            torch.zeros(1, device="cuda")  # from here on the driver's calls find PyTorch's context
            self.arm: TimedArm = VendorArm(self.operation) if self.timed is None else PlanArm(self.timed)
            self.timing = Timing(self.operation, self.arm)
            self.trial = Trial(self.operation)

    def _prepare(self, request: protocol.Prepare) -> protocol.Warm:
        try_each(self.operation, self.arm, request.batch)
        self.timing.release()
        return protocol.Warm(chosen=0 if self.arm.choices == 1 else None)

    def _warm_up(self, request: protocol.WarmUp) -> protocol.Warm:
        times_ms = choose_fastest(self.operation, self.arm, request.batch, request.rounds)
        self.timing.release()
        return protocol.Warm(chosen=times_ms.index(min(times_ms)), times_ms=tuple(times_ms))
