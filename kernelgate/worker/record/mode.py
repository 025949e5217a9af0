"""Mode `record`: run the model on tensors that look like a GPU's, and write down what it would do there."""

import hashlib
import math
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import torch
import triton
from torch import nn
from triton import knobs
from triton.compiler.errors import CompileTimeAssertionFailure
from triton.runtime.errors import OutOfResources, PTXASError

from kernelgate import protocol
from kernelgate.execution.contents import follow
from kernelgate.execution.launch_plan import CallForm, Launch, LaunchPlan, Scalar, Unplanned
from kernelgate.operations import find_operation
from kernelgate.operations.draws.tensors import dtype_of
from kernelgate.worker.failures import NotOfferedError
from kernelgate.worker.fake_cuda.streams import ORDER
from kernelgate.worker.fake_cuda.tensors import CudaLookalike, PretendedGpu
from kernelgate.worker.fake_cuda.torch_cuda import PretendedGraph, pretend_cuda
from kernelgate.worker.fake_cuda.triton_driver import StubDriver, activate, pretend_benchmarks
from kernelgate.worker.model.kernel_model import KernelModel
from kernelgate.worker.record.arguments import lower_arguments
from kernelgate.worker.record.buffer_table import BufferTable
from kernelgate.worker.record.memo import remember_back_half
from kernelgate.worker.record.moves import Moves
from kernelgate.worker.record.program_store import ProgramStore
from kernelgate.worker.record.surroundings import Surroundings, drawn_so_far, mode_of
from kernelgate.worker.record.tape import CannotPlanError, RawLaunch, RawStep, Tape, address_of
from kernelgate.worker.record.user_model import UserModel, make_input, name_fresh_contents
from kernelgate.worker.target.assembler import Assembler

TOLERATED = (OutOfResources, CompileTimeAssertionFailure, PTXASError, NotOfferedError)
"""What Triton's autotuner takes for a configuration to leave out; of anything else the first call dies."""

WARP_THREADS = 32
OTHER_BATCHES = (3, 2, 1281)
"""Small ones and a larger one before the call: what a file keeps of a batch may serve another."""

DRAWS = "forward draws a random number on the host: another call may do something else"
HOST_READ = "the host reads values of the GPU's memory"


