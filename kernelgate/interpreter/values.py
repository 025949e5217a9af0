"""Values of many programs: arrays whose first axis counts programs, 1 where all have the same.

An axis of extent 1 stands for any extent along which nothing changes: what is broadcast costs nothing.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernelgate.interpreter.elements import Array

Rows = NDArray[np.intp]


class Descriptor(NamedTuple):
    """A tensor in memory that is read by blocks: its address, extents and strides, each for every program."""

    base: Array
    shape: tuple[Array, ...]
    strides: tuple[Array, ...]
    pads_with_nan: bool


Value = Any
"""An array or a Descriptor."""


def whole(value: Array, programs: int, shape: Sequence[int]) -> Array:
    """Return the value with every axis at its whole extent, the first one that of programs."""
    return np.broadcast_to(value, (programs, *shape))


def is_true_for_all(condition: Array) -> bool | None:
    """Return what a condition says of all programs, None where they differ."""
    if condition.all():
        return True
    return None if condition.any() else False


def take(value: Value, rows: Rows) -> Value:
    """Return the value for some of the programs."""
    if isinstance(value, Descriptor):
        shape, strides = (tuple(take(each, rows) for each in part) for part in (value.shape, value.strides))
        return value._replace(base=take(value.base, rows), shape=shape, strides=strides)
    return value if value.shape[0] == 1 else value[rows]


def merge(pieces: Sequence[tuple[Rows, Value]], programs: int) -> Value:
    """Return the value of all programs from those of disjoint parts of them."""
    if len(pieces) == 1 and len(pieces[0][0]) == programs:
        return pieces[0][1]
    if isinstance(pieces[0][1], Descriptor):
        return _merge_descriptors(pieces, programs)
    rest = np.broadcast_shapes(*(value.shape[1:] for _, value in pieces))
    merged = np.empty((programs, *rest), dtype=pieces[0][1].dtype)
    for rows, value in pieces:
        merged[rows] = value
    return merged


def _merge_descriptors(pieces: Sequence[tuple[Rows, Descriptor]], programs: int) -> Descriptor:
    def merged(part: str, axis: int) -> Array:
        found: Array = merge([(rows, getattr(value, part)[axis]) for rows, value in pieces], programs)
        return found

    first = pieces[0][1]
    return Descriptor(
        base=merge([(rows, value.base) for rows, value in pieces], programs),
        shape=tuple(merged("shape", axis) for axis in range(len(first.shape))),
        strides=tuple(merged("strides", axis) for axis in range(len(first.strides))),
        pads_with_nan=first.pads_with_nan,
    )
