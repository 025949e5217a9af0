"""Mode `gpu`: run the model on an NVIDIA GPU, and time calls of it."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

import torch
from torch import nn
from torch.cuda import Event
from triton.compiler.errors import CompileTimeAssertionFailure
from triton.runtime.errors import OutOfResources, PTXASError

from kernelgate import protocol
from kernelgate.operations.convolution import Convolution
from kernelgate.operations.inputs import Inputs
from kernelgate.operations.operation import find_operation
from kernelgate.operations.reference import vendor_answer
from kernelgate.operations.timing_inputs import (
    draw_offsets,
    fill_timing_input,
    make_timing_input,
    make_timing_parameters,
)
from kernelgate.worker.model.calls import ModelCalls
from kernelgate.worker.model.kernel_model import KernelModel
from kernelgate.worker.target.assembler import take_ada_path
from kernelgate.worker.watch.data_flow import Witness
from kernelgate.worker.watch.launches import Launches, who_computed

LEAD_CYCLES = 3_000_000
"""Over a millisecond at any GPU's clock, in which the host queues all calls of a sample."""

_NOTHING = torch.empty(0)


class _Vendor(nn.Module):
    """The vendor implementation in the place of a kernel file: an arm of every timing."""

    def __init__(self, operation: Convolution) -> None:
        super().__init__()
        self.operation = operation
        self.conv1 = nn.Conv2d(
            operation.in_channels,
            operation.out_channels,
            operation.kernel_size,
            stride=operation.stride,
            padding=operation.padding,
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parameters = self.conv1.get_parameter("weight").detach(), self.conv1.get_parameter("bias").detach()
        return vendor_answer(self.operation, Inputs(x, *parameters))


class GpuMode:
    """Answers with what the GPU computes and how long it takes."""

    def __init__(self) -> None:
        torch.set_num_threads(2)  # arms and judges run side by side; the work is the GPU's
        self.kernel_file = ""
        self.launches: Launches | None = None
        self.on_gpu = False
        self.kernel: KernelModel | None = None
        self.trials: ModelCalls | None = None
        self.outputs: list[torch.Tensor] = []
        self.x = self.flush = _NOTHING

    def answer(self, request: protocol.Request) -> protocol.Response:
        """Return what was loaded, run, prepared, timed or written."""
        if not isinstance(request, protocol.Load):
            self._reach_gpu()
        does: dict[type[protocol.Request], Callable[[Any], protocol.Response]] = {
            protocol.Load: self._load,
            protocol.RunOne: lambda run: self._trials().run(run),
            protocol.SendRun: lambda send: self._trials().send(send),
            protocol.Prepare: self._prepare,
            protocol.WarmUp: self._warm_up,
            protocol.PlaceTensors: self._place,
            protocol.ReleaseTensors: self._release,
            protocol.MoveCode: self._move_code,
            protocol.TimeLaunches: self._time,
            protocol.WatchLaunches: self._watch,
            protocol.SendCode: self._send_code,
            protocol.SendAnswers: self._send,
        }
        if type(request) not in does:
            raise ValueError(f"mode gpu does not answer {type(request).__name__}")
        return does[type(request)](request)

    def is_crowded(self) -> bool:
        """Return whether the GPU has not as much left as this worker may take."""
        if not self.on_gpu:
            return False
        free, _ = torch.cuda.mem_get_info()
        return free + torch.cuda.memory_reserved() < self.gpu_memory_bytes

    def _load(self, request: protocol.Load) -> protocol.Loaded:
        # The GPU is not touched yet: another replicate may be on it, being timed.
        self.operation = find_operation(request.operation)
        self.gpu_memory_bytes = request.gpu_memory_bytes
        if request.file is None:
            vendor = _Vendor(self.operation)
            self.forward: nn.Module = vendor
            self.conv1: nn.Module = vendor.conv1
            return protocol.Loaded(autotuned=())
        self.kernel_file = request.file
        if request.ada_on is not None:
            take_ada_path(request.ada_on)
        self.launches = Launches(_current_stream)
        self.launches.follow()
        self.kernel = KernelModel(request.file)
        self.forward, self.conv1 = self.kernel.model, self.kernel.conv1
        return protocol.Loaded(autotuned=self.kernel.describe())

    def _reach_gpu(self) -> None:
        if self.on_gpu:
            return
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, self.gpu_memory_bytes / total))
        self.forward.cuda()
        self.on_gpu = True

    def _trials(self) -> ModelCalls:
        if self.kernel is None:
            raise ValueError("the vendor arm is timed, not judged")
        if self.trials is None:
            from kernelgate.worker.gpu.site import GpuSite  # noqa: PLC0415 - timing follows no launch but its own

            site = GpuSite(self.operation, self._followed().graphs)
            self.trials = ModelCalls(self.operation, self.kernel, site)
        return self.trials

    def _followed(self) -> Launches:
        if self.launches is None:
            raise ValueError("the vendor arm launches nothing of a kernel file")
        return self.launches

    def _move_code(self, _request: protocol.MoveCode) -> protocol.Done:
        if self.launches is not None:
            self.launches.unload()
        self.outputs = []
        with torch.no_grad():
            self.forward(self.x)
        torch.cuda.synchronize()
        return protocol.Done()

    def _set_parameters(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        with torch.no_grad():
            self.conv1.get_parameter("weight").copy_(weight)
            self.conv1.get_parameter("bias").copy_(bias)

    def _prepare(self, request: protocol.Prepare) -> protocol.Warm:
        self._call_on_noise(request.batch, self._call_each_configuration)
        return protocol.Warm(chosen=self._chosen() if self.kernel is None or self.kernel.pins == 1 else ())

    def _call_on_noise(self, batch: int, call: Callable[[torch.Tensor], object]) -> None:
        # Not zeros: they draw less power and run faster, which may change what the autotuner chooses.
        x = torch.randn(self.operation.input_shape(batch), device="cuda")
        with torch.no_grad():
            call(x)
        del x
        self._release(protocol.ReleaseTensors())

    def _call_each_configuration(self, x: torch.Tensor) -> None:
        if self.kernel is None:
            self.forward(x)
            return
        for pin in range(self.kernel.pins):
            # What cannot run on this GPU is passed over, as `Autotuner._bench` does.
            with suppress(OutOfResources, CompileTimeAssertionFailure, PTXASError), self.kernel.pinned(pin):
                self.forward(x)

    def _warm_up(self, request: protocol.WarmUp) -> protocol.Warm:
        self._call_on_noise(request.batch, self.forward)
        return protocol.Warm(chosen=self._chosen())

    def _chosen(self) -> tuple[str, ...]:
        return self.kernel.chosen() if self.kernel else ("cuDNN, TF32 allowed",)

    def _place(self, request: protocol.PlaceTensors) -> protocol.Done:
        # Held while the others are taken, so that they lie elsewhere than the last time.
        pad = torch.empty(request.pad_bytes, dtype=torch.int8, device="cuda")
        self._set_parameters(*make_timing_parameters(self.operation, request.seed))
        self.x = make_timing_input(self.operation, request.batch, request.seed)
        self.flush = torch.empty(request.flush_bytes, dtype=torch.int8, device="cuda")
        # Once untimed: memory for all outputs is taken, and what a process does for the first time is done.
        self._time(protocol.TimeLaunches(seed=request.seed, launches=request.launches))
        self.outputs = []
        del pad
        return protocol.Done()

    def _release(self, _request: protocol.ReleaseTensors) -> protocol.Done:
        self.outputs, self.x, self.flush = [], _NOTHING, _NOTHING
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        return protocol.Done()

    def _send(self, request: protocol.SendAnswers) -> protocol.Done:
        shape = self.operation.output_shape(self.x.shape[0])
        places = draw_offsets(math.prod(shape), request.count, request.seed)
        offsets = torch.from_numpy(places).to(self.x.device)
        for output in self.outputs:
            _check_form(output, type(self.x), shape)
        elements = [output.flatten()[offsets] for output in self.outputs]
        torch.stack(elements).cpu().numpy().tofile(request.out)
        return protocol.Done()

    def _watch(self, request: protocol.WatchLaunches) -> protocol.Watched:
        self._followed()
        _, found = self._make_calls(request)
        return protocol.Watched(delegated=tuple(dict.fromkeys(found)))

    def _send_code(self, _request: protocol.SendCode) -> protocol.Code:
        return self._followed().describe()

    def _time(self, request: protocol.TimeLaunches) -> protocol.Timed:
        marks, _ = self._make_calls(request)
        return protocol.Timed(times_ms=tuple(start.elapsed_time(end) for start, end in marks))

    def _make_calls(
        self, request: protocol.TimeLaunches | protocol.WatchLaunches
    ) -> tuple[list[tuple[Event, Event]], list[str]]:
        """Return the events round each call, and what was found in those that are watched.

        Both kinds are made here, at the same depth: a file that counts its callers learns nothing.
        """
        marks = [(_event(), _event()) for _ in range(request.launches)]
        found: list[str] = []
        self.outputs = []
        _hold_gpu(LEAD_CYCLES)  # or the first calls are timed with the host's delay in launching them
        main = _current_stream()
        with torch.no_grad():
            for call, (start, end) in enumerate(marks):
                # Other contents in the same storage: no answer before is this one.
                fill_timing_input(self.x, request.seed + call)
                self.flush.zero_()
                watching = self._watching(request)
                start.record()
                with watching as witness:
                    self.outputs.append(self.forward(self.x))
                for stream in self.launches.streams - {main} if self.launches else ():
                    main.wait_stream(stream)  # or work on it would be done in the next call's flush
                end.record()
                if witness is not None:
                    found += who_computed(witness, self.outputs[-1])
        torch.cuda.synchronize()
        return marks, found

    def _watching(
        self, request: protocol.TimeLaunches | protocol.WatchLaunches
    ) -> AbstractContextManager[Witness | None]:
        if isinstance(request, protocol.TimeLaunches) or self.launches is None:
            return nullcontext()
        return self.launches.watched(self.x, self.forward)


def _check_form(output: object, tensor: type[torch.Tensor], shape: tuple[int, ...]) -> None:
    if not isinstance(output, torch.Tensor) or type(output) is not tensor:
        raise TypeError(f"a timed call returned a {type(output).__name__}, allowed: a Tensor")
    if output.dtype != torch.float32 or output.shape != shape or not output.is_contiguous():
        got = f"{output.dtype} {tuple(output.shape)} with strides {output.stride()}"
        raise ValueError(f"a timed call returned {got}, allowed: torch.float32 {shape}, contiguous")


def _current_stream() -> Any:
    return torch.cuda.current_stream()


def _event() -> Event:
    return Event(enable_timing=True)


def _hold_gpu(cycles: int) -> None:
    torch.cuda._sleep(cycles)
