"""Who wrote and who read which element of a launch, and which of that is a race."""

from typing import NamedTuple

import numpy as np

from kernelgate.interpreter.elements import Array
from kernelgate.interpreter.findings import Kind
from kernelgate.interpreter.memory.barriers import is_unordered, note_origin
from kernelgate.interpreter.memory.buffer import Buffer
from kernelgate.interpreter.programs import Programs


class Lanes(NamedTuple):
    """The lanes of an access that count, in one row: where each is in the buffer, and whose it is.

    `lanes` tells those of one program apart; it is needed where a launch reads and writes a buffer.
    """

    offsets: Array
    numbers: Array
    lanes: Array | None = None


def note_store(programs: Programs, buffer: Buffer, stored: Lanes, values: Array) -> None:
    """Write the values, and note the lanes' programs as the elements' owners."""
    size = values.itemsize
    buffer.note_in_units_of(size)
    places, units = stored.offsets >> (size.bit_length() - 1), _units_of(buffer, stored.offsets, size)
    view, owners = buffer.view(size), _for_each_unit(stored.numbers, units)
    before = buffer.writers.take(units, mode="clip")
    others = (before > programs.memory.first_number) & (before != owners)
    if others.any():
        _find_overwritten(
            programs, buffer, (others, before, owners, units), view.take(places, mode="clip") != values
        )
    if stored.lanes is not None:
        _find_read_before(programs, buffer, owners, units)
        note_origin(programs, buffer, units, _for_each_unit(stored.lanes, units))
    buffer.own(units, owners)
    view[places] = values
    now = buffer.writers.take(units, mode="clip")  # inside the buffer, as `split` has found
    _find_clashes(programs, buffer, (now, owners, units), view.take(places, mode="clip") != values)


def note_touch(buffer: Buffer, size: int, touched: Lanes) -> None:
    """Note programs as owners of elements without writing these."""
    buffer.note_in_units_of(size)
    units = _units_of(buffer, touched.offsets, size)
    buffer.own(units, _for_each_unit(touched.numbers, units))


def _units_of(buffer: Buffer, offsets: Array, size: int) -> Array:
    """Return the units of elements, those of one after each other."""
    first = offsets >> (buffer.unit.bit_length() - 1)
    count = size // buffer.unit
    return first if count <= 1 else (first[:, None] + np.arange(count)).reshape(-1)


def _find_overwritten(
    programs: Programs, buffer: Buffer, noted: tuple[Array, Array, Array, Array], differ: Array
) -> None:
    """Find programs that write what another one of the launch has written, unless atomics order them."""
    others, before, owners, units = noted
    differ = _for_each_unit(differ, units)
    unordered = others & ~_have_synced(programs, owners)
    kinds: tuple[tuple[Kind, Array, str], ...] = (
        ("overwrites", unordered & differ, "wrote another value where program {} had written"),
        ("same-value", unordered & ~differ, "wrote the same value as program {} to one element"),
    )
    for kind, wrong, text in kinds:
        _find_first(programs, buffer, kind, (wrong, owners, before, units), text)


def _find_clashes(
    programs: Programs, buffer: Buffer, noted: tuple[Array, Array, Array], differ: Array
) -> None:
    """Find elements that were written twice by one operation."""
    now, owners, units = noted
    clash = now != owners
    if not clash.any() and not differ.any():
        return
    differ = _for_each_unit(differ, units)
    kinds: tuple[tuple[Kind, Array, str], ...] = (
        ("overwrites", clash & differ, "wrote another value than program {} to one element"),
        ("same-value", clash & ~differ, "wrote the same value as program {} to one element"),
        ("lanes-differ", ~clash & differ, "wrote different values to one element by one store"),
    )
    for kind, wrong, text in kinds:
        _find_first(programs, buffer, kind, (wrong, owners, now, units), text)


