"""What one call does, step by step: memory it takes, moves of data, launches. A launch plan is made of it.

Tensors stand for device memory; none of them holds a value of the call. They are kept until the end, so that
no address comes twice.
"""

import ctypes
import hashlib
import math
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import torch

from kernelgate.execution.launch_plan import (
    MAX_STEPS,
    Argument,
    Buffer,
    Copy,
    Fill,
    Launch,
    Null,
    Pointer,
    Scalar,
    Step,
    View,
)
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


class Tape:
    """The steps of one call of a model. `unknown` are the addresses of storages whose values nobody knows."""

    def __init__(self, kernel_file: str) -> None:
        self.kernel_file = kernel_file
        self.unknown: set[int] = set()
        self.made: set[int] = set()
        self.kept: list[torch.Tensor] = []
        self.roles: dict[int, str] = {}
        self.constants: dict[int, bytes] = {}
        self.steps: list[RawStep] = []
        self.refused: CannotPlanError | None = None
        self.capture: Callable[[RawStep], bool] = lambda _step: False

    def begin_call(self, given: dict[str, torch.Tensor], others: Sequence[torch.Tensor]) -> None:
        """Forget the steps of the last call; `given` are x and the parameters, `others` further ones."""
        self.steps, self.refused, self.roles = [], None, {}
        for name, tensor in given.items():
            self.roles[_address(tensor)] = name
            self._keep(tensor)
        for tensor in others:
            self.roles[_address(tensor)] = "other parameter"
            self._keep(tensor)

    def make(self, tensor: torch.Tensor) -> torch.Tensor:
        """Take note of new memory; what it holds is nobody's promise."""
        self.made.add(_address(tensor))
        self._keep(tensor)
        return tensor

    def is_known(self, tensor: torch.Tensor) -> bool:
        """Return whether the host made the tensor's values: they are the same in every call."""
        return _address(tensor) not in self.unknown

    def add(self, step: RawStep) -> None:
        """Take note of a step; of one that a graph captures the graph does, for its replays."""
        if not isinstance(step, RawLaunch):
            self._open_table(step.target)
        for tensor in _tensors_of(step):
            self._meet(tensor)
            if isinstance(step, RawLaunch):
                self.unknown.add(_address(tensor))  # the launch may write there
        if not isinstance(step, RawLaunch):
            self.refuse_change_of_given(step.target, "moves data into")
        if self.capture(step):
            return
        self.steps.append(step)
        if len(self.steps) > MAX_STEPS:
            self.refuse("too-many-launches", f"one call makes over {MAX_STEPS} launches and moves of data")

    def refuse_change_of_given(self, tensor: torch.Tensor, how: str) -> None:
        """Refuse what would change x or a parameter, which are the caller's."""
        if role := self.roles.get(_address(tensor)):
            self.refuse("inputs-intact", f"{how} {role}, which is the caller's")

    def refuse(self, reason: str, detail: str) -> None:
        """Say that the call cannot be planned; the first refusal stands, whatever the file makes of it."""
        own = [f.lineno or 0 for f in traceback.extract_stack() if f.filename == self.kernel_file]
        error = CannotPlanError(reason, detail, own[-1] if own else 0)
        self.refused = self.refused or error
        raise error

    def finish(self, answer: torch.Tensor, folder: Path) -> tuple[tuple[Buffer, ...], tuple[Step, ...], View]:
        """Return buffers, steps and answer of the call; constants are written into the folder."""
        self._meet(answer)
        table = _BufferTable(self, folder)
        return table.finish(self.steps, answer)

    def _open_table(self, target: torch.Tensor) -> None:
        """Make the table that data moves into memory of the call, which begins as a copy of the table."""
        if _address(target) in self.constants:
            self.refuse("unplannable", "moves data into a table of the host that was used before")
        if self.is_known(target):
            whole = plain(target.detach()).new_empty(0).set_(target.untyped_storage())
            table = whole.clone()
            self._meet(table)
            self._keep(target)
            self.steps.append(RawCopy(whole, table))

    def _keep(self, tensor: torch.Tensor) -> None:
        self.kept.append(plain(tensor.detach()))
        self.unknown.add(_address(tensor))

    def _meet(self, tensor: torch.Tensor) -> None:
        """Keep what a table of the host's holds before anything works on it."""
        address = _address(tensor)
        if self.roles.get(address) == "other parameter":
            self.refuse(
                "unknown-parameter",
                "uses a parameter of the model that is neither conv1.weight nor conv1.bias",
            )
        if address in self.unknown or address in self.constants:
            return
        storage = tensor.untyped_storage()
        if storage.nbytes() > MAX_CONSTANT_BYTES:
            size = f"{storage.nbytes()} bytes, a table may have {MAX_CONSTANT_BYTES}"
            self.refuse("unknown-memory", f"works on memory that the call did not ask PyTorch for: {size}")
        self.constants[address] = ctypes.string_at(address, storage.nbytes())
        self.kept.append(plain(tensor.detach()))


