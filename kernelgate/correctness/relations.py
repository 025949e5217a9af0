"""The relations: which calls a case makes, and what must hold between their answers, bit for bit.

No tolerance is needed to compare a kernel with itself: what scales, moves or repeats the input exactly must
scale, move or repeat the answer exactly. A kernel that computes in fp16 rounds as TF32 does in mid-range, and
is seen by its range; one that answers from a store is seen by its age.

A new relation is one entry of `RELATIONS`. It is then planned, drawn, judged, reported and taken by
`--replay`. Its place decides the order of planned cases, and so their seeds, and the order of the report.
"""

import msgspec
import numpy as np

from kernelgate.correctness.case import CONTIGUOUS, NO_RELATION, Case
from kernelgate.correctness.relation import NOWHERE, Moved, Relation
from kernelgate.correctness.relation_calls import (
    ask_another_model,
    call_in_each_way,
    once_more,
    renew_contents,
    scale,
    slice_batch,
    unpinned,
    with_seeds_of_each_part,
    without_optional,
)
from kernelgate.operations.accuracy.laws import Broken
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.recipe import BATCH, FEATURES, Recipe
from kernelgate.operations.draws.tensors import feature_order, infinite_item, item_numbers, item_order


def _has_independent_items(operation: Operation) -> bool:
    return operation.relations.independent and operation.output[0] == "N"


def _same_place(_operation: Operation, _recipe: Recipe) -> None:
    """Return nothing: each element stands where it stood."""


def _same_item(_operation: Operation, recipe: Recipe) -> Moved:
    order = item_order(recipe).numpy() if recipe.shuffled == BATCH else np.arange(recipe.batch)
    return Moved(axis=0, places=order + recipe.first)


def _same_feature(operation: Operation, recipe: Recipe) -> Moved:
    features = operation.relations.features
    assert features is not None
    return Moved(axis=features.output, places=feature_order(operation, recipe).numpy())


def _other_items(_operation: Operation, recipe: Recipe) -> Moved:
    items = item_numbers(recipe).numpy()
    places = np.where(items == infinite_item(recipe), NOWHERE, np.arange(recipe.batch))
    return Moved(axis=0, places=places)


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
        name="infinite-item",
        says="one item infinite, the bits of the others as before",
        asked_of=_has_independent_items,
        later=once_more(infinite=True),
        source=_other_items,
        owns_values_from=1,
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
