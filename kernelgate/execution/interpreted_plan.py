"""Runs a launch plan on the interpreter: its buffers, its moves of data, its launches, whole or sampled."""

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import msgspec
from numpy.typing import NDArray

from kernelgate.execution import interpreted_moves
from kernelgate.execution.launch_plan import (
    TEMPORARY,
    Buffer,
    Copy,
    Fill,
    Launch,
    LaunchPlan,
    Pointer,
    Scalar,
)
from kernelgate.execution.observed.decisions import ContentsOf, SeenDecision, see_decisions
from kernelgate.execution.sampled_launch import LaunchSeen, Sampling, run_sampled
from kernelgate.interpreter import launch as interpreted
from kernelgate.interpreter.errors import CannotInterpretError
from kernelgate.interpreter.launch import LaunchRun, ReadyKernel
from kernelgate.interpreter.memory.buffer import PAGE_BYTES, poison
from kernelgate.interpreter.memory.buffer import Fill as Filler
from kernelgate.interpreter.memory.memory import Memory

KNOWN_TRITON = ("3.6", "3.7")
"""Whose TTIR is interpreted: an operation of another version may mean something else."""

MAX_TURNS = 200_000
"""Of all loops of a launch, those of programs that run together counted once: thousands are usual."""


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What a buffer holds before the call: all of its bytes, or what fills a granule when it is touched."""

    content: NDArray[Any] | None = None
    fill: Filler | None = None
    granule: int = PAGE_BYTES


class InterpretedPlan:
    """One call: a plan, and memory in which its inputs and constants are `given`, by role or by digest.

    Temporaries hold the word `poison_bits` again and again. `kernel_of` returns what a TTIR's digest names.
    Raises CannotInterpretError for a plan of a version of Triton that is not known.
    """

    def __init__(
        self,
        plan: LaunchPlan,
        kernel_of: Callable[[str], ReadyKernel],
        given: Mapping[str, Given],
        poison_bits: int,
    ) -> None:
        if ".".join(plan.triton.split(".")[:2]) not in KNOWN_TRITON:
            known = " and ".join(KNOWN_TRITON)
            raise CannotInterpretError(f"TTIR of Triton {plan.triton} cannot be interpreted, {known}'s can")
        self.plan, self.kernel_of = plan, kernel_of
        self.decided: list[SeenDecision] = []
        self.memory = Memory(undefined=poison_bits)
        self.names = [self._name(number, buffer) for number, buffer in enumerate(plan.buffers)]
        for name, buffer in zip(self.names, plan.buffers, strict=True):
            self._add(name, buffer, given.get(buffer.content or buffer.role), poison_bits)

    @property
    def answer(self) -> str:
        """The name of the buffer that the answer lies in."""
        return self.names[self.plan.answer.buffer]

    def run(self, sampling: Sampling) -> list[LaunchSeen]:
        """Run all steps in order; return what was seen of each launch.

        Raises CannotInterpretError, and TooLargeError for a move of more memory than there is room for.
        """
        seen: list[LaunchSeen] = []
        contents = ContentsOf(self.plan.buffers)
        for step in self.plan.steps:
            if isinstance(step, Launch):
                run = self.begin(step)
                run.ready.sides.clear()
                began = time.process_time()
                seen.append(run_sampled(run, sampling, seen, may_thin=self._stands_alone(run)))
                left = sampling.seconds - (time.process_time() - began)
                sampling = msgspec.structs.replace(sampling, seconds=max(0.0, left))
                if self._decides:
                    contents.note_launch(step, run.ready)
                    self.decided += see_decisions(step, run.ready, contents)
            elif isinstance(step, Fill):
                interpreted_moves.fill(self._buffer(step.target.buffer), step)
            else:
                contents.note_copy(step)
                target, source = self._buffer(step.target.buffer), self._buffer(step.source.buffer)
                interpreted_moves.copy(target, source, step)
        return seen

    def _stands_alone(self, run: LaunchRun) -> bool:
        """Whether a launch writes the answer alone, which nothing reads: then some programs will do."""
        if run.waits or run.ready.may_write(run.arguments) != frozenset([self.answer]):
            return False
        return not self._reads_answer and self.answer not in self.copied()

    @cached_property
    def _reads_answer(self) -> bool:
        # No run is begun for it: that would number the programs of the launch that runs.
        for launch in self.plan.launches:
            kernel = self.kernel_of(self.plan.program_of(launch).ttir)
            read = kernel.may_read([self._argument(each) for each in launch.arguments])
            if read is None or self.answer in read:
                return True
        return False

    @cached_property
    def _decides(self) -> bool:
        """Whether any kernel of the plan may decide by what it loads."""
        kernels = {self.plan.program_of(launch).ttir for launch in self.plan.launches}
        return any(self.kernel_of(ttir).sides.decisions for ttir in kernels)

    def inputs_intact(self) -> bool:
        """Return whether no program wrote into an input or a parameter."""
        named = zip(self.names, self.plan.buffers, strict=True)
        held = (self.memory.buffers[name] for name, buffer in named if buffer.is_given)
        return not any(buffer.count_written_since(1) for buffer in held)

    def moves_answer(self) -> bool:
        """Return whether a step that is no launch puts something into the answer's memory."""
        moves = (step for step in self.plan.steps if isinstance(step, Fill | Copy))
        return any(step.target.buffer == self.plan.answer.buffer for step in moves)

    def copied(self) -> set[str]:
        """Return the buffers that copies read."""
        return {self.names[step.source.buffer] for step in self.plan.steps if isinstance(step, Copy)}

    def _name(self, number: int, buffer: Buffer) -> str:
        if buffer.is_given:
            return buffer.role
        return "the answer" if number == self.plan.answer.buffer else f"{buffer.role} {number}"

    def _add(self, name: str, buffer: Buffer, given: Given | None, poison_bits: int) -> None:
        if buffer.role == TEMPORARY or given is None:
            self.memory.add(name, buffer.bytes, fill=poison(poison_bits))
        elif given.content is not None:
            self.memory.add(name, buffer.bytes, content=given.content)
        else:
            self.memory.add(name, buffer.bytes, fill=given.fill, granule=given.granule)

    def _buffer(self, number: int) -> Any:
        return self.memory.buffers[self.names[number]]

    def begin(self, step: Launch) -> LaunchRun:
        """Return a launch of the plan, of which no program has run yet."""
        program = self.plan.program_of(step)
        arguments = [self._argument(argument) for argument in step.arguments]
        grid = (step.grid[0] // step.cluster[0], *step.grid[1:])
        kernel = self.kernel_of(program.ttir)
        return LaunchRun(kernel, program.kernel, grid, arguments, self.memory, max_turns=MAX_TURNS)

    def _argument(self, argument: Any) -> interpreted.Argument:
        if isinstance(argument, Pointer):
            return interpreted.Pointer(buffer=self.names[argument.buffer], offset=argument.offset)
        return interpreted.Scalar(bits=argument.bits) if isinstance(argument, Scalar) else None