class _BufferTable:
    """Numbers storages in the order in which the plan names them: x and the parameters first."""

    def __init__(self, tape: Tape, folder: Path) -> None:
        self.tape, self.folder = tape, folder
        self.places: dict[int, int] = {}
        self.buffers: list[Buffer] = []
        for address, role in tape.roles.items():
            if role in ("x", "weight", "bias"):
                size = next(t for t in tape.kept if _address(t) == address).untyped_storage().nbytes()
                self._add(address, Buffer(role=role, bytes=size))  # type: ignore[arg-type]

    def finish(
        self, steps: Sequence[RawStep], answer: torch.Tensor
    ) -> tuple[tuple[Buffer, ...], tuple[Step, ...], View]:
        named = tuple(self._step(step) for step in steps)
        view = self._view(answer)
        return tuple(self.buffers), named, view

    def _step(self, step: RawStep) -> Step:
        if isinstance(step, RawFill):
            return Fill(target=self._view(step.target), value=_value(step.value))
        if isinstance(step, RawCopy):
            return Copy(target=self._view(step.target), source=self._view(step.source))
        changed = tuple(self._argument(argument) for argument in step.arguments)
        return msgspec.structs.replace(step.launch, arguments=changed)

    def _argument(self, argument: torch.Tensor | Scalar | None) -> Argument:
        if argument is None:
            return Null()
        if isinstance(argument, Scalar):
            return argument
        return Pointer(
            buffer=self._place(argument),
            offset=int(argument.storage_offset()) * argument.element_size(),
        )

    def _view(self, tensor: torch.Tensor) -> View:
        return View(
            buffer=self._place(tensor),
            dtype=str(tensor.dtype).removeprefix("torch."),
            shape=tuple(tensor.shape),
            strides=tuple(tensor.stride()),
            offset=int(tensor.storage_offset()),
        )

    def _place(self, tensor: torch.Tensor) -> int:
        address = _address(tensor)
        if address not in self.places:
            constant = self.tape.constants.get(address)
            size = tensor.untyped_storage().nbytes()
            if constant is None:
                self._add(address, Buffer(role="temporary", bytes=size))
            else:
                name = hashlib.sha256(constant).hexdigest()
                (self.folder / f"{name}.bin").write_bytes(constant)
                self._add(address, Buffer(role="constant", bytes=size, content=name))
        return self.places[address]

    def _add(self, address: int, buffer: Buffer) -> None:
        self.places[address] = len(self.buffers)
        self.buffers.append(buffer)


def _address(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage().data_ptr())


def _tensors_of(step: RawStep) -> list[torch.Tensor]:
    values: Sequence[Any] = step.arguments if isinstance(step, RawLaunch) else step
    return [value for value in values if isinstance(value, torch.Tensor)]


def _value(value: float) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return int(value) if isinstance(value, bool) else value
