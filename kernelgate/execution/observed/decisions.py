"""The decisions on loaded values in a call: what they depend on of the tensors, and how they went.

What a launch loads from memory that an earlier one wrote depends on what that one had loaded.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec
import numpy as np

from kernelgate.execution.launch_plan import Buffer, Copy, Launch, Pointer, Scalar
from kernelgate.interpreter.decisions.find import Decision
from kernelgate.interpreter.decisions.flow import ANYWHERE
from kernelgate.interpreter.decisions.thresholds import Threshold, find_thresholds
from kernelgate.interpreter.elements import BYTES, Array, from_bits
from kernelgate.interpreter.launch import ReadyKernel

SUM = "sum"


class SeenDecision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One decision of a kernel, at a `line` of its file (0 if unknown): the operation that makes it.

    `place` tells it from others of that line, and from those of another call of the same function. `inputs`
    are those that it depends on. Of the `wanted` bits of its outcome `ones` were seen 1 and `zeros` seen 0.
    It turns at `thresholds`: an input or `sum`, a colon and the bits of a float32 in hexadecimal.
    """

    kernel: str
    line: int
    place: str
    kind: str
    operation: str
    inputs: tuple[str, ...]
    wanted: int = 1
    ones: int = 0
    zeros: int = 0
    thresholds: tuple[str, ...] = ()


class ContentsOf:
    """For each buffer of a plan the inputs that its contents depend on, and whether they are floats' bits."""

    def __init__(self, buffers: Sequence[Buffer]) -> None:
        self.inputs: list[frozenset[str]] = [
            frozenset([each.role] if each.is_given else ()) for each in buffers
        ]
        self.names = [each.role for each in buffers if each.is_given]
        self.floats = [bool(each) for each in self.inputs]

    def note_copy(self, step: Copy) -> None:
        """Note that a copy moves contents."""
        self._add(step.target.buffer, self.inputs[step.source.buffer], self.floats[step.source.buffer])

    def note_launch(self, step: Launch, kernel: ReadyKernel) -> None:
        """Note what the stores of a launch put where."""
        buffers = _buffers(step, kernel)
        before: object = None
        while before != (before := (list(self.inputs), list(self.floats))):
            for each in kernel.flow.stores():
                floats = each.is_float or self.are_floats(buffers, each.value.bits)
                for number in self._meant(buffers, each.into):
                    self._add(number, self.inputs_of(buffers, each.value.data), floats)

    def inputs_of(self, buffers: dict[str, int], names: Iterable[str]) -> frozenset[str]:
        """Return the inputs that the memory behind these parameters depends on."""
        return frozenset[str]().union(*(self.inputs[number] for number in self._meant(buffers, names)))

    def are_floats(self, buffers: dict[str, int], names: Iterable[str]) -> bool:
        """Whether the memory behind one of these parameters holds floats that depend on an input."""
        meant = self._meant(buffers, names)
        return any(self.floats[number] and bool(self.inputs[number]) for number in meant)

    def _meant(self, buffers: dict[str, int], names: Iterable[str]) -> list[int]:
        named = set(names)
        if ANYWHERE in named:
            return list(range(len(self.inputs)))
        return [number for name, number in buffers.items() if name in named]

    def _add(self, number: int, inputs: frozenset[str], floats: bool) -> None:
        self.inputs[number] |= inputs
        self.floats[number] = self.floats[number] or (floats and bool(inputs))


def see_decisions(step: Launch, kernel: ReadyKernel, contents: ContentsOf) -> Iterator[SeenDecision]:
    """Yield the decisions of a launch that depend on inputs or parameters, as its programs took them."""
    buffers, sides = _buffers(step, kernel), kernel.sides
    scalars = dict(_scalars(step, kernel))
    for number, decision in enumerate(sides.decisions):
        inputs = contents.inputs_of(buffers, decision.data)
        if not inputs or (decision.kind == "bits" and not contents.are_floats(buffers, decision.data)):
            continue
        operation = decision.operation
        function = kernel.module.functions[decision.function]
        turns = find_thresholds(decision, function, kernel.flow, scalars)
        places = kernel.source_lines.of(operation.line)
        yield SeenDecision(
            kernel=kernel.function.name,
            line=places[0].line if places else 0,
            place=" ".join(f"{each.line}:{each.column}" for each in places) or operation.results[0],
            kind=decision.kind,
            operation=_describe(decision),
            inputs=tuple(each for each in contents.names if each in inputs),
            wanted=decision.wanted,
            ones=sides.ones[number],
            zeros=sides.zeros[number],
            thresholds=tuple(sorted({name for each in turns for name in _name(each, buffers, contents)})),
        )


def _describe(decision: Decision) -> str:
    operation = decision.operation
    predicate = f" {operation.words[0]}" if decision.kind == "compares" and operation.words else ""
    return operation.name.split(".", 1)[-1] + predicate


def _name(threshold: Threshold, buffers: dict[str, int], contents: ContentsOf) -> Iterator[str]:
    """Yield a threshold for each input that what is loaded may come from."""
    if not threshold.parameter:
        yield f"{SUM}:{threshold.bits:08x}"
        return
    for each in contents.inputs_of(buffers, [threshold.parameter]):
        yield f"{each}:{threshold.bits:08x}"


def _buffers(step: Launch, kernel: ReadyKernel) -> dict[str, int]:
    """Return the buffers that a launch's pointers point into, by the names of parameters."""
    given = zip(kernel.function.parameters, step.arguments, strict=False)
    return {each.name: argument.buffer for each, argument in given if isinstance(argument, Pointer)}


def _scalars(step: Launch, kernel: ReadyKernel) -> Iterator[tuple[str, Array]]:
    for each, argument in zip(kernel.function.parameters, step.arguments, strict=False):
        if isinstance(argument, Scalar) and each.type.element in BYTES and not each.type.shape:
            size = BYTES[each.type.element]
            bits = np.array(argument.bits % 2 ** (8 * size), dtype=f"u{size}")
            yield each.name, from_bits(bits, each.type.element)
