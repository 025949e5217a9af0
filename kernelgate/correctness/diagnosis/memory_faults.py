"""What a finding about memory looks like: a race between programs, a missing bound, or neither."""

from collections.abc import Sequence

from kernelgate.operations.faults.kinds import Guess

RACES = ("where program", "than program", "of the same launch", "no barrier between")
"""Words of the interpreter's findings on what two programs, or two threads of one, do to one element."""


def guess_memory_fault(told: Sequence[str]) -> Guess | None:
    """Return what the findings look like, None if they say no more than themselves."""
    if any(word in text for text in told for word in RACES):
        return Guess(kind="race", because="programs of one launch meet at an element, with nothing between")
    return None
