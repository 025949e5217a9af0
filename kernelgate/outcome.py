"""What the gate can answer: whether that passes, what it means, and what to do."""

import enum
from typing import Self


class Outcome(enum.StrEnum):
    """What the gate answers: whether that passes (exit code 0), what it means, and what to do."""

    passes: bool
    meaning: str
    next_step: str

    def __new__(cls, code: str, passes: bool, meaning: str, next_step: str) -> Self:
        """Return the outcome, whose value is its code."""
        made = str.__new__(cls, code)
        made._value_ = code
        made.passes, made.meaning, made.next_step = passes, meaning, next_step
        return made

    KEEP = (
        "KEEP",
        True,
        "The candidate is right, and faster than the accepted kernel beyond noise.",
        "Keep the candidate, and accept the proposed baseline with a reason.",
    )
    SAME_CODE = (
        "SAME_CODE",
        True,
        "The candidate is other text for the accepted kernel's own machine code.",
        "Nothing to time: keep or drop the edit for its readability alone.",
    )
    NO_REGRESSION = (
        "NO_REGRESSION",
        True,
        "The candidate is right, and not slower than the accepted kernel; rule guard asks for no more.",
        "Nothing to do: the change costs no speed.",
    )
    REVERT = (
        "REVERT",
        False,
        "The candidate is right, and its gain is within noise.",
        "Revert the candidate; a second try needs another idea, not another run.",
    )
    REGRESSED = (
        "REGRESSED",
        False,
        "The candidate is right, and slower.",
        "Revert the candidate, or find what made it slower in the compile report.",
    )
    WRONG = (
        "WRONG",
        False,
        "The candidate gives a wrong answer, or fails to give one.",
        "Replay the smallest failing input that the report names, and mend the kernel.",
    )
    FORBIDDEN = (
        "FORBIDDEN",
        False,
        "The candidate does what a kernel file or its tuning stage must not do.",
        "Undo what the report names, or ask for the stage that allows it.",
    )
    UNSTABLE = (
        "UNSTABLE",
        False,
        "The times do not decide it: they vary too much, or the gain lies on a line of the rule.",
        "Quiet the machine (other jobs, clocks, heat) and run again.",
    )
    INVALID = (
        "INVALID",
        False,
        "The run says nothing about the candidate.",
        "Trust no figure of this run: mend what the reason names, and run again.",
    )
    NO_BASELINE = (
        "NO_BASELINE",
        False,
        "The GPU has no record of the accepted kernel.",
        "Check the proposed baseline, and accept it with a reason.",
    )
    NOT_MEASURED = (
        "NOT_MEASURED",
        True,
        "The candidate is right; how fast it is was not measured. Where timing was asked for, this fails.",
        "Judge it on a machine with the GPU to learn the speed: `kernelgate judge FILE`.",
    )


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
