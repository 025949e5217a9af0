"""What a relation is: which calls a case makes, and what must hold between their answers, bit for bit."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from kernelgate.correctness.calls import Call, Run
from kernelgate.correctness.relation_calls import FirstCall, LaterCalls, unchanged
from kernelgate.operations.accuracy.laws import Broken
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.operations.truth.places import Offsets, listed
from kernelgate.operations.truth.truth import unravel

Bits = NDArray[np.uint32]
Places = NDArray[np.int64]
"""Flat offsets of elements of an answer, in any order."""

NOWHERE = -1
"""What has no like in the first answer has this for its place there."""


class Moved(NamedTuple):
    """Places of an axis of the last answer: what stands there stands at these `places` of the first one."""

    axis: int
    places: Places


Source = Callable[[Operation, Recipe], Moved | None]
"""Tells where the first answer has what the last one, of that recipe, must have; None: in the same place."""


def _anything(_operation: Operation) -> bool:
    return True


class Relation(msgspec.Struct, frozen=True, kw_only=True):
    """What a case calls after its first call, or in its place, and what must then hold.

    `name` stands in `--replay` texts and is the law that breaks; `says` is what the report says of it.
    `first` and `later` make the calls. `source` is set if the last answer is compared with the first.
    """

    name: str
    says: str
    asked_of: Callable[[Operation], bool] = _anything
    """Whether it holds of an operation."""
    first: FirstCall = unchanged
    later: LaterCalls | None = None
    source: Source | None = None

    owns_values_from: int | None = None
    """Wrong values in this call (the first is 0) or a later one break the relation, not a law of values."""
    changes_batch: bool = False
    """The last call has another batch: other programs may rightly compute it, with other bits."""
    many_calls: bool = False
    """So many calls are made, by the case or the autotuner, that each runs few sampled programs."""
    calls_file: bool = False
    """Its calls are of the file itself, on a GPU; without one `compilation/forms.py` asks for the like."""
    needs_whole: bool = False
    """Its calls share no sampled program: where programs are interpreted, all of a small batch are."""
    also_strided: bool = False
    """A planned case tries it with another layout of x too."""
    fresh_worker: bool = False
    """A file that counts its calls must count these from the first."""
    error_allowed: str = ""
    """How the model is used, if a clear error is a right answer to it: then the case is untried."""

    def owns_values_of(self, number: int) -> bool:
        """Whether wrong values in the call of this number, from 0, break the relation."""
        return self.owns_values_from is not None and number >= self.owns_values_from

    def calls(self, operation: Operation, plain: Call) -> list[Call]:
        """Return the calls of a case, made from its `plain` call."""
        first = self.first(operation, plain)
        return [first, *self.later(operation, first)] if self.later else [first]

    def check(self, operation: Operation, runs: Sequence[Run]) -> Iterator[Broken]:
        """Yield what does not hold between the first and the last answer, wherever both were computed."""
        if self.source is None or (self.changes_batch and _programs(runs[0]) != _programs(runs[-1])):
            return
        expected, computed = _expect(self.source, operation, runs[0], runs[-1])
        got, _ = _bits_and_offsets(runs[-1])
        differs = computed & (expected != got)
        if not differs.any():
            return
        wrong = np.flatnonzero(differs & (_canonical(expected) != _canonical(got)))
        if wrong.size:
            element = _describe_element(operation, runs[-1], expected, int(wrong[0]))
            differ = f"{wrong.size} of {int(computed.sum())} elements differ from the first call's"
            yield Broken(law=self.name, detail=f"{element}; {differ}")

    def compare(self, operation: Operation, runs: Sequence[Run]) -> tuple[Places, NDArray[np.bool_]] | None:
        """Return where both answers were computed, and whether they differ there; None if nothing is asked.

        The offsets are those of the last answer.
        """
        if self.source is None or len(runs) < 2:
            return None
        expected, computed = _expect(self.source, operation, runs[0], runs[-1])
        bits, offsets = _answer(runs[-1])
        return offsets[computed], (_canonical(expected) != _canonical(bits))[computed]


def _programs(run: Run) -> list[tuple[str, str]]:
    return [(launch.kernel, launch.ttir) for launch in run.ran.launches]


def _answer(run: Run) -> tuple[Bits, Places]:
    bits, offsets = _bits_and_offsets(run)
    return bits, listed(offsets)


def _bits_and_offsets(run: Run) -> tuple[Bits, Offsets]:
    assert run.bits is not None
    assert run.offsets is not None
    return run.bits, run.offsets


def _expect(source: Source, operation: Operation, first: Run, last: Run) -> tuple[Bits, NDArray[np.bool_]]:
    """Return the bits that the last answer must have, and where the first call computed them."""
    moved = source(operation, last.call.recipe)
    are_whole = isinstance(first.offsets, range) and isinstance(last.offsets, range)
    bits, computed = (
        _take_whole(operation, moved, first) if are_whole else _take(operation, moved, first, last)
    )
    return _scaled(bits, last.call.recipe.answer_exponent), computed


def _take_whole(operation: Operation, moved: Moved | None, first: Run) -> tuple[Bits, NDArray[np.bool_]]:
    """Return what the first answer has for each element of the last, both whole, and whether it has it."""
    bits, _ = _bits_and_offsets(first)
    if moved is None:
        return bits, np.ones(bits.size, np.bool_)
    whole = bits.reshape(operation.output_shape(first.call.recipe.batch))
    extent = whole.shape[moved.axis]
    taken = whole.take(moved.places.clip(0, extent - 1), moved.axis)
    is_there = (moved.places >= 0) & (moved.places < extent)
    shape = [1] * whole.ndim
    shape[moved.axis] = -1
    return taken.ravel(), np.broadcast_to(is_there.reshape(shape), taken.shape).ravel()


def _take(operation: Operation, moved: Moved | None, first: Run, last: Run) -> tuple[Bits, NDArray[np.bool_]]:
    """Return the same where programs were sampled: one element after the other is looked for."""
    bits, offsets = _answer(first)
    wanted = _answer(last)[1]
    if moved is not None:
        wanted = _find_source(operation, moved, wanted, first.call.recipe.batch, last.call.recipe.batch)
    places = _find(wanted, offsets).clip(0, offsets.size - 1)
    return bits[places], offsets[places] == wanted


def _find_source(operation: Operation, moved: Moved, offsets: Places, first: int, last: int) -> Places:
    """Return where an answer of batch `first` has what must stand at these offsets of one of batch `last`."""
    of_first, of_last = operation.output_shape(first), operation.output_shape(last)
    within = math.prod(of_last[moved.axis + 1 :])
    rest, inner = np.divmod(offsets, within)
    outer, place = np.divmod(rest, of_last[moved.axis])
    source = moved.places[place]
    found: Places = (outer * of_first[moved.axis] + source) * within + inner
    return np.where((source >= 0) & (source < of_first[moved.axis]), found, NOWHERE)


def _find(wanted: Places, offsets: Places) -> Places:
    """Return where wanted offsets stand among some in order; without gaps there is nothing to search for."""
    if offsets.size and offsets[-1] - offsets[0] == offsets.size - 1:
        return wanted - int(offsets[0])
    return np.searchsorted(offsets, wanted)


def _describe_element(operation: Operation, run: Run, expected: Bits, place: int) -> str:
    bits, offsets = _answer(run)
    index = ",".join(
        str(int(axis)) for axis in unravel(operation, offsets[place : place + 1], run.call.recipe.batch)
    )
    got, allowed = (each.view(np.float32)[place] for each in (bits, expected))
    return f"out[{index}]: got {got:.9g}, allowed {allowed:.9g} alone"


def _scaled(bits: Bits, exponent: int) -> Bits:
    if exponent == 0:
        return bits
    return (bits.view(np.float32) * np.float32(2.0**exponent)).view(np.uint32)


def _canonical(bits: Bits) -> Bits:
    """Return the bits with one pattern for every NaN, and for both zeros."""
    values = bits.view(np.float32)
    canonical = np.where(np.isnan(values), np.uint32(0x7FC00000), bits)
    return np.where(values == 0, np.uint32(0), canonical)
