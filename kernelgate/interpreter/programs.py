"""A group of programs that run together, and the launch that they belong to."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelgate.interpreter.elements import Array
from kernelgate.interpreter.findings import Finding, Kind, Place
from kernelgate.interpreter.memory.buffer import Buffer
from kernelgate.interpreter.memory.memory import Memory
from kernelgate.interpreter.values import Rows


class Launch:
    """What the programs of one launch share: its kernel's name, grid and memory, and what they stored.

    `exchanged` are the buffers that the launch both reads and writes, by name; None for all.
    `stored` counts for each buffer what each program wrote; `synced` says which programs have done an atomic
    operation that orders memory, `barriers` when each last met a barrier. `line` is that of the text where
    programs last reached for memory.
    `rounding_seed` has approximate results moved, None leaves them rounded to nearest.
    """

    def __init__(
        self,
        kernel: str,
        grid: Place,
        memory: Memory,
        exchanged: frozenset[str] | None,
        rounding_seed: int | None = None,
    ) -> None:
        self.kernel, self.grid, self.memory, self.exchanged = kernel, grid, memory, exchanged
        self.rounding_seed = rounding_seed
        self.total = grid[0] * grid[1] * grid[2]
        self.stored: dict[str, NDArray[np.int64]] = {}
        self.synced: set[int] = set()
        self.barriers = np.zeros(self.total, dtype=np.uint64)
        self.time = self.line = 0
        memory.begin_launch(self.total)

    def tick(self) -> int:
        """Return the time, one later at each call."""
        self.time += 1
        return self.time

    def place_of(self, number: int) -> Place:
        """Return the place in the grid of a program by its number in memory."""
        index = number - self.memory.first_number - 1
        return (
            index % self.grid[0],
            index // self.grid[0] % self.grid[1],
            index // self.grid[0] // self.grid[1],
        )

    def is_exchanged(self, buffer: Buffer) -> bool:
        """Whether the launch may both read and write the buffer."""
        return self.exchanged is None or buffer.name in self.exchanged

    def count_stored(self, buffer: Buffer, indices: NDArray[np.int64], counts: Array) -> None:
        """Count what programs of these indices in the grid stored, in elements."""
        if buffer.name not in self.stored:
            self.stored[buffer.name] = np.zeros(self.total, dtype=np.int64)
        self.stored[buffer.name][indices] += counts

    def find(self, kind: Kind, number: int, text: str, **where: Any) -> None:
        """Keep a finding about the program of that number."""
        place = self.place_of(number)
        told = f"program {place} of {self.kernel} {text}"
        finding = Finding(kind=kind, kernel=self.kernel, program=place, text=told, line=self.line, **where)
        self.memory.findings.add(finding)


class Programs:
    """Programs by their indices in the grid (x runs fastest)."""

    def __init__(self, launch: Launch, indices: NDArray[np.int64]) -> None:
        self.launch = launch
        self.indices = indices
        self.numbers = indices + (launch.memory.first_number + 1)
        """Their numbers in memory, as its buffers note owners."""
        self._places: dict[int, Array] = {}

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def grid(self) -> Place:
        """The extents of the grid."""
        return self.launch.grid

    @property
    def memory(self) -> Memory:
        """The memory that they reach."""
        return self.launch.memory

    def place(self, axis: int) -> Array:
        """Return the programs' places along an axis of the grid, one for all if it is the same."""
        if axis not in self._places:
            below = int(np.prod(self.grid[:axis], dtype=np.int64))
            places = (self.indices // below % self.grid[axis]).astype(np.int32)
            self._places[axis] = places[:1] if (places == places[0]).all() else places
        return self._places[axis]

    def note_line(self, line: int) -> None:
        """Note which line of the text they are at."""
        self.launch.line = line

    def part(self, rows: Rows) -> "Programs":
        """Return some of the programs."""
        return Programs(self.launch, self.indices[rows])

    def synced(self) -> Array:
        """Return which of them have done an atomic operation that orders memory."""
        known = self.launch.synced
        return np.array([number in known for number in self.numbers.tolist()], dtype=np.bool_)

    def note_synced(self) -> None:
        """Note that all of them have done such an operation."""
        self.launch.synced.update(self.numbers.tolist())
        self.note_barrier()

    def note_barrier(self) -> None:
        """Note that the threads of each program meet."""
        self.launch.barriers[self.indices] = self.launch.tick()


def linear_indices(grid: Place, programs: Sequence[Place]) -> NDArray[np.int64]:
    """Return the indices of programs by their places; raises ValueError for one outside the grid."""
    places = np.array(programs, dtype=np.int64).reshape(-1, 3)
    if ((places < 0) | (places >= np.array(grid))).any():
        raise ValueError(f"a program lies outside the grid {grid}")
    return places[:, 0] + grid[0] * (places[:, 1] + grid[1] * places[:, 2])
