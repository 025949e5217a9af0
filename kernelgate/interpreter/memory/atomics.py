"""Atomic operations: one after the other where they meet at one address, by program and lane."""

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from kernelgate.interpreter.elements import BYTES, Array, from_bits, to_bits
from kernelgate.interpreter.memory.access import chosen, count_stored, make_access, split
from kernelgate.interpreter.memory.owners import note_atomic
from kernelgate.interpreter.programs import Programs

Update = Callable[[Array, Array], Array]
"""Gets what memory holds and the lanes' places among those that are active; returns what it shall hold."""


def update(programs: Programs, addresses: Array, mask: Array, element: str, new: Update) -> Array:
    """Return what elements held before each was updated; zeros where the mask is false.

    Addresses and mask have every axis at its whole extent. `new` may be called several times, for lanes that
    no longer meet at one address.
    """
    size = BYTES[element]
    old = np.zeros(addresses.shape, dtype=f"u{size}")
    access = make_access(programs, addresses, mask, size, addresses.shape[1:])
    lanes = np.arange(addresses.size).reshape(addresses.shape)
    for part in split(access, "wrote"):
        part.buffer.settle(part.first, part.last, part.offsets)
        offsets, places = chosen(part, part.offsets, lanes)
        view = part.buffer.view(size)
        for turn in _in_turns(offsets):
            words = offsets[turn] >> (size.bit_length() - 1)
            held = view[words]
            stored = to_bits(new(from_bits(held, element), places[turn]), element)
            old.reshape(-1)[places[turn]] = held
            view[words] = stored
            programs.memory.changes += int((held != stored).any())
        note_atomic(programs, part.buffer, offsets, size)
        count_stored(programs, part)
    return from_bits(old, element)


def _in_turns(offsets: Array) -> Iterator[Array]:
    """Yield places of lanes such that no two of one turn have one address, each address's in order."""
    order = np.argsort(offsets, kind="stable")
    ordered = offsets[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    rank = np.arange(len(ordered)) - np.repeat(starts, np.diff(np.r_[starts, len(ordered)]))
    if len(starts) == len(ordered):
        yield np.arange(len(offsets))
        return
    by_rank = np.argsort(rank, kind="stable")
    edges = np.searchsorted(rank[by_rank], np.arange(int(rank.max()) + 2))
    for low, high in itertools.pairwise(edges):
        yield order[by_rank[low:high]]
