"""One launch of a kernel, run on the CPU: its programs in chunks, each chunk's operation by operation."""

import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import msgspec
import numpy as np
from numpy.typing import NDArray

import kernelgate.interpreter.dialects.all
import kernelgate.interpreter.reductions  # noqa: F401 - its operations are registered
from kernelgate.interpreter.control import EndlessError, run_function, spend_turn
from kernelgate.interpreter.decisions.constants import compared_numbers
from kernelgate.interpreter.decisions.find import find_decisions, may_decide
from kernelgate.interpreter.decisions.flow import ANYWHERE, DataFlow, Names
from kernelgate.interpreter.decisions.sides import Sides
from kernelgate.interpreter.elements import BYTES, Array, from_bits
from kernelgate.interpreter.errors import CannotInterpretError
from kernelgate.interpreter.findings import Finding, Place
from kernelgate.interpreter.frames import Frame
from kernelgate.interpreter.memory.heap import keep_freed_memory
from kernelgate.interpreter.memory.memory import Memory
from kernelgate.interpreter.programs import Launch, Programs, linear_indices
from kernelgate.interpreter.provenance import find_accessed, largest_tensor, waits
from kernelgate.interpreter.steps import Code, Turns
from kernelgate.interpreter.text.module import Function, Module, Type
from kernelgate.interpreter.text.source_lines import SourceLines

CHUNK_ELEMENTS = 2**16
"""So many elements of the largest tensor are computed at once: they fit the second-level cache."""

MAX_CHUNK = 1024
MAX_TURNS = 1_000_000
IDLE_ROUNDS = 3
"""After so many rounds without a change programs wait for each other for ever; the first ones may be new."""


class Pointer(msgspec.Struct, frozen=True, kw_only=True):
    """The address `offset` bytes into a buffer."""

    buffer: str
    offset: int = 0


class Scalar(msgspec.Struct, frozen=True, kw_only=True):
    """A number by its bits, as they lie in a parameter, the lowest byte first."""

    bits: int


Argument = Pointer | Scalar | None
"""What a parameter is given; None is the null pointer."""


class LaunchResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a launch did: programs run, of how many; findings; distinct elements written of each buffer.

    Elements are as large as the smallest store to the buffer. `busiest` is the most that one program stored,
    `stored` what each one did, by its index in the grid (x runs fastest). Programs that never ended are not
    counted as run. `may_read` and `may_write` are the buffers that the kernel's text reaches, None for any.
    """

    kernel: str
    programs_run: int
    programs_total: int
    findings: tuple[Finding, ...]
    written: dict[str, int]
    busiest: dict[str, int]
    stored: dict[str, NDArray[np.int64]]
    may_read: frozenset[str] | None
    may_write: frozenset[str] | None


class ReadyKernel:
    """A module's kernel, made ready once for many launches; `text` is the TTIR that it was parsed from."""

    def __init__(self, module: Module, text: str = "") -> None:
        self.module, self.text = module, text
        self.function: Function = module.kernel
        self.flow = DataFlow(module)
        self.decides = may_decide(module)
        self.sides = Sides(find_decisions(module, self.flow) if self.decides else ())
        self.code = Code(module, self.sides)
        self.may_wait = waits(module)
        self.accessed = find_accessed(self.flow)
        self.program_s: float | None = None
        """Seconds of one of its programs, once that was measured."""

        self.chunk = min(MAX_CHUNK, max(1, CHUNK_ELEMENTS // largest_tensor(module)))

    @cached_property
    def compared(self) -> tuple[int, ...]:
        """The numbers that its integers are compared with, the largest first."""
        return compared_numbers(self.module)

    @cached_property
    def source_lines(self) -> SourceLines:
        """Where in the kernel file its operations come from."""
        return SourceLines(self.text)

    def may_read(self, arguments: Sequence[Argument]) -> frozenset[str] | None:
        """Return the buffers that a launch may read, None for any."""
        return self._pointed_to(self.accessed.read, arguments)

    def may_write(self, arguments: Sequence[Argument]) -> frozenset[str] | None:
        """Return the buffers that a launch may write, None for any."""
        return self._pointed_to(self.accessed.written, arguments)

    def exchanged(self, arguments: Sequence[Argument]) -> frozenset[str] | None:
        """Return the buffers that a launch may both read and write, None for any."""
        read, written = self.may_read(arguments), self.may_write(arguments)
        return None if read is None or written is None else read & written

    def _pointed_to(self, names: Names, arguments: Sequence[Argument]) -> frozenset[str] | None:
        if ANYWHERE in names:
            return None
        given = zip(self.function.parameters, arguments, strict=False)
        return frozenset(each.buffer for p, each in given if p.name in names and isinstance(each, Pointer))


class LaunchRun:
    """A launch whose programs are run part by part; `last` is the number of the one that was last begun.

    `arguments` are the kernel's parameters in order; those beyond them, such as scratch memory, are not
    looked at. `rounding_seed` moves results that the hardware approximates, by as much as PTX allows.
    Findings go to memory's too.
    """

    def __init__(
        self,
        kernel: Module | ReadyKernel,
        name: str,
        grid: Place,
        arguments: Sequence[Argument],
        memory: Memory,
        *,
        max_turns: int = MAX_TURNS,
        rounding_seed: int | None = None,
    ) -> None:
        keep_freed_memory()
        self.ready = kernel if isinstance(kernel, ReadyKernel) else ReadyKernel(kernel)
        self.arguments, self.max_turns = arguments, max_turns
        self.bound = _bind_arguments(self.ready.function, arguments, memory)
        exchanged = self.ready.exchanged(arguments)
        self.waits = self.ready.may_wait and (exchanged is None or bool(exchanged))
        self.found_before = len(memory.findings.found)
        self.launch = Launch(name, grid, memory, exchanged, rounding_seed)
        self.finished = 0
        self.last = memory.first_number + 1

    def run(
        self, programs: Sequence[Place] | None = None, chunk: int | None = None, *, backwards: bool = False
    ) -> None:
        """Run programs that did not run yet: all of the grid, or those given in their order; or backwards.

        Raises CannotInterpretError where an operation is lacking.
        """
        code = self.ready.code
        code.turns_left, code.waits = self.max_turns, self.waits
        size = 1 if self.waits else chunk or self.ready.chunk
        order = None if programs is None else linear_indices(self.launch.grid, programs)
        chunks = _chunks(self.launch.grid, order, size, backwards=backwards)
        with np.errstate(all="ignore"):
            try:
                (self._in_rounds if self.waits else self._in_chunks)(chunks)
            except EndlessError as error:
                self.launch.find("endless", self.last, str(error))

    def time_programs(self, programs: Sequence[Place]) -> float:
        """Return the seconds of one of these programs, which may be run once more; they do not count."""
        finished, began = self.finished, time.process_time()
        self.run(programs)
        self.finished = finished
        return (time.process_time() - began) / len(programs)

    def _start(self, indices: NDArray[np.int64]) -> Turns:
        group = Programs(self.launch, indices)
        self.last = int(group.numbers[0])
        frame = Frame(group)
        frame.values.update(self.bound)
        return run_function(self.ready.code, frame, self.ready.function.name)

    def _in_chunks(self, chunks: Iterable[NDArray[np.int64]]) -> None:
        """Run one chunk after the other, each to its end."""
        for indices in chunks:
            for _ in self._start(indices):
                pass
            self.finished += len(indices)

    def _in_rounds(self, chunks: Iterable[NDArray[np.int64]]) -> None:
        """Run every program until it may have to wait, again and again, until all are done or none can go on.

        Where neither memory nor any program has changed in a round, nothing will change in the next one.
        """
        memory, idle = self.launch.memory, 0
        waiting: Iterable[tuple[int, Turns]] = ((int(each[0]), self._start(each)) for each in chunks)
        while idle < IDLE_ROUNDS:
            spend_turn(self.ready.code)
            changes, finished, changed = memory.changes, self.finished, False
            still: list[tuple[int, Turns]] = []
            for index, turns in waiting:
                self.last = index + memory.first_number + 1
                moved = next(turns, None)
                changed = changed or bool(moved)
                self.finished += moved is None
                still += [(index, turns)] if moved is not None else []
            waiting = still
            if not still:
                return
            idle = 0 if changed or (memory.changes, self.finished) != (changes, finished) else idle + 1
        self.last = still[0][0] + memory.first_number + 1
        self.launch.find("waits-for-ever", self.last, f"waits for ever, and {len(still) - 1} others with it")

    def result(self) -> LaunchResult:
        """Return what the launch did so far."""
        launch, memory = self.launch, self.launch.memory
        first = memory.first_number
        return LaunchResult(
            kernel=launch.kernel,
            programs_run=self.finished,
            programs_total=launch.total,
            findings=tuple(memory.findings.found[self.found_before :]),
            written={each: memory.buffers[each].count_written_since(first) for each in launch.stored},
            busiest={each: int(counts.max()) for each, counts in launch.stored.items()},
            stored=launch.stored,
            may_read=self.ready.may_read(self.arguments),
            may_write=self.ready.may_write(self.arguments),
        )

    def wrote(self, buffer: str) -> dict[Place, NDArray[np.int64]]:
        """Return the elements of a buffer that each program wrote last, in units of its smallest store."""
        first, held = self.launch.memory.first_number, self.launch.memory.buffers[buffer]
        units = held.written_since(first + 1)
        owners = held.writers[units]
        order = np.argsort(owners, kind="stable")
        numbers, starts = np.unique(owners[order], return_index=True)
        parts = np.split(units[order], starts[1:]) if numbers.size else []
        return {self.launch.place_of(int(number)): part for number, part in zip(numbers, parts, strict=True)}

    def count_wrote(self, buffer: str) -> dict[Place, int]:
        """Return how many elements `wrote` has of each program."""
        launch, first = self.launch, self.launch.memory.first_number + 1
        counts = launch.memory.buffers[buffer].count_by_writer(first, launch.total)
        return {launch.place_of(first + int(each)): int(counts[each]) for each in np.flatnonzero(counts)}


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


def _chunks(
    grid: Place, order: NDArray[np.int64] | None, size: int, *, backwards: bool
) -> Iterator[NDArray[np.int64]]:
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
    for row in together[::-1, ::-1] if backwards else together:
        yield from (each for each in np.array_split(row, -(-len(row) // size) or 1) if len(each))
