"""Whether a launch plan can be what it says: pointers inside their buffers, launches that a GPU takes.

A plan comes from a process that has imported a kernel file. Nothing of it is believed.
"""

import itertools
import math
from collections.abc import Iterator

from kernelgate.errors import KernelgateError
from kernelgate.execution.launch_plan import (
    DTYPE_BYTES,
    MAX_GRID,
    MAX_RANK,
    SCALAR_BYTES,
    WIDENING,
    Buffer,
    Copy,
    Fill,
    Launch,
    LaunchPlan,
    Pointer,
    Scalar,
    View,
)
from kernelgate.operations.declaration.operation import Operation

MAX_THREADS = 1024
MAX_CLUSTER = 16
MAX_SHARED_BYTES = 228 * 2**10
MAX_PARAMETER_BYTES = 4096
"""CUDA C++ Programming Guide, table "Technical Specifications per Compute Capability"."""

MAX_NAMED = 3
"""A plan may be wrong in ten thousand places; the first tell what is wrong with it."""


class PlanError(KernelgateError):
    """A launch plan that cannot be read, or that is none."""


def check_plan(plan: LaunchPlan, operation: Operation) -> None:
    """Raise PlanError, which names the first faults, unless the plan is one of the operation."""
    if faults := list(itertools.islice(_faults(plan, operation), MAX_NAMED)):
        raise PlanError(f"not a launch plan of {operation.name}: {'; '.join(faults)}")


def _faults(plan: LaunchPlan, operation: Operation) -> Iterator[str]:
    if plan.operation != operation.name:
        yield f"it is of operation {plan.operation!r}"
        return
    if plan.batch > operation.max_batch:
        yield f"its batch is {plan.batch}, allowed 1 to {operation.max_batch}"
        return
    yield from _buffer_faults(plan, operation)
    programs = {program.cubin for program in plan.programs}
    for place, step in enumerate(plan.steps):
        where = f"step {place}"
        if isinstance(step, Fill):
            yield from _view_faults(f"{where}, target", step.target, plan.buffers)
            yield from _target_faults(where, step.target, plan.buffers)
        elif isinstance(step, Copy):
            yield from _copy_faults(where, step, plan.buffers)
        else:
            yield from _launch_faults(where, step, plan.buffers, programs)
    yield from _answer_faults(plan, operation)


def _buffer_faults(plan: LaunchPlan, operation: Operation) -> Iterator[str]:
    fixed = [each for each in operation.arguments if not each.is_free]
    sizes = {each.name: operation.element_bytes * math.prod(each.shape_at(1)) for each in fixed}
    names = {each.name for each in operation.arguments}
    roles = [buffer.role for buffer in plan.buffers]
    for role in sorted(names):
        if roles.count(role) != 1:
            yield f"it has {roles.count(role)} buffers {role}, allowed 1"
    for place, buffer in enumerate(plan.buffers):
        if buffer.is_given and buffer.role not in names:
            yield f"buffer {place}, {buffer.role}: {operation.name} has no such tensor"
        if buffer.bytes < sizes.get(buffer.role, 0):
            allowed = f"allowed {sizes[buffer.role]} or more"
            yield f"buffer {place}, {buffer.role}, has {buffer.bytes} bytes, {allowed}"
        if (buffer.content is not None) != (buffer.role == "constant"):
            yield f"buffer {place}, {buffer.role}: a constant has a content, and nothing else has"


def _view_faults(where: str, view: View, buffers: tuple[Buffer, ...]) -> Iterator[str]:
    size = DTYPE_BYTES.get(view.dtype)
    if size is None:
        yield f"{where}: unknown element type {view.dtype!r}"
    elif view.buffer >= len(buffers):
        yield f"{where}: there is no buffer {view.buffer}"
    elif len(view.shape) != len(view.strides) or len(view.shape) > MAX_RANK:
        got = f"{len(view.shape)} extents and {len(view.strides)} strides"
        yield f"{where}: {got}, allowed as many, and {MAX_RANK} at most"
    elif size * elements_spanned(view) > buffers[view.buffer].bytes:
        held = buffers[view.buffer].bytes
        yield f"{where}: ends {size * elements_spanned(view)} bytes into a buffer of {held}"


