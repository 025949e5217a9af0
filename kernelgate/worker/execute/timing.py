"""Timed calls of an arm: the L2 cache is flushed before each, and each has contents that were never there."""

import gc
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch.cuda import Event

from kernelgate import protocol
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.timing_tensors import (
    draw_offsets,
    fill_batches,
    make_timing_batches,
    make_timing_parameters,
)
from kernelgate.worker.execute.arms import TimedArm

LEAD_CYCLES = 3_000_000
"""Over a millisecond at any GPU's clock, in which the host queues all calls of a sample."""

_NOTHING = torch.empty(0)


class Timing:
    """One arm in one process: its tensors, and the answers of the calls that were timed last."""

    def __init__(self, operation: Operation, arm: TimedArm) -> None:
        self.operation, self.arm = operation, arm
        self.batch, self.flush = 0, _NOTHING
        self.free: dict[str, torch.Tensor] = {}
        self.outputs: list[torch.Tensor] = []

    def place(self, request: protocol.PlaceTensors) -> protocol.Done:
        """Allocate what the next timed calls need, and do once, untimed, what a sample does."""
        # Held while the others are taken, so that they lie elsewhere than the last time.
        pad = torch.empty(request.pad_bytes, dtype=torch.int8, device="cuda")
        parameters = make_timing_parameters(self.operation, request.seed)
        self.batch = request.batch
        self.free = make_timing_batches(self.operation, request.batch, request.seed)
        self.flush = torch.empty(request.flush_bytes, dtype=torch.int8, device="cuda")
        self.arm.place(self.free | parameters, request.launches)
        self._make_calls(request.seed, 1)
        self.outputs = []
        del pad
        gc.collect()  # now, and not while calls are timed
        return protocol.Done()

    def release(self, _request: protocol.ReleaseTensors | None = None) -> protocol.Done:
        """Give all GPU memory of the timed calls back to the driver."""
        self.outputs, self.free, self.flush = [], {}, _NOTHING
        self.arm.release()
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        return protocol.Done()

    def move_code(self, _request: protocol.MoveCode) -> protocol.Done:
        """Load the machine code anew, and make one call, untimed: the first after a switch is slow."""
        self.outputs = []
        self.arm.load_code()
        self.arm.call(0)
        torch.cuda.synchronize()
        return protocol.Done()

    def time(self, request: protocol.TimeLaunches) -> protocol.Timed:
        """Return the event times of calls in order, on contents made from the seed and those after it."""
        return protocol.Timed(times_ms=self._make_calls(request.seed, request.launches))

    def send_answers(self, request: protocol.SendAnswers) -> protocol.Done:
        """Write elements of each answer, at places drawn from a seed."""
        elements = math.prod(self.operation.output_shape(self.batch))
        offsets = torch.from_numpy(draw_offsets(elements, request.count, request.seed)).to("cuda")
        chosen = [output.flatten()[offsets] for output in self.outputs]
        torch.stack(chosen).float().cpu().numpy().tofile(Path(request.out))
        return protocol.Done()

    def _make_calls(self, seed: int, launches: int) -> tuple[float, ...]:
        self.outputs = []
        times, self.outputs = time_calls(
            self.arm, partial(fill_batches, self.operation, self.free), self.flush, seed, launches
        )
        return times


def time_calls(
    arm: TimedArm, renew: Callable[[int], None], flush: torch.Tensor, seed: int, launches: int
) -> tuple[tuple[float, ...], list[torch.Tensor]]:
    """Return the event times of calls in milliseconds, and their answers; `renew` takes a seed."""
    marks = [(_event(), _event()) for _ in range(launches)]
    outputs = []
    _hold_gpu(LEAD_CYCLES)  # or the first calls are timed with the host's delay in launching them
    for call, (start, end) in enumerate(marks):
        renew(seed + call)  # other contents in the same storage: no answer before is this one
        flush.zero_()
        start.record()
        outputs.append(arm.call(call))
        end.record()
    torch.cuda.synchronize()
    return tuple(start.elapsed_time(end) for start, end in marks), outputs


def _event() -> Event:
    return Event(enable_timing=True)


def _hold_gpu(cycles: int) -> None:
    torch.cuda._sleep(cycles)
