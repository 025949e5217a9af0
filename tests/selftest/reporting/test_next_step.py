"""The next step of a judgement: what its commands name."""

import re

import pytest

from kernelgate.next_steps import ACCEPT
from kernelgate.reporting.contents.next_step import fill_in
from kernelgate.verdict import Reason

CASE = "batch=3,family=normal,seed=1"
OPTIONS = "--operation softmax --stage open"


@pytest.mark.parametrize(
    ("step", "filled"),
    [
        (
            "See `kernelgate judge FILE --replay CASE`, so.",
            f"See `kernelgate judge 'a b.py' --replay {CASE} {OPTIONS}`, so.",
        ),
        (
            "Judge `kernelgate judge FILE --stage open`.",
            "Judge `kernelgate judge 'a b.py' --stage open --operation softmax`.",
        ),
        ("It is `python -m py_compile FILE`.", "It is `python -m py_compile 'a b.py'`."),
        ("Restore with `git checkout -- FILE`, as named.", "Restore with `git checkout -- FILE`, as named."),
        ("Judge `kernelgate judge kernels/OPERATION.py`.", "Judge `kernelgate judge kernels/OPERATION.py`."),
        (f"Accept it: {ACCEPT}", "Accept it: `kernelgate accept 'out put'/*.proposed.json --reason WHY`."),
    ],
)
def test_a_command_can_be_pasted(step: str, filled: str) -> None:
    """With this judgement's file, case and options; where the step speaks of other files it stays."""
    assert fill_in(step, "a b.py", OPTIONS, CASE, "out put") == filled


def test_a_name_that_would_end_the_command_is_not_filled_in() -> None:
    """What is between backticks is code in a page."""
    step = "See `kernelgate judge FILE --stage open`."
    assert fill_in(step, "a`b.py", OPTIONS, CASE, "out put") == step


def test_without_a_case_there_is_none_to_fill_in() -> None:
    """The step stays as it is."""
    step = "See `kernelgate judge FILE --replay CASE`."
    assert fill_in(step, "a.py", OPTIONS, "", "out") == step


@pytest.mark.parametrize("reason", list(Reason))
def test_each_reason_s_next_step_is_filled_in_or_left(reason: Reason) -> None:
    """No step loses its words or its marks of code."""
    filled = fill_in(reason.next_step, "a.py", OPTIONS, CASE, "out put")
    assert filled.count("`") == reason.next_step.count("`")
    assert re.sub("`[^`]*`", "", filled) == re.sub("`[^`]*`", "", reason.next_step)
    assert "CASE" not in filled
