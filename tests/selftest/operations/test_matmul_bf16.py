"""The bfloat16 product: what its tensors hold, what one rounding may be off by, and what is beyond it."""

import pytest
import torch
from torch import Tensor

from kernelgate.operations import find_operation
from kernelgate.operations.accuracy.bounds import hard_bound
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.operations.draws.tensors import as_stored, make_tensors
from kernelgate.operations.draws.values import FAMILIES
from kernelgate.operations.truth.truth import truth_everywhere

PRODUCT = find_operation("matmul_bf16")
EXACT = ("integer", "zero", "one-hot", "one-hot-weight")


def worst(family: str, answer: Tensor) -> float:
    """Return the largest error in bounds where the truth is finite."""
    truth = truth_everywhere(PRODUCT, drawn(family))
    finite = truth.exact.isfinite()
    error = (answer.double() - truth.exact).abs().nan_to_num(torch.inf)[finite]
    bound = hard_bound(PRODUCT, truth)[finite]
    return float(torch.where(error == 0, 0, error / bound).max()) if error.numel() else 0.0


def drawn(family: str) -> dict[str, Tensor]:
    return make_tensors(PRODUCT, Recipe(family=family, seed=5, batch=8))


def summed_in_float32(family: str) -> Tensor:
    a, b = drawn(family).values()
    return a.float() @ b.float()


def cut(values: Tensor) -> Tensor:
    return (values.view(torch.int32) & ~0xFFFF).view(torch.float32)


@pytest.mark.parametrize("family", FAMILIES)
def test_one_rounding_at_the_end_is_within_the_bound(family: str) -> None:
    """Of every family; where sums are exact it is the one answer."""
    rounded = summed_in_float32(family).bfloat16()
    assert worst(family, rounded) <= 1
    if family in EXACT:
        exact = truth_everywhere(PRODUCT, drawn(family)).exact
        assert torch.equal(rounded, as_stored(PRODUCT, exact))


def test_an_answer_that_is_cut_is_beyond_it() -> None:
    """It is off by up to twice as much."""
    assert worst("normal", cut(summed_in_float32("normal"))) > 1


def test_halves_that_are_rounded_before_they_are_added_are_beyond_it() -> None:
    """Where they cancel, the sum is smaller than what was rounded off."""
    a, b = (each.float() for each in drawn("normal").values())
    halves = [(a[:, part] @ b[part]).bfloat16().float() for part in (slice(512), slice(512, 1024))]
    assert worst("normal", (halves[0] + halves[1]).bfloat16()) > 1


@pytest.mark.parametrize("family", FAMILIES)
def test_tensors_are_bfloat16(family: str) -> None:
    """What is drawn is rounded to it once, and scaled by powers of two it stays what it was."""
    plain = drawn(family)
    scaled = make_tensors(PRODUCT, Recipe(family=family, seed=5, batch=8, exponents=(("a", 20), ("b", -20))))
    assert {each.dtype for each in plain.values()} == {torch.bfloat16}
    assert torch.equal(scaled["a"].nan_to_num(7), (plain["a"] * 2.0**20).nan_to_num(7))


def test_work_and_traffic_are_those_of_two_bytes_an_element() -> None:
    """By hand, of one row."""
    assert PRODUCT.min_bytes(1) == 2 * (1024 + 1024 * 1024 + 1024)
    assert PRODUCT.flops(1) == 2 * 1024 * 1024
