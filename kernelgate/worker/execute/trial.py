"""Calls of launch plans on the judge's tensors, one after the other: what they wrote, and where beside."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec
import torch

from kernelgate import protocol
from kernelgate.execution.launch_plan import Launch, LaunchPlan
from kernelgate.execution.observed.launches import SeenLaunch
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.tensors import draw_items, dtype_of, make_parameters
from kernelgate.operations.draws.transfer import to_gpu
from kernelgate.worker.execute.arena import Arena
from kernelgate.worker.execute.memory import PlanMemory
from kernelgate.worker.execute.programs import Programs, fill_constants
from kernelgate.worker.execute.steps import bind
from kernelgate.worker.tensors.answers import write_items
from kernelgate.worker.tensors.layouts import bytes_of, lay_out, lay_out_weight, stored_items
from kernelgate.worker.tensors.poison import fill_with_bits

ITEMS_AT_ONCE = 256

DEVICE = "cuda"


class Given(NamedTuple):
    """What a call gets: inputs as they lie in the arena, what they hold, and the other tensors' bytes."""

    inputs: dict[str, torch.Tensor]
    drawn: dict[str, torch.Tensor]
    places: torch.Tensor
    fixed: dict[int, torch.Tensor]


class Trial:
    """Runs plans in one process, and keeps the last answer until it is asked for."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.programs = Programs()
        self.answer: torch.Tensor | None = None

    def run(self, request: protocol.RunPlan) -> protocol.Ran:
        """Return what the launches of a plan did to memory; its answer is kept."""
        plan, folder = _read(request.plan)
        self.answer = None  # given back before the next is made: two of the largest do not fit
        arena = Arena([buffer.bytes for buffer in plan.buffers], DEVICE)
        given = self._fill(plan, arena.memory, request)
        fill_constants(plan, folder, arena.memory)
        self.programs.load(plan, folder)
        stream = torch.cuda.current_stream().cuda_stream
        steps = [bind(step, arena.memory, self.programs.loaded, stream) for step in plan.steps]
        for does in steps:
            does()
        self.answer = arena.memory.view(plan.answer)
        # The one wait for the GPU: others use it too, and each wait is as long as their turns.
        broken, *changes = torch.stack([arena.broken_bytes(), *self._changes(given, arena.memory)]).tolist()
        return protocol.Ran(
            returned="Tensor",
            shape=plan.answer.shape,
            dtype=f"torch.{plan.answer.dtype}",
            device="cuda:0",
            launches=tuple(_seen(plan, launch) for launch in plan.launches),
            inputs_intact=not any(changes),
            memory=(f"{broken} bytes outside the tensors were written",) if broken else (),
        )

    def send(self, request: protocol.SendRun) -> protocol.Sent:
        """Write items of the answer that was kept, all of them if none is named."""
        assert self.answer is not None
        return write_items(self.answer, request.items, request.out)

    def _fill(self, plan: LaunchPlan, memory: PlanMemory, request: protocol.RunPlan) -> Given:
        """Put the tensors of the recipe into memory, and poison into what holds nothing yet."""
        recipe, inputs, held = request.recipe, {}, {}
        fixed = make_parameters(self.operation, recipe)
        for number, buffer in enumerate(plan.buffers):
            if buffer.role in fixed:
                laid = lay_out_weight(fixed[buffer.role], request.layout)
                held[number] = to_gpu(bytes_of(laid))
                memory.buffers[number][: held[number].numel()].copy_(held[number])
            elif buffer.is_given:
                shape = self.operation.shape_of(buffer.role, recipe.batch)
                inputs[buffer.role] = _view_input(
                    memory.buffers[number],
                    torch.empty(shape, dtype=dtype_of(self.operation), device="meta"),
                    request.layout,
                )
            else:
                fill_with_bits(_as(memory.buffers[number], torch.float32), request.poison_bits)
        drawn, places = draw_items(self.operation, recipe)
        given = Given(inputs, {name: to_gpu(items) for name, items in drawn.items()}, to_gpu(places), held)
        for name, values in inputs.items():
            for part, content in self._parts(given, name, stored_items(values)):
                part.copy_(content[tuple(map(slice, part.shape))])
        return given

    def _changes(self, given: Given, memory: PlanMemory) -> Iterator[torch.Tensor]:
        """Yield how many bytes of inputs and parameters are not as they were put there, part by part."""
        for number, held in given.fixed.items():
            yield (memory.buffers[number][: held.numel()] != held).sum()
        for name, values in given.inputs.items():
            for part, content in self._parts(given, name, values):
                yield (_bits(part) != _bits(content)).sum()

    def _parts(
        self, given: Given, name: str, values: torch.Tensor
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield an input in parts along N, each with what it is to hold."""
        axis = next(each.axis for each in self.operation.inputs if each.name == name)
        for first in range(0, values.shape[axis], ITEMS_AT_ONCE):
            part = values.narrow(axis, first, min(ITEMS_AT_ONCE, values.shape[axis] - first))
            places = given.places[first : first + part.shape[axis]]
            yield part, given.drawn[name].index_select(axis, places)


def _view_input(buffer: torch.Tensor, plain: torch.Tensor, layout: str) -> torch.Tensor:
    """Return an input as the layout has it; what lies beside it in its memory becomes NaN."""
    like = lay_out(plain, layout)
    values = _as(buffer, plain.dtype).fill_(torch.nan)
    return values.as_strided(like.shape, like.stride(), values.storage_offset() + like.storage_offset())


@cache
def _read(plan: str) -> tuple[LaunchPlan, Path]:
    file = Path(plan)
    return msgspec.json.decode(file.read_bytes(), type=LaunchPlan), file.parent


def _as(buffer: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return buffer[: buffer.numel() // dtype.itemsize * dtype.itemsize].view(dtype)


def _seen(plan: LaunchPlan, launch: Launch) -> SeenLaunch:
    program = plan.program_of(launch)
    return SeenLaunch(
        kernel=program.kernel, ttir=program.ttir, programs_run=0, programs_total=0, makes_answer=False
    )


def _bits(values: torch.Tensor) -> torch.Tensor:
    return values.contiguous().view(torch.uint8)
