"""The bound that is measured: honest float32 is far within it, lower precision or a lost digit is not."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from kernelgate.correctness.case import Case, recipe_of
from kernelgate.correctness.planning.planned_cases import families_of
from kernelgate.operations import find_operation
from kernelgate.operations.accuracy.bounds import hard_bound
from kernelgate.operations.declaration.error_model import Measured, Multilinear
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.operations.draws.tensors import make_tensors
from kernelgate.operations.draws.values import MEASURED_FAMILIES
from kernelgate.operations.truth.function import FunctionReference
from kernelgate.operations.truth.reference import Tensors, cut_to_tf32
from kernelgate.operations.truth.truth import truth_everywhere

SOFTMAX, LAYERNORM = find_operation("softmax"), find_operation("layernorm")
CASES = [(each, family) for each in (SOFTMAX, LAYERNORM) for family in families_of(each)]
ROOM = 4
"""A GPU's exponentials, roots and quotients are off by two units more than those of the CPU."""


def worst(operation: Operation, tensors: Tensors, answer: Tensor) -> float:
    """Return the largest error where the truth is finite, in bounds."""
    truth = truth_everywhere(operation, tensors)
    finite = truth.exact.isfinite()
    error = (answer.double() - truth.exact).abs().nan_to_num(torch.inf)[finite]
    bound = hard_bound(operation, truth)[finite]
    return float(torch.where(error == 0, 0, error / bound).max()) if error.numel() else 0.0


def drawn(operation: Operation, family: str, batch: int = 40) -> dict[str, Tensor]:
    return make_tensors(operation, Recipe(family=family, seed=5, batch=batch))


def computed(operation: Operation, tensors: Tensors) -> Tensor:
    assert isinstance(operation.reference, FunctionReference)
    return operation.reference.compute(**tensors)


def torch_product(a: Tensor, b: Tensor) -> Tensor:
    return a @ b


def rms(errors: Tensor) -> float:
    return float(errors.square().mean().sqrt())


