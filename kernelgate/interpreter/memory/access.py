"""Loads, stores and atomic operations of many programs at once, each address checked.

An access is one operation of a group of programs: addresses, a mask of those that count, a size. What lies
outside the buffers is found and left out, what one buffer holds is moved by one NumPy call.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from kernelgate.interpreter.elements import Array
from kernelgate.interpreter.memory.barriers import lanes_of
from kernelgate.interpreter.memory.buffer import ADDRESS_BITS, Buffer
from kernelgate.interpreter.memory.owners import Lanes, note_reads, note_store, note_touch
from kernelgate.interpreter.programs import Programs


class Access(NamedTuple):
    """Addresses of elements of `size` bytes; `mask` says which count, None for all."""

    programs: Programs
    addresses: Array
    mask: Array | None
    size: int
    shape: tuple[int, ...]
    """That of the tensor, of which addresses and mask may be a smaller form."""


class Part(NamedTuple):
    """What of an access lies in one buffer. Where `mask` is false, `offsets` are of some other element."""

    buffer: Buffer
    offsets: Array
    mask: Array | None
    first: int
    last: int
    """The lowest and the highest offset of a byte."""


def make_access(
    programs: Programs, addresses: Array, mask: Array | None, size: int, shape: tuple[int, ...]
) -> Access:
    """Return an access, its mask None where all elements count."""
    if mask is None or mask.all():
        return Access(programs, addresses, None, size, shape)
    addresses, mask = np.broadcast_arrays(addresses, mask)
    return Access(programs, addresses, mask, size, shape)


def split(access: Access, verb: str) -> Iterator[Part]:
    """Yield the parts of an access by buffer; find what lies outside all of them, and leave it out."""
    addresses, mask = access.addresses, access.mask
    if mask is None:
        some = int(addresses.flat[0])
    elif mask.any():
        some = int(addresses[np.unravel_index(int(mask.argmax()), mask.shape)])
    else:
        return
    buffer = access.programs.memory.at(some)
    if buffer is not None:
        offsets = addresses - buffer.base
        if mask is not None:
            np.copyto(offsets, some - buffer.base, where=~mask)
        low, last = int(offsets.min()), int(offsets.max()) + access.size - 1
        if low >= 0 and last < buffer.size:
            if not _is_misaligned(access, offsets, mask, verb):
                yield Part(buffer, offsets, mask, low, last)
            return
    yield from _split_slowly(access, np.where(mask, addresses, some) if mask is not None else addresses, verb)


def _is_misaligned(access: Access, offsets: Array, mask: Array | None, verb: str) -> bool:
    """Whether an address is no multiple of the element's size, which a GPU does not allow."""
    if access.size == 1 or not (np.bitwise_or.reduce(offsets, axis=None) & (access.size - 1)):
        return False
    wrong = offsets % access.size != 0 if mask is None else mask & (offsets % access.size != 0)
    number = _first_number(access.programs, wrong)
    text = f"{verb} {access.size} bytes at an address that is no multiple of {access.size}"
    access.programs.launch.find("misaligned", number, text)
    return True


def _first_number(programs: Programs, wrong: Array) -> int:
    row = int(np.unravel_index(int(wrong.argmax()), wrong.shape)[0])
    return int(programs.numbers[row])


def _split_slowly(access: Access, addresses: Array, verb: str) -> Iterator[Part]:
    mask = access.mask
    inside_any = np.zeros(addresses.shape, np.bool_)
    active = np.ones(addresses.shape, np.bool_) if mask is None else mask
    parts: list[Part] = []
    memory = access.programs.memory
    for number in np.unique(addresses[active] >> ADDRESS_BITS).tolist():
        buffer = memory.at(int(number) << ADDRESS_BITS)
        if buffer is None:
            continue
        # Compared as offsets: near the ends of 64 bits a sum would wrap.
        offsets = addresses - buffer.base
        inside = active & (offsets >= 0) & (offsets <= buffer.size - access.size)
        if inside.any():
            inside_any |= inside
            kept = np.where(inside, addresses, addresses[inside][0])
            low, last = int(kept.min()) - buffer.base, int(kept.max()) - buffer.base + access.size - 1
            parts.append(Part(buffer, kept - buffer.base, inside, low, last))
    outside = active & ~inside_any
    if outside.any():
        _find_outside(access, addresses, outside, verb)
    yield from (each for each in parts if not _is_misaligned(access, each.offsets, each.mask, verb))


