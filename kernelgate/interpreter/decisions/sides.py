"""Which sides of its decisions a kernel's programs have taken, over lanes that no load has masked."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kernelgate.interpreter.decisions.find import Decision
from kernelgate.interpreter.elements import Array

Look = Callable[[Array, Sequence[Array], Array | bool], tuple[int, int]]
"""Tells of an outcome and its operands, where the mask is true, which bits were seen 1 and which 0."""


class Sides:
    """The bits of each decision's outcome that were seen 1 and seen 0, by its number."""

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self.decisions = decisions
        self.clear()

    def clear(self) -> None:
        """Forget what was seen."""
        self.ones = [0] * len(self.decisions)
        self.zeros = [0] * len(self.decisions)

    def recorder(self, number: int) -> Callable[[Array, Sequence[Array], Sequence[Array]], None]:
        """Return what notes an outcome of the decision of that number, given its operands and guards."""
        wanted, look = self.decisions[number].wanted, _LOOKS[self.decisions[number].kind]

        def record(found: Array, operands: Sequence[Array], guards: Sequence[Array]) -> None:
            if self.ones[number] & self.zeros[number] & wanted == wanted:
                return
            ones, zeros = look(found, operands, _together(guards))
            self.ones[number] |= ones & wanted
            self.zeros[number] |= zeros & wanted

        return record


def watch(
    compute: Callable[..., Any], record: Any, operands: int, *, needs_group: bool
) -> Callable[..., Any]:
    """Return the computation with its outcome recorded; behind its operands it is given the guards."""
    first = 1 if needs_group else 0

    def run(*values: Any) -> Any:
        found = compute(*values[: first + operands])
        record(found, values[first : first + operands], values[first + operands :])
        return found

    return run


def _together(guards: Sequence[Array]) -> Array | bool:
    real: Array | bool = True
    for each in guards:
        real = real & each
    return True if real is True or bool(np.all(real)) else real


def _both(yes: Array, no: Array, real: Array | bool) -> tuple[int, int]:
    return int(bool(np.any(yes & real))), int(bool(np.any(no & real)))


def _compares(found: Array, _: Sequence[Array], real: Array | bool) -> tuple[int, int]:
    return _both(found, ~found, real)


def _chooses(_: Array, operands: Sequence[Array], real: Array | bool) -> tuple[int, int]:
    first, second = operands
    return _both(first < second, first > second, real)


def _clamps(_: Array, operands: Sequence[Array], real: Array | bool) -> tuple[int, int]:
    value, low, high = operands
    below, above = _both(value < low, value >= low, real), _both(value > high, value <= high, real)
    return below[0] | above[0] << 1, below[1] | above[1] << 1


def _sign(_: Array, operands: Sequence[Array], real: Array | bool) -> tuple[int, int]:
    return _both(operands[0] < 0, operands[0] > 0, real)


def _rounds(found: Array, operands: Sequence[Array], real: Array | bool) -> tuple[int, int]:
    return _both(found != operands[0], found == operands[0], real)


def _converts(found: Array, operands: Sequence[Array], real: Array | bool) -> tuple[int, int]:
    fits = np.abs(operands[0]) < 2.0 ** (8 * found.dtype.itemsize - 1)
    return _both(fits, ~fits, real)


def _divides(_: Array, operands: Sequence[Array], real: Array | bool) -> tuple[int, int]:
    odd = (operands[1] == 0) | ~np.isfinite(operands[1])
    return _both(odd, ~odd, real)


def _saturates(found: Array, _: Sequence[Array], real: Array | bool) -> tuple[int, int]:
    odd = (found == 0) | (np.abs(found) == 1) | ~np.isfinite(found)
    return _both(odd, ~odd, real)


def _bits(found: Array, _: Sequence[Array], real: Array | bool) -> tuple[int, int]:
    if real is not True:
        found = np.broadcast_to(found, np.broadcast_shapes(found.shape, np.shape(real)))
        found = found[np.broadcast_to(real, found.shape)]
    if not found.size:
        return 0, 0
    ones, held = int(np.bitwise_or.reduce(found, axis=None)), int(np.bitwise_and.reduce(found, axis=None))
    return ones, ~held


_LOOKS: dict[str, Look] = {
    "compares": _compares,
    "chooses": _chooses,
    "clamps": _clamps,
    "sign": _sign,
    "rounds": _rounds,
    "converts": _converts,
    "divides": _divides,
    "saturates": _saturates,
    "bits": _bits,
}
