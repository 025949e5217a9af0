"""What a relation is: which calls a case makes, and what must hold between their answers, bit for bit."""

from collections.abc import Callable, Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from kernelgate.correctness.calls import Call, Run
from kernelgate.correctness.relation_calls import FirstCall, LaterCalls, unchanged
from kernelgate.operations.accuracy.laws import Broken
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.operations.truth.truth import unravel

Bits = NDArray[np.uint32]
Offsets = NDArray[np.int64]

Source = Callable[[Operation, Recipe, Offsets], Offsets]
"""Tells where the first answer has what must stand at these offsets of the last answer, of that recipe."""


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
        wrong = np.flatnonzero(computed & (expected != _canonical(_answer(runs[-1])[0])))
        if wrong.size:
            element = _describe_element(operation, runs[-1], expected, int(wrong[0]))
            differ = f"{wrong.size} of {int(computed.sum())} elements differ from the first call's"
            yield Broken(law=self.name, detail=f"{element}; {differ}")

    def compare(self, operation: Operation, runs: Sequence[Run]) -> tuple[Offsets, NDArray[np.bool_]] | None:
        """Return where both answers were computed, and whether they differ there; None if nothing is asked.

        The offsets are those of the last answer.
        """
        if self.source is None or len(runs) < 2:
            return None
        expected, computed = _expect(self.source, operation, runs[0], runs[-1])
        bits, offsets = _answer(runs[-1])
        return offsets[computed], (expected != _canonical(bits))[computed]


def _programs(run: Run) -> list[tuple[str, str]]:
    return [(launch.kernel, launch.ttir) for launch in run.ran.launches]


def _answer(run: Run) -> tuple[Bits, Offsets]:
    assert run.bits is not None
    assert run.offsets is not None
    return run.bits, run.offsets


def _expect(source: Source, operation: Operation, first: Run, last: Run) -> tuple[Bits, NDArray[np.bool_]]:
    """Return the bits that the last answer must have, and where the first call computed them."""
    bits, offsets = _answer(first)
    recipe = last.call.recipe
    wanted = source(operation, recipe, _answer(last)[1])
    places = _find(wanted, offsets).clip(0, offsets.size - 1)
    return _scaled(bits[places], recipe.answer_exponent), offsets[places] == wanted


def _find(wanted: Offsets, offsets: Offsets) -> Offsets:
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
    return _canonical((bits.view(np.float32) * np.float32(2.0**exponent)).view(np.uint32))


def _canonical(bits: Bits) -> Bits:
    """Return the bits with one pattern for every NaN, and for both zeros."""
    values = bits.view(np.float32)
    canonical = np.where(np.isnan(values), np.uint32(0x7FC00000), bits)
    return np.where(values == 0, np.uint32(0), canonical)
