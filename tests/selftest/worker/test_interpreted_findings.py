"""Which of the interpreter's findings a kernel is told, and which of them end the call."""

import typing

import pytest

from kernelgate.execution.sampling import NEIGHBOURS
from kernelgate.interpreter.findings import Finding, Kind
from kernelgate.worker.interpret.findings import (
    NEVER_END,
    AssertionFailedError,
    EndlessLaunchError,
    check_ended,
    told,
)

KINDS = typing.get_args(Kind)


def found(kind: Kind, text: str = "seen", other: tuple[int, int, int] | None = None) -> Finding:
    return Finding(kind=kind, kernel="conv", program=(20, 0, 0), text=text, other=other)


def text_of(finding: Finding) -> str:
    return finding.text


def test_the_first_of_each_kind_is_told() -> None:
    """The others say no more."""
    findings = [found(kind, f"{kind} {number}") for number in range(3) for kind in KINDS]
    assert told(findings, text_of) == tuple(f"{kind} 0" for kind in KINDS)


@pytest.mark.parametrize(("apart", "is_told"), [(1, False), (NEIGHBOURS, False), (NEIGHBOURS + 1, True)])
def test_neighbours_may_write_the_same_at_a_tiles_edge(apart: int, is_told: bool) -> None:
    """Programs that are far apart may not, nor may any write different values."""
    other = (20 + apart, 0, 0)
    assert bool(told([found("same-value", other=other)], text_of)) == is_told
    assert told([found("overwrites", other=other)], text_of)


@pytest.mark.parametrize("kind", KINDS)
def test_what_does_not_end_and_what_asserts_ends_the_call(kind: Kind) -> None:
    """There is no answer to judge; what else was found stands beside one."""
    error = EndlessLaunchError if kind in NEVER_END else AssertionFailedError if kind == "assert" else None
    if error is None:
        check_ended([found(kind)])
        return
    with pytest.raises(error, match="seen"):
        check_ended([found("outside"), found(kind)])
