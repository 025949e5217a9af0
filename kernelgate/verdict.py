"""Intervals and flags -> the verdict."""

import enum
import re

import msgspec


class Outcome(enum.StrEnum):
    """What the gate answers."""

    KEEP = "KEEP"
    SAME_CODE = "SAME_CODE"
    NO_REGRESSION = "NO_REGRESSION"
    REVERT = "REVERT"
    REGRESSED = "REGRESSED"
    WRONG = "WRONG"
    FORBIDDEN = "FORBIDDEN"
    UNSTABLE = "UNSTABLE"
    INVALID = "INVALID"
    NO_BASELINE = "NO_BASELINE"
    NOT_MEASURED = "NOT_MEASURED"

    @property
    def passes(self) -> bool:
        """Whether the gate exits 0; the caller that was asked to time must itself fail on NOT_MEASURED."""
        return self in _PASSING


_PASSING = frozenset({Outcome.KEEP, Outcome.SAME_CODE, Outcome.NO_REGRESSION, Outcome.NOT_MEASURED})

NEXT_STEPS = {
    Outcome.KEEP: "Keep the candidate, and accept the proposed baseline with a reason.",
    Outcome.SAME_CODE: "Nothing to time: keep or drop the edit for its readability alone.",
    Outcome.NO_REGRESSION: "Nothing to do: the change costs no speed.",
    Outcome.REVERT: "Revert the candidate; a second try needs another idea, not another run.",
    Outcome.REGRESSED: "Revert the candidate, or find what made it slower in the compile report.",
    Outcome.WRONG: "Replay the smallest failing input that the report names, and mend the kernel.",
    Outcome.FORBIDDEN: "Undo what the report names, or ask for the stage that allows it.",
    Outcome.UNSTABLE: "Quiet the machine (other jobs, clocks, heat) and run again.",
    Outcome.INVALID: "Trust no figure of this run: mend what the reason names, and run again.",
    Outcome.NO_BASELINE: "Check the proposed baseline, and accept it with a reason.",
    Outcome.NOT_MEASURED: "Run `pytest -m perf` on a machine with the GPU to learn the speed.",
}
"""What a person does about each outcome, in one line."""


class Rule(enum.StrEnum):
    """What a candidate must prove: a gain, or no loss."""

    TUNE = "tune"
    GUARD = "guard"


class Verdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The gate's answer: a reason code in kebab case, a sentence with the numbers, and what to do."""

    outcome: Outcome
    reason: str
    detail: str
    next_step: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.reason):
            raise ValueError(f"reason is {self.reason!r}, allowed: words in kebab case")
        if not self.detail or not self.next_step:
            raise ValueError(f"{self.outcome} ({self.reason}): detail and next_step must not be empty")


def conclude(outcome: Outcome, reason: str, detail: str) -> Verdict:
    """Return the verdict, with the next step that belongs to its outcome."""
    return Verdict(outcome=outcome, reason=reason, detail=detail, next_step=NEXT_STEPS[outcome])
