"""What the buffers of a call hold, told by what made it: equal names are equal contents, no value is known.

A file may keep between calls what it made of the parameters. So contents are followed from call to call: what
is kept is right exactly if the same steps on the same inputs would make it anew.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from kernelgate.execution.launch_plan import (
    DTYPE_BYTES,
    Buffer,
    Copy,
    Fill,
    Launch,
    Pointer,
    Step,
    View,
)
from kernelgate.execution.plan_check import elements_spanned
from kernelgate.interpreter.decisions.flow import ANYWHERE, DataFlow, Names
from kernelgate.interpreter.errors import CannotInterpretError
from kernelgate.interpreter.provenance import find_accessed
from kernelgate.interpreter.text.parser import parse


class Touched(NamedTuple):
    """The places of a launch's arguments that it reads through, and that it writes through."""

    read: frozenset[int]
    written: frozenset[int]


class Layer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one step put into a buffer: `where`, and `made_of` what, by names that mean the same if equal."""

    where: str
    made_of: str


Held = tuple[Layer, ...]
"""Layers in the order in which they were put on, without those that a later one covers."""

TouchedBy = Callable[[Launch], Touched]


def find_touched(ttir: str) -> Touched:
    """Return which parameters of a kernel are read and written; all of them where its text does not tell."""
    try:
        module = parse(ttir)
    except CannotInterpretError:
        every = frozenset(range(1000))
        return Touched(every, every)
    accessed, parameters = find_accessed(DataFlow(module)), module.kernel.parameters
    places = {parameter.name: place for place, parameter in enumerate(parameters)}

    def of(names: Names) -> frozenset[int]:
        return frozenset(places.values() if ANYWHERE in names else (places[name] for name in names))

    return Touched(of(accessed.read), of(accessed.written))


def follow(
    buffers: Sequence[Buffer], steps: Sequence[Step], touched_by: TouchedBy, begun: Sequence[Held]
) -> list[Held]:
    """Return what each buffer holds after the steps; `begun` is what it held before, but for constants."""
    held = [
        before if each.content is None else hold_all(each.content)
        for each, before in zip(buffers, begun, strict=True)
    ]
    for step in steps:
        for number, layer, covers in list(_layers_of(buffers, step, touched_by, held)):
            kept = () if covers else (each for each in held[number] if each.where != layer.where)
            held[number] = (*kept, layer)
    return held


def name_contents(held: Held) -> str:
    """Return one name for what a buffer holds; none if nobody has put anything there."""
    return _digest(*(part for layer in held for part in (layer.where, layer.made_of))) if held else ""


def hold_all(name: str) -> Held:
    """Return the contents of a buffer that holds something of that name, all over."""
    return (Layer(where="everywhere", made_of=name),)


def _layers_of(
    buffers: Sequence[Buffer], step: Step, touched_by: TouchedBy, held: Sequence[Held]
) -> Iterator[tuple[int, Layer, bool]]:
    """Yield buffer and layer of what a step puts somewhere, and whether that covers all of the buffer."""
    if isinstance(step, Launch):
        yield from _layers_of_launch(buffers, step, touched_by(step), held)
        return
    target = step.target
    where = _digest("moved", _text(msgspec.structs.replace(target, buffer=0)))
    if isinstance(step, Fill):
        made_of = _digest("fill", repr(step.value))
    else:
        source = msgspec.structs.replace(step.source, buffer=0)
        made_of = _digest("copy", _text(source), name_contents(held[step.source.buffer]))
    covers = _covers_whole(target, buffers[target.buffer].bytes)
    yield target.buffer, Layer(where=where, made_of=made_of), covers


def _layers_of_launch(
    buffers: Sequence[Buffer], launch: Launch, touched: Touched, held: Sequence[Held]
) -> Iterator[tuple[int, Layer, bool]]:
    pointers = {
        place: argument.buffer
        for place, argument in enumerate(launch.arguments)
        if isinstance(argument, Pointer)
    }
    read = [
        f"{place} {name_contents(held[buffer])}"
        for place, buffer in pointers.items()
        if place in touched.read
    ]
    step = _text(without_buffers(launch))
    for place, buffer in pointers.items():
        if place in touched.written and buffers[buffer].role == "temporary":
            where = _digest("launch", step, str(place))
            yield buffer, Layer(where=where, made_of=_digest(where, *read)), False


def without_buffers(step: Step) -> Step:
    """Return the step with every buffer's number 0: what it does, whatever the buffers are called."""
    if isinstance(step, Launch):
        nameless = tuple(
            msgspec.structs.replace(each, buffer=0) if isinstance(each, Pointer) else each
            for each in step.arguments
        )
        return msgspec.structs.replace(step, arguments=nameless)
    target = msgspec.structs.replace(step.target, buffer=0)
    if isinstance(step, Copy):
        source = msgspec.structs.replace(step.source, buffer=0)
        return msgspec.structs.replace(step, target=target, source=source)
    return msgspec.structs.replace(step, target=target)


def _covers_whole(view: View, size: int) -> bool:
    spanned = elements_spanned(view)
    elements = 1
    for extent in view.shape:
        elements *= extent
    return DTYPE_BYTES[view.dtype] * spanned == size and elements == spanned


def _text(record: msgspec.Struct) -> str:
    return msgspec.json.encode(record).decode()


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
