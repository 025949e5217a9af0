"""What one call does, step by step: memory it takes, moves of data, launches.

Tensors stand for device memory; none of them holds a value of the call. They are kept until the end, so that
no address comes twice.
"""

import ctypes
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from kernelgate.execution.contents import Held
from kernelgate.execution.launch_plan import MAX_STEPS, Launch, Scalar
from kernelgate.worker.fake_cuda.tensors import plain

MAX_CONSTANT_BYTES = 16 * 2**20
"""Of a table that the host has made; more is no table."""


class CannotPlanError(RuntimeError):
    """A call does what no launch plan can say; `reason` is the code, `line` that of the kernel file."""

    def __init__(self, reason: str, detail: str, line: int = 0) -> None:
        super().__init__(detail)
        self.reason, self.detail, self.line = reason, detail, line


class RawFill(NamedTuple):
    """A fill, of a tensor that stands for device memory."""

    target: torch.Tensor
    value: float


class RawCopy(NamedTuple):
    """A move of data between two such tensors of one shape."""

    target: torch.Tensor
    source: torch.Tensor


class RawLaunch(NamedTuple):
    """A launch whose arguments are such tensors, scalars, or null."""

    launch: Launch
    arguments: Sequence[torch.Tensor | Scalar | None]


RawStep = RawFill | RawCopy | RawLaunch


OTHER_PARAMETER = "other parameter"
"""The role of a model's parameter that the operation does not name."""


class Tape:
    """The steps of one call of a model. `unknown` are the addresses of storages whose values nobody knows.

    From call to call it keeps what storages are `held` to hold, and which of them earlier `answers` lie in.
    """

    def __init__(self, kernel_file: str) -> None:
        self.kernel_file = kernel_file
        self.unknown: set[int] = set()
        self.kept: list[torch.Tensor] = []
        self.roles: dict[int, str] = {}
        self.given_bytes: dict[int, int] = {}
        self.constants: dict[int, bytes] = {}
        self.held: dict[int, Held] = {}
        self.answers: set[int] = set()
        self.steps: list[RawStep] = []
        self.refused: CannotPlanError | None = None
        self.capture: Callable[[RawStep], bool] = lambda _step: False
        self.note_order: Callable[[], str] = lambda: ""

    def begin_call(self, given: dict[str, torch.Tensor], others: Sequence[torch.Tensor]) -> None:
        """Forget the steps of the last call; `given` are inputs and parameters, `others` further ones."""
        self.steps, self.refused, self.roles = [], None, {}
        for name, tensor in given.items():
            self.roles[address_of(tensor)] = name
            self.given_bytes[address_of(tensor)] = tensor.untyped_storage().nbytes()
            self._keep(tensor)
        for tensor in others:
            self.roles[address_of(tensor)] = OTHER_PARAMETER
            self._keep(tensor)

    def make(self, tensor: torch.Tensor) -> torch.Tensor:
        """Take note of new memory; what it holds is nobody's promise."""
        self._keep(tensor)
        return tensor

    def is_known(self, tensor: torch.Tensor) -> bool:
        """Return whether the host made the tensor's values: they are the same in every call."""
        return address_of(tensor) not in self.unknown

    def add(self, step: RawStep) -> None:
        """Take note of a step; of one that a graph captures the graph does, for its replays."""
        if not isinstance(step, RawLaunch):
            self._open_table(step.target)
        for tensor in _tensors_of(step):
            self.meet(tensor)
            self.refuse_earlier_answer(tensor)
            if isinstance(step, RawLaunch):
                self.unknown.add(address_of(tensor))  # the launch may write there
        if not isinstance(step, RawLaunch):
            self.refuse_change_of_given(step.target, "moves data into")
        if self.capture(step):
            return
        if amiss := self.note_order():
            self.refuse("stream-order", f"a launch or a move of data {amiss}")
        self.steps.append(step)
        if len(self.steps) > MAX_STEPS:
            self.refuse("too-many-launches", f"one call makes over {MAX_STEPS} launches and moves of data")

    def refuse_change_of_given(self, tensor: torch.Tensor, how: str) -> None:
        """Refuse what would change x or a parameter, which are the caller's."""
        if role := self.roles.get(address_of(tensor)):
            self.refuse("inputs-intact", f"{how} {role}, which is the caller's")

    def refuse_earlier_answer(self, tensor: torch.Tensor) -> None:
        """Refuse memory that an earlier call has returned: its caller may still hold it."""
        if address_of(tensor) in self.answers:
            self.refuse("earlier-answers", "works in memory that an earlier call returned as its answer")

    def refuse(self, reason: str, detail: str) -> None:
        """Say that the call cannot be planned; the first refusal stands, whatever the file makes of it."""
        own = [f.lineno or 0 for f in traceback.extract_stack() if f.filename == self.kernel_file]
        error = CannotPlanError(reason, detail, own[-1] if own else 0)
        self.refused = self.refused or error
        raise error

    def _open_table(self, target: torch.Tensor) -> None:
        """Make the table that data moves into memory of the call, which begins as a copy of the table."""
        if address_of(target) in self.constants:
            self.refuse("unplannable", "moves data into a table of the host that was used before")
        if self.is_known(target):
            whole = plain(target.detach()).new_empty(0).set_(target.untyped_storage())
            table = whole.clone()
            self.meet(table)
            self._keep(target)
            self.steps.append(RawCopy(whole, table))

    def _keep(self, tensor: torch.Tensor) -> None:
        self.kept.append(plain(tensor.detach()))
        self.unknown.add(address_of(tensor))

    def meet(self, tensor: torch.Tensor) -> None:
        """Keep what a table of the host's holds before anything works on it."""
        address = address_of(tensor)
        if self.roles.get(address) == OTHER_PARAMETER:
            self.refuse(
                "unknown-parameter",
                "uses a parameter of the model that the operation does not have",
            )
        if address in self.unknown or address in self.constants:
            return
        storage = tensor.untyped_storage()
        if storage.nbytes() > MAX_CONSTANT_BYTES:
            size = f"{storage.nbytes()} bytes, a table may have {MAX_CONSTANT_BYTES}"
            self.refuse("unknown-memory", f"works on memory that the call did not ask PyTorch for: {size}")
        self.constants[address] = ctypes.string_at(address, storage.nbytes())
        self.kept.append(plain(tensor.detach()))


def address_of(tensor: torch.Tensor) -> int:
    """Return where the tensor's storage lies."""
    return int(tensor.untyped_storage().data_ptr())


def _tensors_of(step: RawStep) -> list[torch.Tensor]:
    values: Sequence[Any] = step.arguments if isinstance(step, RawLaunch) else step
    return [value for value in values if isinstance(value, torch.Tensor)]
