"""Calls of launch plans on the judge's tensors, one after the other: what they wrote, and where beside."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec
import torch

from kernelgate import protocol
from kernelgate.execution.launch_plan import Launch, LaunchPlan
from kernelgate.operations.convolution import Convolution
from kernelgate.operations.inputs import draw_images, make_parameters
from kernelgate.operations.recipe import Recipe
from kernelgate.worker.execute.arena import Arena
from kernelgate.worker.execute.memory import PlanMemory, bytes_of
from kernelgate.worker.execute.programs import Programs, fill_constants
from kernelgate.worker.execute.steps import bind
from kernelgate.worker.tensors.answers import write_images
from kernelgate.worker.tensors.layouts import lay_out, lay_out_weight, stored_images
from kernelgate.worker.tensors.poison import fill_with_bits

IMAGES_AT_ONCE = 256

DEVICE = "cuda"


class Given(NamedTuple):
    """What a call gets: x as it lies in the arena, the images that it holds, and the parameters' bytes."""

    x: torch.Tensor
    drawn: torch.Tensor
    places: torch.Tensor
    parameters: dict[int, torch.Tensor]


class Trial:
    """Runs plans in one process, and keeps the last answer until it is asked for."""

    def __init__(self, operation: Convolution) -> None:
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
        torch.cuda.synchronize()
        self.answer = arena.memory.view(plan.answer)
        broken = arena.broken_bytes()
        return protocol.Ran(
            returned="Tensor",
            shape=plan.answer.shape,
            dtype="torch.float32",
            device="cuda:0",
            launches=tuple(_seen(plan, launch) for launch in plan.launches),
            inputs_intact=_is_intact(given, arena.memory),
            memory=(f"{broken} bytes outside the tensors were written",) if broken else (),
        )

    def send(self, request: protocol.SendRun) -> protocol.Sent:
        """Write images of the answer that was kept, all of them if none is named."""
        assert self.answer is not None
        return write_images(self.answer, request.images, request.out)

    def _fill(self, plan: LaunchPlan, memory: PlanMemory, request: protocol.RunPlan) -> Given:
        """Put x and the parameters of the recipe into memory, and poison into what holds nothing yet."""
        recipe = request.recipe
        weight, bias = make_parameters(self.operation, recipe)
        parameters = {"weight": lay_out_weight(weight, request.layout), "bias": bias}
        held: dict[int, torch.Tensor] = {}
        for number, buffer in enumerate(plan.buffers):
            if buffer.role in parameters:
                held[number] = bytes_of(parameters[buffer.role]).to(DEVICE)
                memory.buffers[number][: held[number].numel()].copy_(held[number])
            elif buffer.role == "x":
                x = self._view_x(memory.buffers[number], recipe, request.layout)
            else:
                fill_with_bits(_as_floats(memory.buffers[number]), request.poison_bits)
        drawn, places = draw_images(self.operation, recipe, DEVICE)
        stored = stored_images(x)
        for span in _spans(len(stored)):
            stored[span].copy_(drawn[places[span]][:, : stored.shape[1]])
        return Given(x, drawn, places, held)

    def _view_x(self, buffer: torch.Tensor, recipe: Recipe, layout: str) -> torch.Tensor:
        """Return x as the layout has it; what lies beside it in its memory becomes NaN."""
        like = lay_out(torch.empty(self.operation.input_shape(recipe.batch), device="meta"), layout)
        floats = _as_floats(buffer).fill_(torch.nan)
        return floats.as_strided(like.shape, like.stride(), floats.storage_offset() + like.storage_offset())


@cache
def _read(plan: str) -> tuple[LaunchPlan, Path]:
    file = Path(plan)
    return msgspec.json.decode(file.read_bytes(), type=LaunchPlan), file.parent


def _as_floats(buffer: torch.Tensor) -> torch.Tensor:
    return buffer[: buffer.numel() // 4 * 4].view(torch.float32)


def _spans(count: int) -> list[slice]:
    return [slice(first, min(count, first + IMAGES_AT_ONCE)) for first in range(0, count, IMAGES_AT_ONCE)]


def _seen(plan: LaunchPlan, launch: Launch) -> protocol.SeenLaunch:
    program = plan.program_of(launch)
    return protocol.SeenLaunch(
        kernel=program.kernel, ttir=program.ttir, programs_run=0, programs_total=0, makes_answer=False
    )


def _is_intact(given: Given, memory: PlanMemory) -> bool:
    """Return whether x and the parameters still hold what was put there."""
    return all(
        torch.equal(memory.buffers[number][: held.numel()], held) for number, held in given.parameters.items()
    ) and all(
        torch.equal(_bits(given.x[span]), _bits(given.drawn[given.places[span]]))
        for span in _spans(len(given.places))
    )


def _bits(values: torch.Tensor) -> torch.Tensor:
    return values.contiguous().view(torch.int32)