def _find_outside(access: Access, addresses: Array, outside: Array, verb: str) -> None:
    memory, launch = access.programs.memory, access.programs.launch
    worst = int(addresses[outside].min())
    number = _first_number(access.programs, outside & (addresses == worst))
    count = int(outside.sum())
    text = f"{verb} {count} x {access.size} bytes outside its buffers. The first lies "
    nearest = memory.nearest(worst)
    if nearest is None:
        launch.find("outside", number, f"{text}at address {worst:#x}")
        return
    offset = worst - nearest.base
    past = offset - nearest.size
    where = f"at {past:+d} bytes past the end" if offset >= 0 else f"at {offset:+d} bytes from the start"
    text = f"{text}{where} of {nearest.name}, of {nearest.size} bytes"
    launch.find("outside", number, text, buffer=nearest.name, offset=offset)


def load_bits(access: Access, elsewhere: Array) -> Array:
    """Return what the addresses hold, as unsigned integers; `elsewhere` where the mask is false.

    Where an access is outside the buffers, all bits are set: a NaN, or -1.
    """
    parts = list(split(access, "read"))
    if len(parts) == 1 and parts[0].mask is access.mask:
        values = read_part(access, parts[0])
        if access.mask is None:
            return values
        if elsewhere.size != 1:
            return np.where(access.mask, values, elsewhere)
        np.copyto(values, elsewhere, where=~access.mask)
        return values
    wrong = np.full((1,) * access.addresses.ndim, 2 ** (8 * access.size) - 1, elsewhere.dtype)
    found = wrong if access.mask is None else np.where(access.mask, wrong, elsewhere)
    for part in parts:
        values = read_part(access, part)
        found = values if part.mask is None else np.where(part.mask, values, found)
    return found


def read_part(access: Access, part: Part) -> Array:
    """Return what a part's addresses hold, as unsigned integers."""
    part.buffer.settle(part.first, part.last, part.offsets)
    if access.programs.launch.is_exchanged(part.buffer):
        _note_read_part(access, part)
    places = part.offsets >> (access.size.bit_length() - 1)
    return part.buffer.view(access.size).take(places, mode="clip")  # a copy, as the caller may change it


def _note_read_part(access: Access, part: Part) -> None:
    programs, shape = access.programs, (len(access.programs), *access.shape)
    mask = None if part.mask is None else np.broadcast_to(part.mask, shape)
    every = part._replace(offsets=np.broadcast_to(part.offsets, shape), mask=mask)
    lanes = np.broadcast_to(lanes_of(access.shape), shape)
    read = chosen(every, every.offsets, numbers_of(programs, shape), lanes)
    note_reads(programs, part.buffer, access.size, Lanes(*read))


def store_bits(
    programs: Programs, addresses: Array, bits: Array, mask: Array | None, shape: tuple[int, ...]
) -> None:
    """Store unsigned integers in a tensor's shape, those of later programs last."""
    whole = (len(programs), *shape)
    access = make_access(programs, np.broadcast_to(addresses, whole), mask, bits.itemsize, shape)
    bits, numbers = np.broadcast_to(bits, whole), numbers_of(programs, whole)
    lanes = np.broadcast_to(lanes_of(shape), whole)
    for part in split(access, "wrote"):
        part.buffer.settle(part.first, part.last, part.offsets)
        exchanged = programs.launch.is_exchanged(part.buffer)
        *stored, values = chosen(part, part.offsets, numbers, *([lanes] if exchanged else []), bits)
        note_store(programs, part.buffer, Lanes(*stored), values)
        count_stored(programs, part)
        programs.memory.changes += 1


def touch(programs: Programs, addresses: Array, mask: Array | None, size: int) -> None:
    """Note which elements a store would write, without its values.

    Programs that write the same ones are not found: they show as more elements stored than written.
    """
    shapes = [each.shape[1:] for each in (addresses, mask) if each is not None]
    shape = (len(programs), *np.broadcast_shapes(*shapes))
    access = make_access(programs, np.broadcast_to(addresses, shape), mask, size, shape[1:])
    numbers = numbers_of(programs, shape)
    for part in split(access, "writes"):
        note_touch(part.buffer, size, Lanes(*chosen(part, part.offsets, numbers)))
        count_stored(programs, part)


def count_stored(programs: Programs, part: Part) -> None:
    """Count for each program the elements of a part, whose first axis is that of programs."""
    if part.mask is None:
        counts = np.full(len(programs), part.offsets[0].size)
    else:
        counts = np.count_nonzero(part.mask.reshape(len(programs), -1), axis=1)
    programs.launch.count_stored(part.buffer, programs.indices, counts)


def chosen(part: Part, *arrays: Array) -> list[Array]:
    """Return of each array the elements that a part accesses, in one row."""
    if part.mask is None:
        return [each.reshape(-1) for each in arrays]
    return [each[part.mask] for each in arrays]


def numbers_of(programs: Programs, shape: tuple[int, ...]) -> Array:
    """Return for each element of an access the number of its program."""
    numbers = programs.numbers.astype(np.uint32).reshape(-1, *(1,) * (len(shape) - 1))
    return np.broadcast_to(numbers, shape)
