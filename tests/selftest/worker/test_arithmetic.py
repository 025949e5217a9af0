"""Under the interpreter products and integers come out as a GPU would have them."""

import json
from typing import Any

import pytest

from tests.selftest.support.under_interpreter import run_interpreted

INNER = 64
FINE = 1 + 2.0**-11
"""One more bit than TF32 has."""


@pytest.fixture(scope="module")
def computed() -> dict[str, Any]:
    """Return what the kernels of the program beside this file computed."""
    answer: dict[str, Any] = json.loads(
        run_interpreted("-m", "tests.selftest.support.interpreted_arithmetic")
    )
    return answer


@pytest.mark.parametrize("precision", ["tf32", "", "right operand"])
def test_operands_of_a_tf32_product_are_cut(computed: dict[str, Any], precision: str) -> None:
    """Both of them, and so does a product that asks for nothing."""
    assert computed["precision"][precision] == INNER + 0.5


@pytest.mark.parametrize("precision", ["ieee", "tf32x3"])
def test_operands_of_a_precise_product_are_not_cut(computed: dict[str, Any], precision: str) -> None:
    """What a kernel asks for by name is what it gets."""
    assert computed["precision"][precision] == INNER * FINE + 0.5


def test_half_precision_operands_keep_what_they_have(computed: dict[str, Any]) -> None:
    """They round before the product, which sums them in float32."""
    assert computed["precision"]["half"] == INNER + 0.5


def test_the_cut_takes_the_low_bits_and_nothing_else(computed: dict[str, Any]) -> None:
    """Towards zero; infinities stay."""
    assert computed["cut"] == [1 + 2.0**-10, 1.0, -1.0, True, 0.0]


def test_an_element_has_the_same_bits_wherever_it_stands_in_the_tile(computed: dict[str, Any]) -> None:
    """Rows and columns may be permuted, and the tile be another, so that exact relations hold."""
    assert computed["places"] == {"moved": True, "narrow": True, "close": True}


def test_int32_wraps(computed: dict[str, Any]) -> None:
    """As on a GPU, without a word, even where the library would check each step."""
    assert computed["integers"] == [-(2**31), -2, 2**31 - 1]
