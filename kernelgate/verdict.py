"""The gate's answer: an outcome, its reason code, a sentence with the numbers, and what to do."""

import enum

import msgspec

from kernelgate.outcome import Outcome
from kernelgate.reasons import Reason

__all__ = ["Outcome", "Reason", "Rule", "Verdict", "conclude"]


class Rule(enum.StrEnum):
    """What a candidate must prove: a gain, or no loss."""

    TUNE = "tune"
    GUARD = "guard"


class Verdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The gate's answer; its reason is one that belongs to its outcome."""

    outcome: Outcome
    reason: Reason
    detail: str
    next_step: str

    def __post_init__(self) -> None:
        if self.reason.outcome is not self.outcome:
            raise ValueError(f"reason {self.reason} is of {self.reason.outcome}, not of {self.outcome}")
        if not self.detail or not self.next_step:
            raise ValueError(f"{self.outcome} ({self.reason}): detail and next_step must not be empty")


def conclude(outcome: Outcome, reason: Reason, detail: str) -> Verdict:
    """Return the verdict, with the next step of its reason; raises ValueError for one of another outcome."""
    return Verdict(outcome=outcome, reason=reason, detail=detail, next_step=reason.next_step)
