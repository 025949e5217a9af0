"""Dialect tt: where elements stand. What is only broadcast stays as small as it is."""

import numpy as np

from kernelgate.interpreter.dialects.registry import Compute, computes, lacking, with_programs
from kernelgate.interpreter.elements import BYTES, Array
from kernelgate.interpreter.programs import Programs
from kernelgate.interpreter.text.module import Operation
from kernelgate.interpreter.values import whole

_AXES = {"x": 0, "y": 1, "z": 2}


@with_programs("tt.get_program_id")
def make_program_id(operation: Operation) -> Compute:
    """Return the programs' places along an axis of the grid."""
    axis = _AXES[operation.words[0]]
    return lambda programs: programs.place(axis)


@with_programs("tt.get_num_programs")
def make_num_programs(operation: Operation) -> Compute:
    """Return the grid's extent along an axis."""
    axis = _AXES[operation.words[0]]

    def compute(programs: Programs) -> Array:
        return np.array([programs.grid[axis]], dtype=np.int32)

    return compute


@computes("tt.make_range")
def make_range(operation: Operation) -> Compute:
    """Return start, start + 1, ... up to end."""
    value = np.arange(operation.attributes["start"], operation.attributes["end"], dtype=np.int32)[None]
    return lambda: value


@computes("tt.splat")
def make_splat(operation: Operation) -> Compute:
    """Return a scalar as a tensor."""
    ones = (1,) * len(operation.result_type.shape)
    return lambda a: a.reshape(a.shape[0], *ones)


@computes("tt.unsplat")
def make_unsplat(operation: Operation) -> Compute:  # noqa: ARG001 - all are alike
    """Return the only element of a tensor."""
    return lambda a: a.reshape(a.shape[0])


@computes("tt.broadcast")
def make_broadcast(operation: Operation) -> Compute:  # noqa: ARG001 - all are alike
    """Return the value as it is: an axis of extent 1 stands for any."""
    return lambda a: a


@computes("tt.expand_dims")
def make_expand_dims(operation: Operation) -> Compute:
    """Return the value with one more axis."""
    place = (slice(None),) * (operation.attributes["axis"] + 1) + (None,)
    return lambda a: a[place]


@computes("tt.reshape")
def make_reshape(operation: Operation) -> Compute:
    """Return the elements in another shape; in another order where the text allows any."""
    shape, before = operation.result_type.shape, operation.inputs[0].shape
    any_order = "allow_reorder" in operation.words

    def compute(a: Array) -> Array:
        if a.size == a.shape[0]:
            return a.reshape(a.shape[0], *(1,) * len(shape))
        flat = whole(a, a.shape[0], before).reshape(a.shape[0], -1)
        return (flat[:, ::-1] if any_order else flat).reshape(a.shape[0], *shape)

    return compute


@computes("tt.trans")
def make_transpose(operation: Operation) -> Compute:
    """Return the axes in another order."""
    order = (0, *(axis + 1 for axis in operation.attributes["order"]))
    return lambda a: a.transpose(order)


@computes("tt.join")
def make_join(operation: Operation) -> Compute:  # noqa: ARG001 - all are alike
    """Return two tensors side by side along a new last axis."""
    return lambda a, b: np.stack(np.broadcast_arrays(a, b), axis=-1)


@computes("tt.split")
def make_split(operation: Operation) -> Compute:  # noqa: ARG001 - all are alike
    """Return the two halves of the last axis."""
    return lambda a: (a[..., 0], a[..., -1])


@computes("tt.cat")
def make_cat(operation: Operation) -> Compute:
    """Return two tensors one after the other, in an order that nobody may rely on."""
    shape = operation.inputs[0].shape

    def compute(a: Array, b: Array) -> Array:
        rows = max(a.shape[0], b.shape[0])
        both = [np.broadcast_to(each, (rows, *shape)) for each in (a, b)]
        return np.concatenate(both, axis=1)[:, ::-1]

    return compute


@computes("tt.gather")
def make_gather(operation: Operation) -> Compute:
    """Return elements chosen along an axis; raises CannotInterpretError for a place that is none of its."""
    axis = operation.attributes["axis"] + 1
    source, index = operation.inputs[0].shape, operation.inputs[1].shape

    def compute(a: Array, at: Array) -> Array:
        rows = max(a.shape[0], at.shape[0])
        places = np.broadcast_to(at, (rows, *index)).astype(np.int64)
        if places.min() < 0 or places.max() >= source[axis - 1]:
            raise lacking(operation, "outside the axis")
        return np.take_along_axis(np.broadcast_to(a, (rows, *source)), places, axis)

    return compute


@computes("tt.histogram")
def make_histogram(operation: Operation) -> Compute:
    """Return how often each number below the number of bins occurs among those that the mask lets through."""
    bins, size = operation.result_type.shape[0], operation.inputs[0].shape[0]

    def compute(a: Array, mask: Array | None = None) -> Array:
        rows = a.shape[0] if mask is None else max(a.shape[0], mask.shape[0])
        values = np.broadcast_to(a, (rows, size)).astype(np.int64)
        counts = (values >= 0) & (values < bins)
        counts = counts if mask is None else counts & mask
        places = (np.arange(rows)[:, None] * bins + values)[counts]
        return np.bincount(places, minlength=rows * bins).reshape(rows, bins).astype(np.int32)

    return compute


@computes("tt.addptr")
def make_add_to_pointer(operation: Operation) -> Compute:
    """Return the address so many elements further; 64 bits wrap."""
    pointee = operation.inputs[0].pointee
    assert pointee is not None
    size = np.int64(BYTES[pointee.element])
    return lambda pointer, offset: pointer + np.multiply(offset, size, dtype=np.int64)


@computes("tt.ptr_to_int", "tt.int_to_ptr")
def make_pointer_conversion(operation: Operation) -> Compute:  # noqa: ARG001 - all are alike
    """Return the address, which is a number in any case."""
    return lambda a: a


@computes("tt.assume", "llvm.intr.assume", "tt.print")
def make_nothing(operation: Operation) -> Compute:  # noqa: ARG001 - all are alike
    """Return nothing: no such hint changes a value."""
    return lambda *_: ()


@with_programs("ttg.barrier", "gpu.barrier")
def make_barrier(operation: Operation) -> Compute:  # noqa: ARG001 - all are alike
    """Have the threads of each program meet."""

    def compute(programs: Programs) -> tuple[()]:
        programs.note_barrier()
        return ()

    return compute


@with_programs("tt.assert")
def make_assert(operation: Operation) -> Compute:
    """Find the first program whose condition does not hold."""
    message = operation.texts[0] if operation.texts else ""

    def compute(programs: Programs, condition: Array) -> tuple[()]:
        if not condition.all():
            failed = ~condition.reshape(condition.shape[0], -1).all(axis=1)
            number = int(programs.numbers[int(failed.argmax())])
            programs.launch.find("assert", number, f"failed an assertion: {message}")
        return ()

    return compute
