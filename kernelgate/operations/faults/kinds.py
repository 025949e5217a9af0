"""What a fault looks like, by simple facts that were measured: a guess, and said as one."""

import msgspec
import numpy as np

from kernelgate.operations.faults.fault_map import Guess, Kind
from kernelgate.operations.faults.tally import Tally

LARGEST_TILE = 256
"""Pixels: no usual tile is larger, so a fault among the last so many may be of the last tile alone."""

MOST = 0.9
"""Of the wrong elements, that a fact must hold of before a guess rests on it; a few may be so by chance."""

SMALL_ERROR = 32.0
"""In units of the direct bound: operands of bf16 are off by 8 bounds at most, half-precision sums by more."""


SMALL_SHARE = 2.0**-8
"""Of the exact value: bf16 keeps 8 significant bits. A wrong tap or a lost element moves most sums more."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured beside the places; shares are of the wrong elements.

    `largest_error` is in direct bounds and `usual_error` a share of the exact value, None where no values are
    compared. `stale` is the share that holds what an earlier call answered. `changes` is the share that
    another call of the same contents answers otherwise, and `changes_in_order` the same where programs run in
    the same order.
    """

    exact: bool = False
    largest_error: float | None = None
    usual_error: float | None = None
    stale: float = 0.0
    changes: float = 0.0
    changes_in_order: float = 0.0


def guess_kind(tally: Tally, facts: Facts) -> Guess | None:
    """Return what the fault looks like, None if no fact speaks for a kind."""
    wrong = tally.wrong_in_all
    if wrong == 0:
        return None
    if tally.unwritten >= MOST * wrong:
        place = _guess_by_place(tally)
        also = f"; {place.because}" if place else ""
        return Guess(kind="unwritten", because=f"the wrong elements were never written{also}")
    if facts.stale >= MOST:
        return Guess(kind="stale", because="the wrong elements hold what an earlier call answered")
    return _guess_by_change(facts) or _guess_by_place(tally) or _guess_by_size(tally, facts)


def _guess_by_change(facts: Facts) -> Guess | None:
    if facts.changes_in_order > 0:
        because = "the same call on other contents of unwritten memory answers otherwise"
        return Guess(kind="uninitialised", because=because)
    if facts.changes > 0:
        because = "an equal call, its programs in another order, answers otherwise"
        return Guess(kind="race", because=because)
    return None


def _guess_by_place(tally: Tally) -> Guess | None:
    """Return what the places say. Whatever is the case of all places that were looked at says nothing."""
    return _guess_tail(tally) or _guess_halo(tally) or _guess_whole(tally)


def _guess_tail(tally: Tally) -> Guess | None:
    """Return whether it is the last tile: of the batch, or of each item; whole rows may be a halo's."""
    wrong, seen = tally.pixels_wrong > 0, tally.pixels_seen > 0
    last = np.arange(seen.size) >= seen.size - LARGEST_TILE
    if not seen[~last].any():
        return None
    end = tally.shape[0] * seen.size
    if tally.shape[0] > 1 and tally.first_pixel >= end - LARGEST_TILE:
        return Guess(kind="tail", because=f"all wrong elements are among the last {LARGEST_TILE} pixels")
    first = int(wrong.argmax())
    if first % tally.shape[3] and wrong[first:].all() and last[first]:
        because = f"the last {seen.size - first} pixels of an item are wrong, row by row"
        return Guess(kind="tail", because=because)
    return None


def _guess_halo(tally: Tally) -> Guess | None:
    wrong, seen, border = tally.pixels_wrong > 0, tally.pixels_seen > 0, _border(tally)
    if not border.any() or (wrong & ~border).any() or not (seen & ~border).any():
        return None
    return Guess(kind="halo", because="all wrong elements have taps in the padding")


def _guess_whole(tally: Tally) -> Guess | None:
    """Return whether whole channels, or whole items, are wrong and others are right."""
    kinds: tuple[tuple[Kind, int], ...] = (("channel", 1), ("item", 0))
    for kind, axis in kinds:
        faulty, looked_at = tally.wrong[axis] > 0, tally.seen[axis] > 0
        whole = tally.wrong[axis][faulty].sum() >= MOST * tally.seen[axis][faulty].sum()
        if whole and faulty.sum() < looked_at.sum():
            return Guess(kind=kind, because=f"whole {tally.names[axis]}s are wrong, others right")
    return None


def _border(tally: Tally) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Return which pixels have taps in the padding, row by row."""
    border = list(tally.operation.border)
    reach = np.zeros(tally.shape[2:], np.bool_)
    reach[border, :] = True
    reach[:, border] = True
    return reach.ravel()


def _guess_by_size(tally: Tally, facts: Facts) -> Guess | None:
    spread = (tally.pixels_wrong > 0).sum() >= (tally.pixels_seen > 0).sum() / 2
    if not spread or facts.exact:
        return None
    if facts.largest_error is not None and facts.largest_error <= SMALL_ERROR:
        size = f"none over {facts.largest_error:.1f} times its hard bound"
    elif facts.usual_error is not None and facts.usual_error <= SMALL_SHARE:
        size = f"half of them under {facts.usual_error:.2%} of the exact value"
    else:
        return None
    cause = "less precise sums or operands, or a constant, an epsilon or a count that is a little off"
    return Guess(kind="precision", because=f"errors everywhere, {size}: {cause}")
