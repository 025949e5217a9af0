"""What a reason code carries: its outcome, its meaning and what to do."""

import enum
from typing import Self

from kernelgate.outcome import Outcome


class ReasonCode(enum.StrEnum):
    """A reason by its code. Without a next step of its own it has its outcome's."""

    outcome: Outcome
    meaning: str
    next_step: str

    def __new__(cls, code: str, outcome: Outcome, meaning: str, next_step: str = "") -> Self:
        """Return the reason, whose value is its code."""
        made = str.__new__(cls, code)
        made._value_ = code
        made.outcome, made.meaning, made.next_step = outcome, meaning, next_step or outcome.next_step
        return made

    @classmethod
    def of(cls, code: str) -> Self:
        """Return the reason of this code; raises KeyError for one that is not in the list."""
        return {each.value: each for each in cls}[code]
