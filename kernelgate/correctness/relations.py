"""The relations: which calls a case makes, and what must hold between their answers, bit for bit.

No tolerance is needed to compare a kernel with itself: what scales, moves or repeats the input exactly must
scale, move or repeat the answer exactly. A kernel that computes in fp16 rounds as TF32 does in mid-range, and
is seen by its range; one that answers from a store is seen by its age.

A new relation is one entry of `RELATIONS`. It is then planned, drawn, judged, reported and taken by
`--replay`. Its place decides the order of planned cases, and so their seeds, and the order of the report.
"""

import math
from collections.abc import Callable, Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from kernelgate.correctness.calls import Call, Run
from kernelgate.correctness.case import CONTIGUOUS, NO_RELATION, Case
from kernelgate.correctness.relation_calls import (
    FirstCall,
    LaterCalls,
    ask_another_model,
    call_in_each_way,
    once_more,
    renew_contents,
    scale,
    slice_batch,
    unchanged,
    unpinned,
    with_seeds_of_each_part,
    without_optional,
)
from kernelgate.operations.accuracy.laws import Broken
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.recipe import BATCH, FEATURES, Recipe
from kernelgate.operations.draws.tensors import feature_order, item_order
from kernelgate.operations.truth.truth import unravel

Bits = NDArray[np.uint32]
Offsets = NDArray[np.int64]

Source = Callable[[Operation, Recipe, Offsets], Offsets]
"""Tells where the first answer has what must stand at these offsets of the last answer, of that recipe."""


def _anything(_operation: Operation) -> bool:
    return True


def _has_independent_items(operation: Operation) -> bool:
    return operation.relations.independent and operation.output[0] == "N"


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
    places = np.searchsorted(offsets, wanted).clip(0, offsets.size - 1)
    return _scaled(bits[places], recipe.answer_exponent), offsets[places] == wanted


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


def _same_place(_operation: Operation, _recipe: Recipe, offsets: Offsets) -> Offsets:
    return offsets


def _same_item(operation: Operation, recipe: Recipe, offsets: Offsets) -> Offsets:
    an_item = math.prod(operation.output_shape(1))
    order = item_order(recipe).numpy() if recipe.shuffled == BATCH else np.arange(recipe.batch)
    wanted: Offsets = (order[offsets // an_item] + recipe.first) * an_item + offsets % an_item
    return wanted


def _same_feature(operation: Operation, recipe: Recipe, offsets: Offsets) -> Offsets:
    features = operation.relations.features
    assert features is not None
    shape = operation.output_shape(recipe.batch)
    within = math.prod(shape[features.output + 1 :])
    rest, inner = np.divmod(offsets, within)
    outer, feature = np.divmod(rest, shape[features.output])
    order = feature_order(operation, recipe).numpy()
    wanted: Offsets = (outer * shape[features.output] + order[feature]) * within + inner
    return wanted


PLAIN = Relation(name=NO_RELATION, says="right in one call")
"""The plain case: its one answer is held against the laws of values, and against nothing else."""

_ALL = (
    PLAIN,
    Relation(
        name="repeat",
        says="the same call, the same bits",
        later=once_more(),
        source=_same_place,
    ),
    Relation(
        name="scaled-input",
        says="inputs times 2^k, and what is added to them: the answer times 2^k",
        asked_of=lambda operation: bool(operation.relations.scaled_input),
        later=scale(lambda operation: operation.relations.scaled_input),
        source=_same_place,
    ),
    Relation(
        name="scaled-weight",
        says="weights times 2^k, and what is added to them: the answer times 2^k",
        asked_of=lambda operation: bool(operation.relations.scaled_weight),
        later=scale(lambda operation: operation.relations.scaled_weight),
        source=_same_place,
    ),
    Relation(
        name="shuffled-batch",
        says="items of the batch permuted, answers permuted",
        asked_of=_has_independent_items,
        later=once_more(shuffled=BATCH),
        source=_same_item,
        needs_whole=True,
    ),
    Relation(
        name="sliced-batch",
        says="a slice of the batch, the slice of the answer",
        asked_of=_has_independent_items,
        later=slice_batch,
        source=_same_item,
        changes_batch=True,
    ),
    Relation(
        name="shuffled-features",
        says="output channels or columns permuted, answers permuted",
        asked_of=lambda operation: operation.relations.features is not None,
        later=once_more(shuffled=FEATURES),
        source=_same_feature,
    ),
    Relation(
        name="new-contents",
        says="new contents in the same storage, a new answer",
        first=with_seeds_of_each_part,
        later=renew_contents,
        owns_values_from=1,
        many_calls=True,
        also_strided=True,
        fresh_worker=True,
        calls_file=True,
    ),
    Relation(
        name="two-models",
        says="two models at once do not mix",
        later=ask_another_model,
        source=_same_place,
        owns_values_from=1,
        calls_file=True,
    ),
    Relation(
        name="ways",
        says="called in any way of users, the bits of its launches",
        later=call_in_each_way,
        owns_values_from=0,
        calls_file=True,
        fresh_worker=True,
    ),
    # The layer that a file is made for has every parameter: to say clearly that it is needed is right.
    Relation(
        name="no-bias",
        says="right without a bias, or a clear error",
        asked_of=lambda operation: any(each.optional for each in operation.parameters),
        first=without_optional,
        owns_values_from=0,
        error_allowed="without a bias",
    ),
    Relation(
        name="autotuned",
        says="right as the autotuner leaves it",
        first=unpinned,
        owns_values_from=0,
        many_calls=True,
    ),
)

RELATIONS = {relation.name: relation for relation in _ALL}
"""All relations by name. The simplest first: shrinking ends in the earliest one that still fails."""


def relations_of(operation: Operation) -> tuple[str, ...]:
    """Return the names of the relations that hold of an operation."""
    return tuple(name for name, relation in RELATIONS.items() if relation.asked_of(operation))


LAWS_OF_VALUES = ("hard-bound", "error-ratio", "exact", "special-values", "second-opinion", "all-written")
"""Broken in a case that is there for another law, they are a fault of what is unusual about it."""


def attribute(broken: Broken, case: Case, number: int, max_batch: int) -> Broken:
    """Return the finding under the law that the case is there to try, if the plain one holds without it."""
    if broken.law not in LAWS_OF_VALUES:
        return broken
    law, detail = broken.law, f"{broken.law}: {broken.detail}"
    if RELATIONS[case.relation].owns_values_of(number):
        law, detail = case.relation, f"call {number + 1}: {detail}"
    elif case.layout != CONTIGUOUS:
        law, detail = "layout", f"x {case.layout}: {detail}"
    elif case.batch == max_batch > 1:
        law = "domain"
    else:
        return broken
    return msgspec.structs.replace(broken, law=law, detail=detail)
