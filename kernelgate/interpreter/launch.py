"""One launch of a kernel, run on the CPU: its programs in chunks, each chunk's operation by operation."""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

import kernelgate.interpreter.dialects.all
import kernelgate.interpreter.reductions  # noqa: F401 - its operations are registered
from kernelgate.interpreter.control import EndlessError, run_function
from kernelgate.interpreter.elements import BYTES, Array, from_bits
from kernelgate.interpreter.errors import CannotInterpretError
from kernelgate.interpreter.findings import Finding, Place
from kernelgate.interpreter.frames import Frame
from kernelgate.interpreter.heap import keep_freed_memory
from kernelgate.interpreter.memory.memory import Memory
from kernelgate.interpreter.programs import Launch, Programs, linear_indices
from kernelgate.interpreter.provenance import ANYWHERE, Accessed, largest_tensor, waits
from kernelgate.interpreter.steps import Code, Turns
from kernelgate.interpreter.text.module import Function, Module, Type

CHUNK_ELEMENTS = 2**17
"""So many elements of the largest tensor are computed at once: they fit the second-level cache."""

MAX_CHUNK = 1024
MAX_TURNS = 1_000_000
IDLE_ROUNDS = 1000
"""Programs that have gone so many rounds with no change in memory wait for each other for ever."""


class Pointer(msgspec.Struct, frozen=True, kw_only=True, tag="pointer"):
    """The address `offset` bytes into a buffer."""

    buffer: str
    offset: int = 0


class Scalar(msgspec.Struct, frozen=True, kw_only=True, tag="scalar"):
    """A number by its bits, as they lie in a parameter, the lowest byte first."""

    bits: int


Argument = Pointer | Scalar | None
"""What a parameter is given; None is the null pointer."""


class LaunchResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a launch did: programs run, of how many; findings; distinct elements written of each buffer.

    Elements are as large as the smallest store to the buffer. `busiest` is the most that one program stored,
    `stored` what each one did, by its index in the grid (x runs fastest). `read` and `written_to` are the
    buffers that its text loads from and stores to, None where it may reach any.
    """

    kernel: str
    programs_run: int
    programs_total: int
    findings: tuple[Finding, ...]
    written: dict[str, int]
    busiest: dict[str, int]
    stored: dict[str, NDArray[np.int64]]
    read: frozenset[str] | None
    written_to: frozenset[str] | None


class ReadyKernel:
    """A module's kernel, made ready once for many launches."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.function: Function = module.kernel
        self.code = Code(module)
        self.waits = waits(module)
        self.accessed = Accessed(module)
        elements = largest_tensor(module)
        self.chunk = 1 if self.waits else min(MAX_CHUNK, max(1, CHUNK_ELEMENTS // elements))

    def buffers(self, names: set[str], arguments: Sequence[Argument]) -> frozenset[str] | None:
        """Return the buffers that some parameters point to, None for any."""
        if ANYWHERE in names:
            return None
        given = zip(self.function.parameters, arguments, strict=False)
        return frozenset(each.buffer for p, each in given if p.name in names and isinstance(each, Pointer))


def run_launch(  # noqa: PLR0913 - each is a part of a launch
    kernel: Module | ReadyKernel,
    name: str,
    grid: Place,
    arguments: Sequence[Argument],
    memory: Memory,
    *,
    programs: Sequence[Place] | None = None,
    chunk: int | None = None,
    max_turns: int = MAX_TURNS,
    rounding_seed: int | None = None,
) -> LaunchResult:
    """Run programs of a kernel, all of the grid in an order of its own, or the given ones in their order.

    `arguments` are the kernel's parameters in order; those beyond them, such as scratch memory, are not
    looked at. `rounding_seed` moves results that the hardware approximates, by as much as PTX allows.
    Findings go to memory's too. Raises CannotInterpretError where an operation is lacking.
    """
    keep_freed_memory()
    ready = kernel if isinstance(kernel, ReadyKernel) else ReadyKernel(kernel)
    read, written = (ready.buffers(each, arguments) for each in (ready.accessed.read, ready.accessed.written))
    exchanged = None if read is None or written is None else read & written
    launch = Launch(name, grid, memory, exchanged)
    launch.rounding_seed = rounding_seed
    before = len(memory.findings.found)
    bound = _bind_arguments(ready.function, arguments, memory)
    size = ready.chunk if chunk is None else chunk
    order = None if programs is None else linear_indices(grid, programs)
    indices = list(_chunks(grid, order, size))
    ready.code.turns_left = max_turns
    with np.errstate(all="ignore"):
        try:
            _run_chunks(ready, launch, bound, indices)
        except EndlessError as error:
            launch.find("endless", memory.first_number + 1, str(error))
    return LaunchResult(
        kernel=name,
        programs_run=sum(map(len, indices)),
        programs_total=launch.total,
        findings=tuple(memory.findings.found[before:]),
        written={
            each: memory.buffers[each].count_written_since(memory.first_number) for each in launch.stored
        },
        busiest={each: int(counts.max()) for each, counts in launch.stored.items()},
        stored=launch.stored,
        read=read,
        written_to=written,
    )


def _bind_arguments(function: Function, arguments: Sequence[Argument], memory: Memory) -> dict[str, Array]:
    if len(arguments) < len(function.parameters):
        raise CannotInterpretError(
            f"{function.name} takes {len(function.parameters)} arguments, {len(arguments)} are given"
        )
    given = zip(function.parameters, arguments, strict=False)
    return {each.name: _value_of(each.type, argument, memory) for each, argument in given}


def _value_of(kind: Type, argument: Argument, memory: Memory) -> Array:
    if kind.shape or kind.element == "desc":
        raise CannotInterpretError(f"an argument of type {kind.element} cannot be interpreted")
    if isinstance(argument, Pointer):
        return np.array([memory.buffers[argument.buffer].base + argument.offset], dtype=np.int64)
    bits = argument.bits if isinstance(argument, Scalar) else 0
    size = BYTES[kind.element]
    return from_bits(np.array([bits % 2 ** (8 * size)], dtype=f"u{size}"), kind.element)


def _chunks(grid: Place, order: NDArray[np.int64] | None, size: int) -> Iterator[NDArray[np.int64]]:
    """Yield the indices of programs that run together: along the longest axis, where no order is given.

    What the other axes decide is then computed once for all of them.
    """
    if order is None:
        axis = max(range(3), key=lambda each: grid[each])
        whole = np.arange(grid[0] * grid[1] * grid[2], dtype=np.int64).reshape(grid[2], grid[1], grid[0])
        rows = np.moveaxis(whole, 2 - axis, -1).reshape(-1, grid[axis]) if whole.size else whole.reshape(0, 1)
        together = rows if grid[axis] >= size else rows.reshape(1, -1)
    else:
        together = order.reshape(1, -1)
    for row in together:
        yield from (each for each in np.array_split(row, -(-len(row) // size) or 1) if len(each))


def _run_chunks(
    ready: ReadyKernel, launch: Launch, bound: dict[str, Array], chunks: list[NDArray[np.int64]]
) -> None:
    if ready.waits:
        _run_in_rounds(ready, launch, bound, chunks)
        return
    for indices in chunks:
        for _ in _start(ready, launch, bound, indices):
            pass


def _start(ready: ReadyKernel, launch: Launch, bound: dict[str, Array], indices: NDArray[np.int64]) -> Turns:
    frame = Frame(Programs(launch, indices))
    frame.values.update(bound)
    return run_function(ready.code, frame, ready.function.name)


def _run_in_rounds(
    ready: ReadyKernel, launch: Launch, bound: dict[str, Array], chunks: list[NDArray[np.int64]]
) -> None:
    """Run every program until it may have to wait, again and again, until all are done or none can go on.

    One that waits changes nothing in memory: where nothing has changed for many rounds, all wait for ever.
    """
    waiting = [(indices, _start(ready, launch, bound, indices)) for indices in chunks]
    idle, memory = 0, launch.memory
    while waiting:
        changes, count = memory.changes, len(waiting)
        waiting = [(indices, turns) for indices, turns in waiting if _goes_on(turns)]
        idle = idle + 1 if (memory.changes, len(waiting)) == (changes, count) else 0
        if idle >= IDLE_ROUNDS:
            number = int(waiting[0][0][0]) + memory.first_number + 1
            text = f"waits for ever, and {len(waiting) - 1} others with it"
            launch.find("waits-for-ever", number, text)
            return


def _goes_on(turns: Turns) -> bool:
    """Run up to the next place where the program may wait; return whether there is one."""
    try:
        next(turns)
    except StopIteration:
        return False
    return True
