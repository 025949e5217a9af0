"""Dialect tt: loads, stores, atomic operations and tensor descriptors."""

from collections.abc import Callable, Sequence

import numpy as np

from kernelgate.interpreter.dialects.arith import unsigned
from kernelgate.interpreter.dialects.registry import Compute, computes, lacking, with_programs
from kernelgate.interpreter.elements import BYTES, FLOATS, Array, from_bits, held_as, to_bits
from kernelgate.interpreter.memory.access import load_bits, make_access, store_bits, touch
from kernelgate.interpreter.memory.atomics import update
from kernelgate.interpreter.programs import Programs
from kernelgate.interpreter.slices import TOUCH
from kernelgate.interpreter.text.module import Operation
from kernelgate.interpreter.values import Descriptor, whole

_PADS_WITH_NAN = 2


def _pointee(operation: Operation) -> str:
    pointee = operation.inputs[0].pointee
    if pointee is None or pointee.element not in BYTES:
        raise lacking(operation, "through such a pointer")
    return pointee.element


@with_programs("tt.load")
def make_load(operation: Operation) -> Compute:
    """Return what memory holds; `other` where the mask is false, undefined bits if there is none."""
    element, size = _pointee(operation), BYTES[_pointee(operation)]
    shape = operation.inputs[0].shape
    ones = (1,) * (1 + len(shape))

    def compute(
        programs: Programs, addresses: Array, mask: Array | None = None, other: Array | None = None
    ) -> Array:
        elsewhere = undefined_bits(programs, size).reshape(ones) if other is None else to_bits(other, element)
        return from_bits(load_bits(make_access(programs, addresses, mask, size, shape), elsewhere), element)

    return compute


def undefined_bits(programs: Programs, size: int) -> Array:
    """Return what an undefined lane of so many bytes holds."""
    word = programs.memory.undefined
    return np.array([(word << 32 | word) >> (32 if size < 8 else 0) & (2 ** (8 * size) - 1)], f"u{size}")


@with_programs("tt.store")
def make_store(operation: Operation) -> Compute:
    """Store the values where the mask lets them through."""
    element, shape = _pointee(operation), operation.inputs[0].shape

    def compute(programs: Programs, addresses: Array, value: Array, mask: Array | None = None) -> tuple[()]:
        store_bits(programs, addresses, to_bits(value, element), mask, shape)
        return ()

    return compute


@with_programs(TOUCH)
def make_touch(operation: Operation) -> Compute:
    """Note which elements a store would write."""
    size = BYTES[_pointee(operation)]

    def compute(programs: Programs, addresses: Array, mask: Array | None = None) -> tuple[()]:
        touch(programs, addresses, mask, size)
        return ()

    return compute


@with_programs(f"{TOUCH}_block")
def make_block_touch(operation: Operation) -> Compute:
    """Note which elements a descriptor's store would write."""
    kind = operation.inputs[-1]

    def compute(programs: Programs, descriptor: Descriptor, *starts: Array) -> tuple[()]:
        size = BYTES[kind.element]
        touch(programs, *_block_of(descriptor, starts, kind.shape, size), size)
        return ()

    return compute


_UPDATES: dict[str, Callable[[Array, Array], Array]] = {
    "add": np.add,
    "fadd": np.add,
    "max": np.maximum,
    "min": np.minimum,
    "umax": lambda a, b: np.maximum(unsigned(a), unsigned(b)).view(a.dtype),
    "umin": lambda a, b: np.minimum(unsigned(a), unsigned(b)).view(a.dtype),
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "exch": lambda _, b: b,
}


@with_programs("tt.atomic_rmw")
def make_atomic(operation: Operation) -> Compute:
    """Return what memory held before each lane's update, one lane after the other."""
    kind, element, shape = operation.words[0], _pointee(operation), operation.inputs[0].shape
    if kind not in _UPDATES:
        raise lacking(operation, kind)
    orders = "relaxed" not in operation.words

    def compute(programs: Programs, addresses: Array, value: Array, mask: Array | None = None) -> Array:
        given = np.ones(1, np.bool_) if mask is None else mask
        all_of = [whole(_aligned(each, shape), len(programs), shape) for each in (addresses, value, given)]
        lanes = all_of[1].reshape(-1)
        if orders:
            programs.note_synced()
        return update(
            programs, all_of[0], all_of[2], element, lambda held, at: _UPDATES[kind](held, lanes[at])
        )

    return compute


def _aligned(value: Array, shape: Sequence[int]) -> Array:
    """Return a value with as many axes as the shape and one more."""
    return value.reshape(value.shape + (1,) * (1 + len(shape) - value.ndim))


