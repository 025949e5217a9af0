"""Mode `interpret`: launch plans run on the interpreter of TTIR. No kernel file is ever imported here."""

import math
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kernelgate import protocol
from kernelgate.execution.interpreted_plan import Given, InterpretedPlan
from kernelgate.execution.launch_plan import DTYPE_BYTES
from kernelgate.execution.observed.covered import count_covered
from kernelgate.execution.observed.launches import SeenLaunch
from kernelgate.execution.plan_files import StoredPlan, read_plan
from kernelgate.execution.sampled_launch import LaunchSeen, Sampling
from kernelgate.interpreter.launch import ReadyKernel
from kernelgate.interpreter.text.parser import parse
from kernelgate.operations import find_operation
from kernelgate.worker.interpret.findings import check_ended, told
from kernelgate.worker.interpret.given import make_given
from kernelgate.worker.interpret.places import Places

FLOAT32_BYTES = DTYPE_BYTES["float32"]


class InterpretMode:
    """Runs plans, and keeps the last answer until it is asked for."""

    def __init__(self) -> None:
        self.kernel_file = ""
        self.call: InterpretedPlan | None = None
        torch.set_num_threads(1)

    def is_crowded(self) -> bool:
        """Return False: no GPU's memory is used here."""
        return False

    def answer(self, request: protocol.Request) -> protocol.Response:
        """Return what was run or sent."""
        if isinstance(request, protocol.LoadPlans):
            self.operation = find_operation(request.operation)
            return protocol.Loaded(autotuned=())
        if isinstance(request, protocol.RunPlan):
            return self._run(request)
        if isinstance(request, protocol.SendRun):
            return self._send(request)
        raise ValueError(f"mode interpret does not answer {type(request).__name__}")

    def _run(self, request: protocol.RunPlan) -> protocol.Ran:
        self.call = None  # given back before the next is made: two of the largest do not fit
        stored = self._read(request.plan)
        call = InterpretedPlan(
            stored.plan,
            lambda ttir: _make_ready(stored.contents, ttir),
            make_given(self.operation, request.recipe, request.layout) | _constants(stored),
            request.poison_bits,
        )
        launches = call.run(self._sampling(request))
        found = call.memory.findings.found
        places = Places(self.operation, stored.plan, partial(_text_of, stored.contents))
        check_ended(found)
        self.call = call
        self.is_whole = all(launch.programs_run == np.prod(launch.grid) for launch in launches)
        return protocol.Ran(
            returned="Tensor",
            shape=stored.plan.answer.shape,
            dtype=f"torch.{stored.plan.answer.dtype}",
            device="cuda:0",
            launches=tuple(_describe(call, launches, number) for number in range(len(launches))),
            inputs_intact=call.inputs_intact(),
            memory=told(found, places.describe),
            decisions=tuple(call.decided),
            covered=_count_covered(stored) if request.covers else None,
        )

    def _sampling(self, request: protocol.RunPlan) -> Sampling:
        return Sampling(
            operation=self.operation,
            batch=request.recipe.batch,
            seed=request.recipe.seed,
            programs=request.programs,
            kernels=request.sampled,
            backwards=request.backwards,
            seconds=math.inf if request.seconds is None else request.seconds,
        )

    @cache  # noqa: B019 - as long as the process lives
    def _read(self, plan: str) -> StoredPlan:
        return read_plan(Path(plan), self.operation)

    def _send(self, request: protocol.SendRun) -> protocol.Sent:
        assert self.call is not None
        values, places = read_answer(self.call, is_whole=self.is_whole)
        values.tofile(request.out)
        if places is not None:
            places.tofile(request.places)
        return protocol.Sent(count=len(values), whole=places is None)


def _count_covered(stored: StoredPlan) -> int | None:
    """Return how many elements of the answer the whole grids of a plan write."""
    return count_covered(stored.plan, lambda ttir: stored.read(ttir, "ttir").decode())


def read_answer(
    call: InterpretedPlan, *, is_whole: bool
) -> tuple[NDArray[np.float32], NDArray[np.int64] | None]:
    """Return what programs wrote of the answer, as float32, and where, None for all of it.

    Where moves of data had a hand in it, and every program ran, it is all that is there.
    """
    view, memory = call.plan.answer, call.memory
    count = int(np.prod(view.shape))
    buffer, size = memory.buffers[call.answer], DTYPE_BYTES[view.dtype]
    kind = f"u{size}"
    is_all_written = size * count == buffer.size and buffer.count_written_since(1) == buffer.units
    if is_all_written or (call.moves_answer() and is_whole):
        return _widened(memory.read(call.answer, kind, size * view.offset, count)), None
    places = _in_elements(buffer, memory.written(call.answer), size) - view.offset
    places = places[(places >= 0) & (places < count)]
    if len(places) == count:
        return _widened(memory.read(call.answer, kind, size * view.offset, count)), None
    return _widened(memory.gather(call.answer, kind, places + view.offset)), places


def _widened(bits: NDArray[Any]) -> NDArray[np.float32]:
    """Return the float32 values that have these bits, or these bits of a bfloat16."""
    return (bits if bits.itemsize == FLOAT32_BYTES else bits.astype(np.uint32) << np.uint32(16)).view(
        np.float32
    )


def _in_elements(buffer: Any, units: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Return the elements of so many bytes that units of another size lie in."""
    if buffer.unit == size:
        return units
    if buffer.unit > size:
        each = buffer.unit // size
        found: NDArray[np.int64] = (units[:, None] * each + np.arange(each)).ravel()
        return found
    return np.unique(units * buffer.unit // size)


def _constants(stored: StoredPlan) -> dict[str, Given]:
    named = [buffer.content for buffer in stored.plan.buffers if buffer.content is not None]
    return {name: Given(content=np.frombuffer(stored.read(name, "bin"), np.uint8)) for name in named}


@cache
def _make_ready(contents: Path, ttir: str) -> ReadyKernel:
    text = _text_of(contents, ttir)
    return ReadyKernel(parse(text), text)


def _text_of(contents: Path, ttir: str) -> str:
    return (contents / f"{ttir}.ttir").read_text(encoding="utf-8")


def _describe(call: InterpretedPlan, launches: list[LaunchSeen], number: int) -> SeenLaunch:
    launch = launches[number]
    read = any(each.may_read is None or call.answer in each.may_read for each in launches)
    alone = not read and call.answer not in call.copied()
    return SeenLaunch(
        kernel=launch.kernel,
        ttir=call.plan.program_of(call.plan.launches[number]).ttir,
        programs_run=launch.programs_run,
        programs_total=int(np.prod(launch.grid)),
        programs_idle=launch.programs_idle,
        most_written=launch.most_written,
        thinned=launch.thinned,
        makes_answer=alone and launch.wrote == {call.answer},
    )
