"""Where counted elements are wrong, in words: ranges along each axis."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kernelgate.operations.faults.fault_map import FaultMap
from kernelgate.operations.faults.tally import Tally

MOST_RUNS = 4
"""So many ranges along an axis are listed; of more, their number is told."""


def make_map(tally: Tally) -> FaultMap | None:
    """Return where the counted elements are wrong, None if none of them is."""
    if tally.plane is None:
        return None
    named = [each for each in zip(tally.names, tally.seen, tally.wrong, strict=True) if each[0]]
    return FaultMap(
        wrong=tally.wrong_in_all,
        compared=tally.seen_in_all,
        unwritten=tally.unwritten,
        where=", ".join(_describe_axis(*each) for each in named) + _run_of(tally),
        plane=", ".join(
            f"{name} {place}" for name, place in zip(tally.names, tally.plane, strict=False) if name
        ),
        rows=tally.drawn,
    )


def _describe_axis(name: str, seen: NDArray[np.int64], wrong: NDArray[np.int64]) -> str:
    places, looked_at = np.flatnonzero(wrong), np.flatnonzero(seen)
    if seen.size == 1:
        return f"{name} 0"
    if places.size == looked_at.size:
        return f"all {name}s" if looked_at.size == seen.size else f"all {looked_at.size} {name}s looked at"
    if places.size == 1:
        return f"{name} {places[0]}"
    ranges = list(_ranges(places))
    if len(ranges) > MOST_RUNS:
        return f"{places.size} of {looked_at.size} {name}s from {places[0]} to {places[-1]}"
    return f"{name}s {_join(ranges)}"


def _run_of(tally: Tally) -> str:
    """Return which pixels are wrong, row by row, where they are one short run of them: as a tile is."""
    places = np.flatnonzero(tally.pixels_wrong)
    length = int(places[-1] - places[0]) + 1
    is_run = 1 < places.size == length < tally.pixels_seen.size / 2 and length % tally.shape[3]
    return f" (pixels {places[0]} to {places[-1]}, row by row)" if is_run else ""


def _ranges(places: NDArray[np.int64]) -> Sequence[str]:
    ends = np.flatnonzero(np.diff(places) > 1)
    firsts, lasts = places[np.r_[0, ends + 1]], places[np.r_[ends, places.size - 1]]
    return [str(a) if a == b else f"{a} to {b}" for a, b in zip(firsts, lasts, strict=True)]


def _join(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