@with_programs("tt.atomic_cas")
def make_compare_and_swap(operation: Operation) -> Compute:
    """Return what memory held before each lane put its value where it held what was expected."""
    element, shape = _pointee(operation), operation.inputs[0].shape
    orders = "relaxed" not in operation.words

    def compute(programs: Programs, addresses: Array, expected: Array, value: Array) -> Array:
        all_of = [whole(each, len(programs), shape) for each in (addresses, expected, value)]
        awaited, lanes = (each.reshape(-1) for each in all_of[1:])
        if orders:
            programs.note_synced()

        def swap(held: Array, at: Array) -> Array:
            same = to_bits(held, element) == to_bits(awaited[at], element)
            return np.where(same, lanes[at], held)

        everywhere = np.ones(all_of[0].shape, np.bool_)
        return update(programs, all_of[0], everywhere, element, swap)

    return compute


@computes("tt.make_tensor_descriptor")
def make_descriptor(operation: Operation) -> Compute:
    """Return a descriptor of a tensor in memory: its address, extents and strides in elements."""
    pads_with_nan = operation.attributes.get("padding", 1) == _PADS_WITH_NAN

    def compute(base: Array, *rest: Array) -> Descriptor:
        rank = len(rest) // 2
        extents, strides = (
            tuple(each.astype(np.int64) for each in part) for part in (rest[:rank], rest[rank:])
        )
        return Descriptor(base, extents, strides, pads_with_nan)

    return compute


def _block_of(
    descriptor: Descriptor, starts: Sequence[Array], shape: Sequence[int], size: int
) -> tuple[Array, Array]:
    """Return addresses of a block's elements and which of them are inside the tensor.

    A block of fewer axes than the tensor has extent 1 along the first ones.
    """
    rank = len(descriptor.shape)
    block = (1,) * (rank - len(shape)) + tuple(shape)
    addresses = descriptor.base.reshape(-1, *(1,) * rank)
    inside = np.ones((1,) * (1 + rank), np.bool_)
    for axis in range(rank):
        form = [1] * (1 + rank)
        form[1 + axis] = block[axis]
        start, extent, stride = (
            each.astype(np.int64).reshape(-1, *(1,) * rank)
            for each in (starts[axis], descriptor.shape[axis], descriptor.strides[axis])
        )
        place = start + np.arange(block[axis], dtype=np.int64).reshape(form)
        addresses = addresses + place * stride * size
        inside = inside & (place >= 0) & (place < extent)
    kept = (-1, *addresses.shape[1 + rank - len(shape) :])
    addresses, inside = np.broadcast_arrays(addresses, inside)
    return addresses.reshape(kept), inside.reshape(kept)


@with_programs("tt.descriptor_load")
def make_descriptor_load(operation: Operation) -> Compute:
    """Return a block, zeros or NaN where it is outside the tensor."""
    kind = operation.result_type
    size = BYTES[kind.element]

    def compute(programs: Programs, descriptor: Descriptor, *starts: Array) -> Array:
        addresses, inside = _block_of(descriptor, starts, kind.shape, size)
        nan = descriptor.pads_with_nan and kind.element in FLOATS
        filler = np.full(1, np.nan if nan else 0, held_as(kind.element))
        elsewhere = to_bits(filler, kind.element).reshape((1,) * (1 + len(kind.shape)))
        return from_bits(
            load_bits(make_access(programs, addresses, inside, size, kind.shape), elsewhere), kind.element
        )

    return compute


@with_programs("tt.descriptor_store")
def make_descriptor_store(operation: Operation) -> Compute:
    """Store a block where it is inside the tensor."""
    kind = operation.inputs[-1]

    def compute(programs: Programs, descriptor: Descriptor, *rest: Array) -> tuple[()]:
        addresses, inside = _block_of(descriptor, rest[:-1], kind.shape, BYTES[kind.element])
        store_bits(programs, addresses, to_bits(rest[-1], kind.element), inside, kind.shape)
        return ()

    return compute


@with_programs("tt.descriptor_reduce")
def make_descriptor_reduce(operation: Operation) -> Compute:
    """Update each element of a block that is inside the tensor by an atomic operation."""
    kind, name = operation.inputs[-1], operation.words[0]
    block = operation.inputs[0].pointee
    if block is not None and block.element.startswith("u"):
        name = {"max": "umax", "min": "umin"}.get(name, name)
    if name not in _UPDATES:
        raise lacking(operation, name)

    def compute(programs: Programs, descriptor: Descriptor, *rest: Array) -> tuple[()]:
        block = _block_of(descriptor, rest[:-1], kind.shape, BYTES[kind.element])
        addresses, inside, value = (whole(each, len(programs), kind.shape) for each in (*block, rest[-1]))
        lanes = value.reshape(-1)
        update(programs, addresses, inside, kind.element, lambda held, at: _UPDATES[name](held, lanes[at]))
        return ()

    return compute
