"""What a worker says of an error: whose it is, by its class; of what nobody foresaw, by its mode."""

import pytest

from kernelgate.errors import InputsError
from kernelgate.execution.interpreted_moves import TooLargeError
from kernelgate.interpreter.errors import CannotInterpretError
from kernelgate.protocol import FailureKind
from kernelgate.worker.failures import NotOfferedError, describe_failure
from kernelgate.worker.interpret.findings import AssertionFailedError, EndlessLaunchError
from kernelgate.worker.loop import UNFORESEEN

CLASSES: dict[type[BaseException], FailureKind] = {
    InputsError: FailureKind.GATE_FAULT,
    TooLargeError: FailureKind.UNTRIED,
    NotOfferedError: FailureKind.UNTRIED,
    CannotInterpretError: FailureKind.NOT_INTERPRETED,
    EndlessLaunchError: FailureKind.NO_ANSWER,
    AssertionFailedError: FailureKind.RAISES,
    MemoryError: FailureKind.OUT_OF_MEMORY,
    SystemExit: FailureKind.EXITS,
}


def told_of(error: BaseException, unforeseen: FailureKind, *, crowded: bool = False) -> tuple[str, str]:
    said = describe_failure(error, "", unforeseen, lambda: crowded)
    return said.kind, said.detail


@pytest.mark.parametrize("unforeseen", [FailureKind.RAISES, FailureKind.NOT_INTERPRETED])
@pytest.mark.parametrize("kind", [*CLASSES, KeyError], ids=lambda kind: kind.__name__)
def test_an_error_is_told_by_its_class(kind: type[BaseException], unforeseen: FailureKind) -> None:
    """In any mode; one of no such class is the file's, or the gate's own where there is no file."""
    seen, detail = told_of(kind("seen"), unforeseen)
    assert seen == CLASSES.get(kind, unforeseen)
    assert "seen" in detail or kind is SystemExit


def test_an_error_of_the_interpreter_says_nothing_of_the_kernel() -> None:
    """Only a file that shares its process can raise what nobody foresaw."""
    assert UNFORESEEN == {"interpret": FailureKind.NOT_INTERPRETED}


def test_memory_that_others_hold_is_nobodys_fault() -> None:
    """Where a GPU is crowded."""
    assert told_of(MemoryError("full"), FailureKind.RAISES, crowded=True)[0] == FailureKind.CROWDED
