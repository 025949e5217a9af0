"""Inline PTX that a kernel may use and still be interpreted, and what is said of any other."""

import json
import math
import struct
from typing import Any

import pytest

from tests.selftest.support.under_interpreter import run_interpreted


@pytest.fixture(scope="module")
def computed() -> dict[str, Any]:
    """Return what the kernels of the program beside this file computed, and were told."""
    answer: dict[str, Any] = json.loads(run_interpreted("-m", "tests.selftest.support.interpreted_ptx"))
    return answer


def test_hints_and_fences_change_nothing(computed: dict[str, Any]) -> None:
    """Each stands before a copy."""
    assert computed["hints"] == [computed["values"]] * len(computed["hints"])


def test_rounding_to_tf32_is_to_nearest_and_ties_go_away_from_zero(computed: dict[str, Any]) -> None:
    """What is too large for it becomes infinite; a number that has no exponent of its own is not lost."""
    kept = 2.0**-10
    rounded = computed["rounded"]
    assert rounded[:6] == [1 + kept, 1.0, -1 - kept, math.inf, math.inf, 0.0]
    assert rounded[6] == pytest.approx(1e-39, rel=0.01)
    assert rounded[7] == 2.5


def test_rounding_leaves_nan(computed: dict[str, Any]) -> None:
    """Even that of all ones, which half a unit more would make a zero."""
    assert computed["nan stays"]


def test_a_copy_keeps_the_bits_whatever_the_type(computed: dict[str, Any]) -> None:
    """As a register has no type."""
    assert computed["bits"] == struct.unpack("<i", struct.pack("<f", computed["values"][-1]))[0]


def test_lines_may_take_nothing(computed: dict[str, Any]) -> None:
    """Such as a barrier, whose result is a number that nobody asked for."""
    assert computed["alone"] == -17


def test_what_is_not_known_is_named(computed: dict[str, Any]) -> None:
    """A wrong answer would be blamed on the kernel, and so would silence."""
    for asm, said in computed["unknown"].items():
        assert f"inline PTX `{' '.join(asm.strip(';').replace(',', ' ').split())}`" in said
        assert "the gate's interpreter runs" in said


def test_elements_that_share_a_register_are_refused(computed: dict[str, Any]) -> None:
    """With a count that says why."""
    assert "pack=2" in computed["packed"]
