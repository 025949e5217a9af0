"""What follows from the declaration of an operation, whatever it computes."""

import math

import msgspec
import pytest

from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.declaration.argument import Argument
from kernelgate.operations.declaration.operation import MAX_ELEMENTS, PICTURE, Operation
from tests.selftest.support.made_up_operations import (
    ALL,
    ANY_PRODUCT,
    DIFFERENCE,
    PRODUCT,
    SCALED_COLUMNS,
    SOFTMAX,
)


def test_arguments_are_inputs_and_then_parameters() -> None:
    """In the order of `forward`, and of the model."""
    assert [each.name for each in PRODUCT.arguments] == ["x", "weight", "bias"]
    assert [each.name for each in DIFFERENCE.arguments] == ["one", "other"]
    assert PRODUCT.stored_parameters == {"layer.weight": (24, 10), "bias": (10,)}


def test_the_shape_of_an_argument_is_found_by_its_name() -> None:
    """A name that is none has no shape."""
    assert PRODUCT.shape_of("x", 7) == (7, 24)
    assert PRODUCT.shape_of("weight", 7) == (24, 10)
    assert SOFTMAX.shape_of("x", 7) == SOFTMAX.output_shape(7) == (6, 7)
    with pytest.raises(StopIteration):
        PRODUCT.shape_of("gamma", 1)


@pytest.mark.parametrize("operation", [*ALL, ALEXNET_CONV1], ids=lambda each: each.name)
def test_the_domain_ends_where_a_tensor_outgrows_int32(operation: Operation) -> None:
    """The largest of all that have N, inputs as well as the output."""

    def largest(batch: int) -> int:
        shapes = [operation.output_shape(batch), *(each.shape_at(batch) for each in operation.inputs)]
        return max(map(math.prod, shapes))

    assert largest(operation.max_batch) <= MAX_ELEMENTS < largest(operation.max_batch + 1)


def test_the_domain_may_end_before_int32_does() -> None:
    """Where the operation says so."""
    assert msgspec.structs.replace(PRODUCT, last_batch=4096).max_batch == 4096


def test_a_granule_has_as_many_outputs_as_a_picture() -> None:
    """Limits of a batch count these: of the convolution a granule is one image."""
    assert ALEXNET_CONV1.granule == 1
    assert PRODUCT.granule == PICTURE // 10
    assert SOFTMAX.granule == PICTURE // 6


@pytest.mark.parametrize(
    ("operation", "has"),
    [(PRODUCT, True), (DIFFERENCE, True), (SOFTMAX, False), (SCALED_COLUMNS, False), (ALEXNET_CONV1, True)],
    ids=lambda each: getattr(each, "name", None),
)
def test_items_lie_one_after_the_other_where_n_comes_first(operation: Operation, has: bool) -> None:
    """In the output, and in every input that has it."""
    assert operation.has_items is has
    assert not msgspec.structs.replace(operation, output=(3, "N")).has_items
    aside = Argument("aside", (3, "N"))
    assert not msgspec.structs.replace(operation, inputs=(*operation.inputs, aside)).has_items
    fixed = Argument("aside", (3,))
    assert msgspec.structs.replace(operation, inputs=(*operation.inputs, fixed)).has_items is has


def test_only_sums_of_products_have_a_fan_in_and_can_be_exact() -> None:
    """What else there is rounds in every function; and a fast algorithm drops what it declares."""
    assert (PRODUCT.fan_in, ANY_PRODUCT.fan_in) == (24, 1)
    assert PRODUCT.keeps("exact")
    assert not ANY_PRODUCT.keeps("exact")
    by_any = msgspec.structs.replace(ALEXNET_CONV1, algorithm="any")
    laws = ("exact", "hard-bound", "special-values", "error-ratio")
    assert [by_any.keeps(law) for law in laws] == [False, False, False, True]
    assert all(ALEXNET_CONV1.keeps(law) for law in laws)


def test_work_and_traffic_are_counted_from_the_shapes() -> None:
    """Each tensor once, the output too, four bytes an element."""
    assert PRODUCT.flops(7) == 7 * 10
    assert PRODUCT.min_bytes(7) == 4 * (7 * 24 + 24 * 10 + 10 + 7 * 10)
    assert SOFTMAX.min_bytes(7) == 4 * 2 * 6 * 7