def by_mean_of_squares(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    mean = x.mean(1, keepdim=True)
    variance = (x * x).mean(1, keepdim=True) - mean * mean
    return (x - mean) * torch.rsqrt(variance + 1e-5) * weight + bias


def subtracted_first(x: Tensor) -> Tensor:
    powers = torch.exp(x - x.amax(1, keepdim=True))
    return powers / powers.sum(1, keepdim=True)


def scaled_first(x: Tensor) -> Tensor:
    """Return softmax by powers of two: honest, and less exact the further values are from zero."""
    scaled = x * math.log2(math.e)
    powers = torch.exp2(scaled - scaled.amax(1, keepdim=True))
    return powers / powers.sum(1, keepdim=True)


@pytest.mark.parametrize("shift", [16.0, 256.0, 4096.0])
def test_a_shift_asks_nothing_that_is_new_of_softmax(shift: float) -> None:
    """Each answer is within its own bound, and so both of them are within the two together.

    To allow less, the bound of the values before the shift, would refuse an honest kernel.
    """
    generator = torch.Generator().manual_seed(3)
    x = (torch.randn((64, 200), generator=generator) * 256).round() / 256
    shifted = x + shift
    assert torch.equal(shifted.double(), x.double() + shift)
    before, after = (hard_bound(SOFTMAX, truth_everywhere(SOFTMAX, {"x": each})) for each in (x, shifted))
    assert torch.equal(subtracted_first(x), subtracted_first(shifted))
    apart = (scaled_first(x) - scaled_first(shifted)).double().abs()
    assert bool((apart <= before + after).all())
    assert bool((apart > before).any()) is (shift >= 256)


@pytest.mark.parametrize(("operation", "family"), CASES, ids=lambda each: getattr(each, "name", each))
def test_honest_float32_is_far_within_the_bound(operation: Operation, family: str) -> None:
    """Of every family, in every element."""
    tensors = drawn(operation, family)
    assert worst(operation, tensors, computed(operation, tensors)) < 1 / ROOM


@pytest.mark.parametrize("operation", [SOFTMAX, LAYERNORM], ids=lambda each: each.name)
def test_operands_in_half_precision_are_beyond_it(operation: Operation) -> None:
    """By far: float32 was declared."""
    tensors = drawn(operation, "normal")
    halved = computed(operation, {name: values.half().float() for name, values in tensors.items()})
    assert worst(operation, tensors, halved) > ROOM


def test_a_variance_that_cancels_is_seen_far_from_zero_alone() -> None:
    """There are families for it: ordinary values lose nothing that way."""
    for family, seen in (("normal", False), *((far, True) for far in MEASURED_FAMILIES)):
        tensors = drawn(LAYERNORM, family)
        assert (worst(LAYERNORM, tensors, by_mean_of_squares(**tensors)) > 1) is seen


def test_these_families_are_for_bounds_that_are_measured() -> None:
    """Sums of products are tried on what they were tried on before."""
    for name in ("alexnet_conv1", "conv3x3", "matmul"):
        assert isinstance(find_operation(name).error_model, Multilinear)
        assert not set(MEASURED_FAMILIES) & set(families_of(find_operation(name)))
    assert set(MEASURED_FAMILIES) <= set(families_of(SOFTMAX))


def test_a_row_has_the_same_bound_wherever_it_stands() -> None:
    """A case that is replayed or sampled allows what the whole batch did."""
    tensors = drawn(LAYERNORM, "normal")
    whole = truth_everywhere(LAYERNORM, tensors).magnitude
    some = truth_everywhere(LAYERNORM, tensors | {"x": tensors["x"][17:19]}).magnitude
    assert torch.allclose(some, whole[17:19], rtol=1e-12)


def test_no_element_seems_to_hold_by_chance() -> None:
    """Weight and bias move each element for certain: what they show is never less than their own sizes."""
    tensors = drawn(LAYERNORM, "normal", batch=64)
    truth = truth_everywhere(LAYERNORM, tensors)
    certain = (truth.exact - tensors["bias"].double()).abs() + tensors["bias"].double().abs()
    assert bool((truth.magnitude >= 0.999 * certain).all())


def test_operands_that_are_all_cut_off_are_within_it() -> None:
    """Tensor cores cut: of positive products the errors add up, and no signs of chance show what is left.

    The sums are near 16384, which is taken off them.
    """
    generator = torch.Generator().manual_seed(3)
    a, b = (torch.rand(shape, generator=generator) for shape in ((4, 65536), (65536, 4)))
    reference = FunctionReference(
        lambda a, b: a @ b - 16384, "a @ b - 16384", rows=(), math="tf32", error_model=Measured()
    )
    truth = reference.everywhere({"a": a, "b": b}, nearby=False)
    cut = [cut_to_tf32(each).double() for each in (a, b)]
    allowed = Measured().factor * 2.0**-10 * truth.magnitude
    assert bool(((cut[0] @ cut[1] - 16384 - truth.exact).abs() < allowed / ROOM).all())


@pytest.mark.parametrize("draw", [torch.rand, torch.randn], ids=["positive", "of either sign"])
def test_operands_that_are_cut_off_are_what_the_math_explains(draw: Callable[..., Tensor]) -> None:
    """Also where all are positive, and the errors add up; where signs are mixed bf16 is not."""
    generator = torch.Generator().manual_seed(3)
    operands = {"a": draw((64, 1024), generator=generator), "b": draw((1024, 64), generator=generator)}
    reference = FunctionReference(torch_product, "a @ b", rows=("a",), math="tf32", error_model=Measured())
    truth = reference.everywhere(operands, nearby=False)
    own = rms(truth.yardstick - truth.exact)
    cut = torch_product(**{name: cut_to_tf32(values).double() for name, values in operands.items()})
    narrow = torch_product(**{name: values.bfloat16().double() for name, values in operands.items()})
    assert rms(cut - truth.exact) < 3 * own
    assert draw is torch.rand or rms(narrow - truth.exact) > 5 * own


def test_a_vector_that_multiplies_is_drawn_as_a_weight() -> None:
    """As a bias it would be zero where magnitudes are tried, and the answer with it."""
    assert LAYERNORM.parameters[0].role == "weight"
    assert float(drawn(LAYERNORM, "magnitudes")["weight"].abs().min()) > 0


@pytest.mark.parametrize(("name", "pool"), [("softmax", 3000), ("layernorm", 64)])
def test_only_items_are_repeated(name: str, pool: int) -> None:
    """In a row of a few values, repeated, the largest is always among the first."""
    case = Case(batch=3000, family="normal", seed=1, pin=0)
    assert recipe_of(find_operation(name), case).pool == pool
