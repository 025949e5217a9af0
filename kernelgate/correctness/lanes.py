"""Lanes: case runners that work side by side, and which cases each of them takes.

On a GPU small cases leave most of its time and all of the judge's other cores idle. Only one lane at a time
may hold a large batch, which fills a card's memory, and one calls the file itself.
"""

import threading
from collections.abc import Sequence
from enum import StrEnum

from kernelgate.correctness.case import Case
from kernelgate.correctness.relations import RELATIONS
from kernelgate.operations.declaration.operation import Operation

SMALL_BATCH = 64
"""Up to so many pictures a call takes under a quarter of a gigabyte, guard bands included."""

MAX_LANES = 4
LANE_BYTES = 3 * 2**30
"""What a lane of small cases takes of a GPU's memory, most of it two CUDA contexts."""


class Kind(StrEnum):
    """What a case needs."""

    SMALL = "small"
    LARGE = "large"
    FILE = "file"


Lane = tuple[Kind, ...]
"""The kinds of case that a lane takes; the first of them before the others."""

WHOLE: Lane = tuple(Kind)
"""The only lane of its worker's memory takes whatever comes."""


def kind_of(case: Case, operation: Operation) -> Kind:
    """Return what a case of an operation needs."""
    if RELATIONS[case.relation].calls_file:
        return Kind.FILE
    return Kind.SMALL if case.batch <= SMALL_BATCH * operation.granule else Kind.LARGE


def lanes_of(free_bytes: int) -> tuple[Lane, ...]:
    """Return the lanes of a GPU that has so much memory left beside a worker of a large batch."""
    count = min(MAX_LANES, 1 + max(0, free_bytes) // LANE_BYTES)
    if count == 1:
        return (WHOLE,)
    return ((Kind.LARGE, Kind.SMALL), (Kind.FILE, Kind.SMALL), *[(Kind.SMALL,)] * (count - 2))


class WaitingCases:
    """Cases that wait for a lane, in their order."""

    def __init__(self, cases: Sequence[Case], operation: Operation) -> None:
        self._cases = [(case, kind_of(case, operation)) for case in cases]
        self._lock = threading.Lock()

    def take(self, lane: Lane) -> Case | None:
        """Return the next case that the lane takes, None if none is left for it."""
        with self._lock:
            places = self._preferred(lane)
            return self._cases.pop(places[0])[0] if places else None

    def _preferred(self, lane: Lane) -> list[int]:
        preferences = [lane] if lane == WHOLE else [lane[:1], lane]
        for kinds in preferences:
            if places := [place for place, (_, kind) in enumerate(self._cases) if kind in kinds]:
                return places
        return []
