"""The measured bound: honest answers keep it, and what no rounding explains is beyond it."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from kernelgate.operations.accuracy import laws
from kernelgate.operations.accuracy.answer import Answer
from kernelgate.operations.accuracy.bounds import SMALLEST_NORMAL, hard_bound
from kernelgate.operations.accuracy.errors import look_at
from kernelgate.operations.declaration.error_model import FLOAT32_UNIT, TF32_UNIT, Measured
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.operations.draws.tensors import make_tensors
from kernelgate.operations.draws.values import FAMILIES
from kernelgate.operations.truth.reference import Tensors, Truth, round_to_tf32
from kernelgate.operations.truth.truth import truth_everywhere
from tests.selftest.support.made_up_operations import ANY_PRODUCT, DIFFERENCE, SOFTMAX
from tests.selftest.support.project_settings import LAWS

BATCH = 256
BEYOND_FLOAT32 = ("huge", "special", "special-weight", "wide-range")
"""Of a softmax: its exponentials overflow, or its rows hold what is no number."""

Answers = Callable[[Tensors], Tensor]


def broken_by(operation: Operation, family: str, answers: Answers) -> list[str]:
    """Return the laws of values that an answer breaks, on values of a family."""
    made = make_tensors(operation, Recipe(family=family, seed=3, batch=BATCH))
    truth = truth_everywhere(operation, made)
    values = answers(made).flatten()
    answer = Answer(
        operation=operation,
        values=values,
        truth=truth.flattened(),
        offsets=np.arange(values.numel()),
        batch=BATCH,
        poison_bits=-1,
    )
    broken = [*laws.check_bound(answer)]
    broken += laws.check_error_ratio(look_at(answer, LAWS).errors, LAWS)
    return [each.law for each in broken]


def truncate(values: Tensor) -> Tensor:
    """Return what a tensor core reads of a float32 operand."""
    return (values.view(torch.int32) & ~0x1FFF).view(torch.float32)


def multiply(seen_as: Callable[[Tensor], Tensor]) -> Answers:
    """Return a matrix product that sees its operands so, and sums in float32."""
    return lambda made: seen_as(made["x"]) @ seen_as(made["weight"]) + made["bias"]


def softmax(made: Tensors) -> Tensor:
    """Return a softmax as a kernel computes it, in float32."""
    powers = torch.exp(made["x"] - made["x"].amax(1, keepdim=True))
    return powers / powers.sum(1, keepdim=True)


@pytest.mark.parametrize("family", [each for each in FAMILIES if not each.startswith("special")])
@pytest.mark.parametrize("seen_as", [truncate, round_to_tf32], ids=["truncated", "rounded"])
def test_an_honest_product_keeps_a_measured_bound(family: str, seen_as: Callable[[Tensor], Tensor]) -> None:
    """In every family, whichever way the hardware rounds."""
    assert "hard-bound" not in broken_by(ANY_PRODUCT, family, multiply(seen_as))


@pytest.mark.parametrize("family", [each for each in FAMILIES if each not in BEYOND_FLOAT32])
def test_an_honest_softmax_keeps_a_measured_bound(family: str) -> None:
    """Along an axis that is not the first."""
    assert broken_by(SOFTMAX, family, softmax) == []


def test_an_honest_difference_keeps_a_measured_bound() -> None:
    """Two inputs, each rounded by itself."""
    seen = [round_to_tf32, truncate]
    for one in seen:
        answers: Answers = lambda made, one=one: (one(made["one"]) - one(made["other"])).sum(1)  # type: ignore[misc] # noqa: E731
        assert "hard-bound" not in broken_by(DIFFERENCE, "normal", answers)


@pytest.mark.parametrize(
    ("operation", "answers"),
    [
        (ANY_PRODUCT, lambda made: multiply(truncate)(made) - made["bias"]),
        (ANY_PRODUCT, lambda made: multiply(truncate)({**made, "x": made["x"].roll(1, 0)})),
        (SOFTMAX, lambda made: torch.softmax(made["x"], dim=0)),
        (SOFTMAX, lambda made: softmax(made).nan_to_num() * (1 + 2.0**-10)),
        (SOFTMAX, lambda made: softmax({"x": made["x"].half().float()})),
        (DIFFERENCE, lambda made: (made["one"] + made["other"]).sum(1)),
    ],
    ids=["no bias", "another row", "another axis", "half precision", "rounded operands", "a sum"],
)
def test_what_is_wrong_is_beyond_a_measured_bound(operation: Operation, answers: Answers) -> None:
    """No operand that is off by a unit explains it."""
    assert "hard-bound" in broken_by(operation, "normal", answers)


def test_one_wrong_element_is_named_by_its_place_along_both_axes() -> None:
    """Where N is the last axis, the batch decides what a flat offset means."""
    made = make_tensors(SOFTMAX, Recipe(family="normal", seed=3, batch=BATCH))
    truth = truth_everywhere(SOFTMAX, made)
    values = softmax(made)
    values[4, 200] += 1
    answer = Answer(
        operation=SOFTMAX,
        values=values.flatten(),
        truth=truth.flattened(),
        offsets=np.arange(values.numel()),
        batch=BATCH,
        poison_bits=-1,
    )
    (broken,) = laws.check_bound(answer)
    assert broken.detail.startswith("out[4,200]: got ")
    assert "1 of 1536 elements" in broken.detail


@pytest.mark.parametrize(("operation", "unit"), [(ANY_PRODUCT, TF32_UNIT), (SOFTMAX, FLOAT32_UNIT)])
def test_a_measured_bound_is_so_many_units_of_the_math(operation: Operation, unit: float) -> None:
    """By hand; an answer of zero may still be what a GPU flushes."""
    model = operation.error_model
    assert isinstance(model, Measured)
    three, zero = torch.full((1,), 3.0, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    assert float(hard_bound(operation, Truth(zero, three, zero))) == pytest.approx(model.factor * unit * 3)
    assert float(hard_bound(operation, Truth(zero, zero, zero))) == model.factor * SMALLEST_NORMAL


def test_no_answer_of_a_measured_operation_must_be_exact() -> None:
    """Only sums of products are, and a transcendental of small integers is not."""
    assert not SOFTMAX.keeps("exact")
    assert SOFTMAX.keeps("hard-bound")
