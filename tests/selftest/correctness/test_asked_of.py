"""Which relations and layouts are asked of an operation, by what it declares."""

import itertools

import msgspec
import numpy as np
import pytest

from kernelgate.correctness.calls import Call, Run
from kernelgate.correctness.case import LAYOUTS, layouts_for
from kernelgate.correctness.relations import RELATIONS, relations_of
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.operations.draws.tensors import make_tensors
from kernelgate.operations.truth.truth import truth_everywhere
from kernelgate.protocol import Ran
from tests.selftest.support.made_up_operations import ALL, DIFFERENCE, PRODUCT, SCALED_COLUMNS, SOFTMAX

OF_ITEMS = ("shuffled-batch", "sliced-batch", "infinite-item")
ALWAYS = ("none", "repeat", "new-contents", "two-models", "ways", "autotuned")
"""What holds of every operation."""


@pytest.mark.parametrize(
    ("operation", "also"),
    [
        (PRODUCT, {"scaled-input", *OF_ITEMS, "shuffled-features", "no-bias"}),
        (DIFFERENCE, set(OF_ITEMS)),
        (SOFTMAX, set()),
        (SCALED_COLUMNS, {"shuffled-features"}),
        (ALEXNET_CONV1, set(RELATIONS) - set(ALWAYS)),
    ],
    ids=lambda each: getattr(each, "name", None),
)
def test_only_relations_that_hold_are_asked(operation: Operation, also: set[str]) -> None:
    """In their order; of a softmax no item can be left out, and items within a row are not sliced."""
    asked = relations_of(operation)
    assert set(asked) == {*ALWAYS, *also}
    assert list(asked) == [name for name in RELATIONS if name in asked]


def test_a_relation_of_the_batch_is_dropped_where_items_depend_on_each_other() -> None:
    """Rows that are normalised together."""
    together = msgspec.structs.replace(PRODUCT.relations, independent=False)
    asked = relations_of(msgspec.structs.replace(PRODUCT, relations=together))
    assert not {"shuffled-batch", "sliced-batch"} & set(asked)


@pytest.mark.parametrize(
    ("operation", "unfit"),
    [
        (ALEXNET_CONV1, set()),
        (PRODUCT, {"channels-last", "grey"}),
        (DIFFERENCE, {"channels-last", "grey"}),
        (SOFTMAX, {"channels-last", "grey", "expanded"}),
    ],
    ids=lambda each: getattr(each, "name", None),
)
def test_layouts_are_those_that_an_input_can_have(operation: Operation, unfit: set[str]) -> None:
    """Only pictures have channels to come last, or to be alike; the plain layout comes first."""
    fitting = layouts_for(operation)
    assert fitting[0] == LAYOUTS[0] == "contiguous"
    assert list(fitting) == [each for each in LAYOUTS if each not in unfit]


def answered(operation: Operation, call: Call, *, spoil: bool = False) -> Run:
    """Return a right answer to the call, or one with one element off."""
    exact = truth_everywhere(operation, make_tensors(operation, call.recipe)).exact.float()
    bits = exact.numpy().ravel().view(np.uint32).copy()
    bits[-1] ^= int(spoil)
    places = np.arange(bits.size)
    return Run(call=call, ran=Ran(returned="Tensor"), bits=bits, offsets=places, poison_bits=0)


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize(
    ("operation", "relation"),
    [
        (operation, relation)
        for operation in (PRODUCT, DIFFERENCE, SOFTMAX, SCALED_COLUMNS)
        for relation in relations_of(operation)
        if RELATIONS[relation].source is not None
    ],
    ids=lambda each: getattr(each, "name", each),
)
def test_what_is_asked_holds_of_a_right_answer_and_is_broken_by_one_bit(
    operation: Operation, relation: str, batch: int
) -> None:
    """Wherever N stands among the axes of the answer; integers are summed exactly."""
    plain = Call(recipe=Recipe(family="integer", seed=3, batch=batch), pin=0)
    calls = RELATIONS[relation].calls(operation, plain)
    runs = [answered(operation, call) for call in calls]
    assert list(RELATIONS[relation].check(operation, runs)) == []
    last = answered(operation, calls[-1], spoil=True)
    broken = list(RELATIONS[relation].check(operation, [*runs[:-1], last]))
    nothing_left = relation == "infinite-item" and batch == 1
    assert [each.law for each in broken] == [relation] * (not nothing_left)


@pytest.mark.parametrize("operation", ALL, ids=lambda each: each.name)
def test_new_contents_renew_every_tensor_of_the_operation(operation: Operation) -> None:
    """Each at some call, whatever it is called."""
    plain = Call(recipe=Recipe(family="normal", seed=3, batch=5), pin=0)
    calls = RELATIONS["new-contents"].calls(operation, plain)
    drawn = [make_tensors(operation, call.recipe) for call in calls]
    for each in operation.arguments:
        changes = [
            not bool((before[each.name] == after[each.name]).all())
            for before, after in itertools.pairwise(drawn)
        ]
        assert any(changes)
        assert len(operation.arguments) == 1 or each.is_free or not all(changes)