def _for_each_unit(values: Array, units: Array) -> Array:
    """Return the values of elements, each for all the units of its element."""
    return values if len(units) == len(values) else np.repeat(values, len(units) // len(values))


def note_reads(programs: Programs, buffer: Buffer, size: int, read: Lanes) -> None:
    """Note the programs as readers, and find those that read what another one of the launch has written."""
    buffer.note_in_units_of(size)
    if buffer.readers is None:
        buffer.readers = np.zeros_like(buffer.writers)
    units = _units_of(buffer, read.offsets, size)
    owners = _for_each_unit(read.numbers, units)
    wrote = buffer.writers[units]
    others = (wrote > programs.memory.first_number) & (wrote != owners)
    if others.any():
        wrong = others & ~_have_synced(programs, owners)
        text = "read what program {} of the same launch had written"
        _find_first(programs, buffer, "reads-written", (wrong, owners, wrote, units), text)
    own = wrote == owners
    if own.any() and read.lanes is not None:
        lanes = _for_each_unit(read.lanes, units)
        wrong = own & is_unordered(programs, buffer, units, owners, lanes)
        text = "read what another thread of its own had stored, with no barrier between"
        _find_first(programs, buffer, "no-barrier", (wrong, owners, wrote, units), text)
    _mark_readers(buffer, units, owners, programs.memory.first_number)


def _mark_readers(buffer: Buffer, units: Array, owners: Array, many: int) -> None:
    """Note the readers of units; `many` stands for several."""
    readers = buffer.readers
    assert readers is not None
    before = readers[units]
    marks = np.where((before >= many) & (before != owners), np.uint32(many), owners)
    readers[units] = marks
    lost = readers[units] != marks
    readers[units[lost]] = many


def _find_read_before(programs: Programs, buffer: Buffer, owners: Array, units: Array) -> None:
    """Find programs that write what another one of the launch has read: in another order it reads this."""
    if buffer.readers is None:
        return
    readers = buffer.readers[units]
    others = (readers >= programs.memory.first_number) & (readers != owners)
    if others.any():
        wrong = others & ~_have_synced(programs, owners)
        text = "wrote what {} of the same launch had read"
        _find_first(programs, buffer, "writes-read", (wrong, owners, readers, units), text)


def _have_synced(programs: Programs, owners: Array) -> Array:
    """Return which of the owners have done an atomic operation that orders memory."""
    synced = programs.numbers[programs.synced()]
    return np.isin(owners, synced) if synced.size else np.zeros(owners.shape, np.bool_)


def _find_first(
    programs: Programs,
    buffer: Buffer,
    kind: Kind,
    noted: tuple[Array, Array, Array, Array],
    text: str,
) -> None:
    wrong, owners, others, units = noted
    if not wrong.any():
        return
    at = _find_farthest(programs, wrong, owners, others)
    launch, other = programs.launch, int(others[at])
    place = None if other == programs.memory.first_number else launch.place_of(other)
    launch.find(
        kind,
        int(owners[at]),
        f"{text.format(place or 'other programs')}, {int(wrong.sum())} of {buffer.name} in all",
        other=place,
        buffer=buffer.name,
        offset=int(units[at]) * buffer.unit,
    )


def _find_farthest(programs: Programs, wrong: Array, owners: Array, others: Array) -> int:
    """Return where the programs are farthest apart: neighbours may overlap where a tile ends."""
    first, axis = programs.memory.first_number + 1, np.argmax(programs.grid)
    below = int(np.prod(programs.grid[:axis], dtype=np.int64))
    places = [(each.astype(np.int64) - first) // below % programs.grid[axis] for each in (owners, others)]
    return int(np.where(wrong, np.abs(places[0] - places[1]), -1).argmax())


def note_atomic(programs: Programs, buffer: Buffer, offsets: Array, size: int) -> None:
    """Note that atomic operations wrote: nobody's plain access races with another program's."""
    buffer.note_in_units_of(size)
    buffer.own(_units_of(buffer, offsets, size), programs.memory.first_number)
