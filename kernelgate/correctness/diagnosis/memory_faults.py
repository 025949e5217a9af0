"""Whether a finding about memory is of a race between programs, or between threads of one."""

from collections.abc import Sequence

from kernelgate.operations.faults.fault_map import Guess

RACES = ("where program", "than program", "of the same launch", "no barrier between")
"""Words of the interpreter's findings on what two programs, or two threads of one, do to one element."""


def guess_memory_fault(told: Sequence[str]) -> Guess | None:
    """Return that they look like a race, None if they do not."""
    if any(word in text for text in told for word in RACES):
        return Guess(kind="race", because="programs of one launch meet at an element, with nothing between")
    return None