def elements_spanned(view: View) -> int:
    """Return how many elements of the view's type lie between the buffer's start and the view's end."""
    if 0 in view.shape:
        return 0
    reach = sum((extent - 1) * stride for extent, stride in zip(view.shape, view.strides, strict=True))
    return view.offset + reach + 1


def _target_faults(where: str, target: View, buffers: tuple[Buffer, ...]) -> Iterator[str]:
    if target.buffer < len(buffers) and buffers[target.buffer].role != "temporary":
        yield f"{where}: moves data into {buffers[target.buffer].role}, which only launches may try to write"


def _copy_faults(where: str, copy: Copy, buffers: tuple[Buffer, ...]) -> Iterator[str]:
    yield from _view_faults(f"{where}, target", copy.target, buffers)
    yield from _view_faults(f"{where}, source", copy.source, buffers)
    yield from _target_faults(where, copy.target, buffers)
    if copy.target.shape != copy.source.shape:
        yield f"{where}: copies shape {list(copy.source.shape)} to {list(copy.target.shape)}"
    given, taken = copy.source.dtype, copy.target.dtype
    if given != taken and taken not in WIDENING.get(given, ()):
        yield f"{where}: a cast of {given} to {taken} is no move of data, it loses values"


def _launch_faults(
    where: str, launch: Launch, buffers: tuple[Buffer, ...], programs: set[str]
) -> Iterator[str]:
    if launch.program not in programs:
        yield f"{where}: launches program {launch.program[:12]}, which is not in the plan"
    if any(got > most for got, most in zip(launch.grid, MAX_GRID, strict=True)):
        yield f"{where}: has the grid {list(launch.grid)}, allowed {list(MAX_GRID)}"
    if launch.threads > MAX_THREADS:
        yield f"{where}: has {launch.threads} threads a block, allowed {MAX_THREADS}"
    if math.prod(launch.cluster) > MAX_CLUSTER:
        yield f"{where}: has the cluster {list(launch.cluster)}, allowed {MAX_CLUSTER} blocks"
    if launch.shared_bytes > MAX_SHARED_BYTES:
        yield f"{where}: takes {launch.shared_bytes} bytes of shared memory, allowed {MAX_SHARED_BYTES}"
    size = 0
    for number, argument in enumerate(launch.arguments):
        size += 8
        if isinstance(argument, Scalar):
            yield from _scalar_faults(f"{where}, argument {number}", argument)
        elif isinstance(argument, Pointer):
            yield from _pointer_faults(f"{where}, argument {number}", argument, buffers)
    if size > MAX_PARAMETER_BYTES:
        yield f"{where}: has {len(launch.arguments)} arguments, allowed {MAX_PARAMETER_BYTES} bytes of them"


def _scalar_faults(where: str, scalar: Scalar) -> Iterator[str]:
    size = SCALAR_BYTES.get(scalar.kind)
    if size is None:
        yield f"{where}: unknown kind {scalar.kind!r}"
    elif not 0 <= scalar.bits < 2 ** (8 * size):
        yield f"{where}: {scalar.bits} does not fit {scalar.kind}"


def _pointer_faults(where: str, pointer: Pointer, buffers: tuple[Buffer, ...]) -> Iterator[str]:
    if pointer.buffer >= len(buffers):
        yield f"{where}: there is no buffer {pointer.buffer}"
    elif pointer.offset > buffers[pointer.buffer].bytes:
        held = buffers[pointer.buffer].bytes
        yield f"{where}: points {pointer.offset} bytes into a buffer of {held}"


def _answer_faults(plan: LaunchPlan, operation: Operation) -> Iterator[str]:
    yield from _view_faults("the answer", plan.answer, plan.buffers)
    shape = operation.output_shape(plan.batch)
    if plan.answer.shape != shape or plan.answer.dtype != operation.dtype:
        got = f"{plan.answer.dtype} {list(plan.answer.shape)}"
        yield f"the answer is {got}, allowed {operation.dtype} {list(shape)}"
        return
    dense = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    both = zip(shape, plan.answer.strides, dense, strict=True)
    if any(extent > 1 and got != allowed for extent, got, allowed in both):
        yield f"the answer has the strides {list(plan.answer.strides)}, allowed {dense}"
