"""A tape becomes the steps of a launch plan: storages get numbers, tensors become views of them."""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch

from kernelgate.execution.contents import Held
from kernelgate.execution.launch_plan import (
    Argument,
    Buffer,
    Copy,
    Fill,
    Null,
    Pointer,
    Scalar,
    Step,
    View,
)
from kernelgate.worker.record.tape import OTHER_PARAMETER, RawCopy, RawFill, RawStep, Tape, address_of


class BufferTable:
    """Numbers storages in the order in which the plan names them: inputs and parameters first."""

    def __init__(self, tape: Tape, folder: Path) -> None:
        self.tape, self.folder = tape, folder
        self.places: dict[int, int] = {}
        self.buffers: list[Buffer] = []
        for address, role in tape.roles.items():
            if role != OTHER_PARAMETER:
                self._add(address, Buffer(role=role, bytes=tape.given_bytes[address]))

    def finish(self, answer: torch.Tensor) -> tuple[tuple[Buffer, ...], tuple[Step, ...], View]:
        """Return buffers, steps and answer of the call; constants are written into the folder."""
        self.tape.meet(answer)
        named = tuple(self._step(step) for step in self.tape.steps)
        view = self._view(answer)
        return tuple(self.buffers), named, view

    def held_before(self) -> tuple[Held, ...]:
        """Return what each buffer held before the call, as far as earlier calls tell."""
        return tuple(self.tape.held.get(address, ()) for address in self.places)

    def keep_contents(self, held: Sequence[Held]) -> None:
        """Note on the tape what each buffer holds from here on."""
        for address, place in self.places.items():
            self.tape.held[address] = held[place]

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
        address = address_of(tensor)
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


def _value(value: float) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return int(value) if isinstance(value, bool) else value