class RecordMode:
    """Writes the launch plan of a call, with every program compiled and nothing run."""

    def __init__(self) -> None:
        self.kernel_file = ""
        self.programs = ProgramStore()
        remember_back_half()
        pretend_benchmarks()
        self.assembler = Assembler()
        self.surroundings = Surroundings()
        self.surroundings.pretend()

    def is_crowded(self) -> bool:
        """Return False: no GPU's memory is used here."""
        return False

    def answer(self, request: protocol.Request) -> protocol.Response:
        """Return what was loaded or recorded."""
        if isinstance(request, protocol.Load) and request.file is not None:
            self.kernel_file = request.file
            self.sha256 = hashlib.sha256(Path(request.file).read_bytes()).hexdigest()
            pretend_cuda(request.card, self.surroundings.more_memory_in_use)
            self.operation = find_operation(request.operation)
            self.surroundings.base_s, self.surroundings.asked = request.later_s, False
            self.kernel = KernelModel(request.file, self.operation)
            asks_time = self.surroundings.asked
            self.tape = Tape(request.file)
            self.tape.capture, self.tape.note_order = self._capture, ORDER.note_step
            return protocol.Loaded(autotuned=self.kernel.describe(), asks_time=asks_time)
        if isinstance(request, protocol.Record):
            return self._record(request)
        raise ValueError(f"mode record does not answer {type(request).__name__}")

    def _record(self, request: protocol.Record) -> protocol.Recorded:
        pretend_cuda(request.card, self.surroundings.more_memory_in_use)
        activate(StubDriver(request.card, self._note_launch, request.assembled_for))
        self.assembler.card = request.assembled_for
        knobs.compilation.always_compile = request.with_log  # what is found on disk comes without one
        self.folder = Path(request.folder)
        self.programs.begin(self.folder)
        try:
            return self._make_calls(request)
        except TOLERATED as error:
            return protocol.Recorded(refused=f"{type(error).__name__}: {str(error)[:2000]}")
        except CannotPlanError:
            if self.tape.refused is None:
                raise
            return self._refusal(self.tape.refused)

    def _refusal(self, refused: CannotPlanError) -> protocol.Recorded:
        return protocol.Recorded(
            unplanned=Unplanned(refused.reason), detail=refused.detail, line=refused.line
        )

    def _make_calls(self, request: protocol.Record) -> protocol.Recorded:
        """Return the plan of a call, made after those before it; the first that has none ends them."""
        user, inputs = UserModel(self.kernel, request.form), self._make_inputs(request, request.batch)
        if request.form.changed == "batch":
            for batch in OTHER_BATCHES:
                earlier = self._call_another_batch(request, user, batch)
                if earlier is not None and not earlier.plan_file:
                    return earlier
        # The compile stage asks each configuration by itself, with its log; others what a call of users does.
        with self.kernel.pinned(request.pin, strictly=request.with_log):
            recorded = protocol.Recorded()
            for number in range(request.form.call + 1):
                if number:
                    self._change(user, request)
                recorded = self._make_call(request, user, inputs, request.batch)
                if not recorded.plan_file:
                    break
                if request.form.changed not in inputs:
                    inputs = self._make_inputs(request, request.batch)
        return recorded

    def _make_inputs(self, request: protocol.Record, batch: int) -> dict[str, torch.Tensor]:
        return {
            each.name: make_input(self.operation, each, batch, request.form.layout)
            for each in self.operation.inputs
        }

    def _call_another_batch(
        self, request: protocol.Record, user: UserModel, batch: int
    ) -> protocol.Recorded | None:
        """Return the plan of a call on another batch, None if the configuration is not for that."""
        inputs = self._make_inputs(request, batch)
        with suppress(*TOLERATED), self.kernel.pinned(request.pin):
            return self._make_call(request, user, inputs, batch)
        return None

    def _change(self, user: UserModel, request: protocol.Record) -> None:
        """Do what the form says that happens before each call but the first."""
        name, _, way = (request.form.changed or "").partition("-")
        if name in user.held:
            user.change(name, way)
        elif name == "model":
            inputs = self._make_inputs(request, request.batch)
            self._make_call(request, UserModel(self.kernel, request.form), inputs, request.batch)

    def _make_call(
        self, request: protocol.Record, user: UserModel, inputs: dict[str, torch.Tensor], batch: int
    ) -> protocol.Recorded:
        given = inputs | user.given
        self.tape.begin_call(given, user.others)
        for name, held in (user.held | {name: name_fresh_contents() for name in inputs}).items():
            self.tape.held[address_of(given[name])] = held
        ORDER.begin_call()
        drawn = drawn_so_far()
        answer = self.surroundings.call(user.form, partial(self._forward, user.model, inputs, user.form))
        if drawn_so_far() != drawn:
            return protocol.Recorded(unplanned=Unplanned.CALLS_DIFFER, detail=DRAWS)
        if self.tape.refused is None and (amiss := ORDER.end_call()):
            return protocol.Recorded(unplanned=Unplanned.STREAM_ORDER, detail=f"forward {amiss}")
        if self.tape.refused is not None:  # the file caught it, and went on
            return self._refusal(self.tape.refused)
        if not _is_answer(answer, self.operation.output_shape(batch), dtype_of(self.operation)):
            return protocol.Recorded(returned=_describe(answer))
        self.tape.refuse_earlier_answer(answer)
        return self._write(request, answer, batch)

    def _forward(self, model: nn.Module, inputs: dict[str, torch.Tensor], form: CallForm) -> Any:
        pretended = PretendedGpu()
        pretended.on_host_read = lambda _: self.tape.refuse("reads-values", HOST_READ)
        with pretended, Moves(self.tape, pretended), mode_of(form):
            if form.within == "gradient-of-inputs":
                return model(*(each.requires_grad_() for each in inputs.values()))
            return model(*inputs.values())

    def _write(self, request: protocol.Record, answer: torch.Tensor, batch: int) -> protocol.Recorded:
        """Write the plan of the call that was made, and note what it leaves behind."""
        table = BufferTable(self.tape, self.folder)
        buffers, steps, view = table.finish(answer)
        begun = table.held_before()
        table.keep_contents(follow(buffers, steps, self.programs.touched_by, begun))
        self.tape.answers.add(address_of(answer))
        launched = {step.program for step in steps if isinstance(step, Launch)}
        plan = LaunchPlan(
            schema="kernelgate.plan/2",
            operation=self.operation.name,
            kernel_sha256=self.sha256,
            target=f"sm_{request.card.capability}",
            card=f"sm_{request.assembled_for or request.card.capability}",
            triton=triton.__version__,
            batch=batch,
            config=None if request.pin is None else self.kernel.pinned_config(request.pin),
            form=request.form,
            buffers=buffers,
            programs=self.programs.of(launched),
            steps=steps,
            answer=view,
        )
        file = self.folder / "plan.json"
        file.write_bytes(msgspec.json.encode(plan))
        return protocol.Recorded(plan_file=str(file), held=begun)

    def _note_launch(
        self, source: Any, metadata: Any, grid: tuple[int, int, int], arguments: tuple[Any, ...]
    ) -> None:
        program = self.programs.keep(source, metadata)
        try:
            given = list(lower_arguments(source.signature.values(), arguments, metadata))
            scratch = [self._scratch(metadata, grid, kind) for kind in ("global", "profile")]
        except CannotPlanError as error:
            self.tape.refuse(error.reason, error.detail)
        clusters = getattr(metadata, "num_ctas", 1)
        launch = Launch(
            program=program.cubin,
            grid=(grid[0] * clusters, *grid[1:]),
            threads=WARP_THREADS * metadata.num_warps,
            cluster=(clusters, 1, 1),
            shared_bytes=metadata.shared,
            cooperative=bool(getattr(metadata, "launch_cooperative_grid", False)),
            dependent=bool(getattr(metadata, "launch_pdl", False)),
            arguments=(),
        )
        self.tape.add(RawLaunch(launch, [*given, *scratch]))

    def _scratch(self, metadata: Any, grid: tuple[int, int, int], kind: str) -> torch.Tensor | Scalar | None:
        """Return memory that a program works in, as the launcher would allocate it; none if it takes none."""
        size = getattr(metadata, f"{kind}_scratch_size", 0) or 0
        if not size:
            return None
        blocks = math.prod(grid) * getattr(metadata, "num_ctas", 1)
        return self.tape.make(torch.empty(blocks * size, dtype=torch.uint8))

    def _capture(self, step: RawStep) -> bool:
        """Return whether a graph has taken the step, to make it again at each replay."""
        graph = PretendedGraph.capturing
        if graph is not None:
            graph.launches.append(partial(self.tape.add, step))
        return graph is not None


def _is_answer(answer: Any, shape: tuple[int, ...], dtype: torch.dtype) -> bool:
    return (
        type(answer) in (torch.Tensor, CudaLookalike, nn.Parameter)
        and answer.dtype == dtype
        and tuple(answer.shape) == shape
        and answer.is_contiguous()
        and isinstance(answer, CudaLookalike)
    )


def _describe(answer: Any) -> str:
    if not isinstance(answer, torch.Tensor):
        return type(answer).__name__
    where = "on a GPU" if isinstance(answer, CudaLookalike) else "on the CPU"
    order = "" if answer.is_contiguous() else ", not contiguous"
    kind = str(answer.dtype).removeprefix("torch.")
    return f"{kind} of shape {list(answer.shape)} {where}{order}"
