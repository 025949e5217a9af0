"""What is timed: the calls of a kernel file, by their plans, or of the vendor implementation."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec
import torch

from kernelgate import protocol
from kernelgate.execution.launch_plan import LaunchPlan
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.truth.reference import Tensors
from kernelgate.operations.truth.truth import vendor_answer
from kernelgate.worker.execute.memory import PlanMemory, allocate
from kernelgate.worker.execute.programs import Programs, fill_constants
from kernelgate.worker.execute.steps import BoundStep, bind
from kernelgate.worker.tensors.layouts import bytes_of


class TimedArm(Protocol):
    """One contestant, in one of its configurations at a time."""

    @property
    def choices(self) -> int:
        """How many configurations there are."""

    def choose(self, number: int) -> None:
        """Take a configuration for all that follows."""

    def place(self, tensors: Tensors, calls: int) -> None:
        """Take memory for so many calls on these tensors, and prepare what a file prepares once."""

    def load_code(self) -> None:
        """Load the machine code anew, where it may lie elsewhere."""

    def call(self, number: int) -> torch.Tensor:
        """Make one of the calls, and return its answer."""

    def release(self) -> None:
        """Give the memory back."""


class VendorArm:
    """The vendor implementation."""

    choices = 1

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.tensors: Tensors = {}

    def choose(self, _number: int) -> None:
        """There is no choice: the vendor makes its own."""

    def place(self, tensors: Tensors, calls: int) -> None:
        """Take note of the tensors, and have PyTorch hold the memory of so many answers."""
        self.tensors = tensors
        answer = self.call(0)
        answers = [torch.empty_like(answer) for _ in range(calls)]
        del answers  # PyTorch keeps what they lay in for the calls

    def load_code(self) -> None:
        """Leave the vendor's code where it keeps it."""

    def call(self, _number: int) -> torch.Tensor:
        """Return the vendor's answer, in memory of its own."""
        return vendor_answer(self.operation, self.tensors)

    def release(self) -> None:
        """Forget the tensors."""
        self.tensors = {}


class TimedCall(NamedTuple):
    """A plan, the steps of it that only the first call on new parameters makes, and where its code lies."""

    plan: LaunchPlan
    prepared: frozenset[int]
    folder: Path


class PlanArm:
    """A kernel file by its launch plans, one for each configuration."""

    def __init__(self, calls: Sequence[protocol.PlannedCall]) -> None:
        self.calls = [_read(each) for each in calls]
        self.choices = len(self.calls)
        self.programs = Programs()
        self.memories: list[PlanMemory] = []
        self.bound: list[list[BoundStep]] = []
        self.choose(0)

    def choose(self, number: int) -> None:
        """Take the plan of a configuration."""
        self.release()
        self.programs.unload()
        self.current = self.calls[number]

    def place(self, tensors: Tensors, calls: int) -> None:
        """Take memory: one buffer of the answer for each call, all others once; make one whole call in it."""
        plan, device = self.current.plan, next(iter(tensors.values())).device
        first = PlanMemory(
            [
                bytes_of(tensors[each.role]) if each.is_given else allocate(each, device)
                for each in plan.buffers
            ]
        )
        fill_constants(plan, self.current.folder, first)
        answer = plan.answer.buffer
        more = [allocate(plan.buffers[answer], device) for _ in range(calls - 1)]
        self.memories = [first, *(first.exchanged(answer, each) for each in more)]
        self._bind()
        self._make_whole_call()

    def load_code(self) -> None:
        """Unload the programs and load them anew."""
        self.programs.unload()
        self._bind()

    def call(self, number: int) -> torch.Tensor:
        """Do what each call of the file does once its parameters are prepared."""
        for does in self.bound[number]:
            does()
        return self.memories[number].view(self.current.plan.answer)

    def release(self) -> None:
        """Give all memory of the calls back."""
        self.memories, self.bound = [], []

    def _bind(self) -> None:
        plan, prepared, folder = self.current
        self.programs.load(plan, folder)
        steps = [step for place, step in enumerate(plan.steps) if place not in prepared]
        stream = torch.cuda.current_stream().cuda_stream
        self.bound = [
            [bind(step, memory, self.programs.loaded, stream) for step in steps] for memory in self.memories
        ]

    def _make_whole_call(self) -> None:
        stream = torch.cuda.current_stream().cuda_stream
        for step in self.current.plan.steps:
            bind(step, self.memories[0], self.programs.loaded, stream)()
        torch.cuda.synchronize()  # the parameters of each launch live until it has begun


def _read(call: protocol.PlannedCall) -> TimedCall:
    file = Path(call.plan)
    plan = msgspec.json.decode(file.read_bytes(), type=LaunchPlan)
    return TimedCall(plan, frozenset(call.prepared), file.parent)
