"""The ways in which a worker fails, and what each of them comes to."""

import enum

from kernelgate.protocol import FailureKind
from kernelgate.verdict import Outcome


class FaultKind(enum.StrEnum):
    """What a worker was seen doing; the value is the reason code of a verdict on it.

    Those of `FailureKind` a worker may say of itself; the others the judge sees.
    """

    RAISES = FailureKind.RAISES.value
    EXITS = FailureKind.EXITS.value
    OUT_OF_MEMORY = FailureKind.OUT_OF_MEMORY.value
    UNTRIED = FailureKind.UNTRIED.value
    CROWDED = FailureKind.CROWDED.value
    CRASHES = "crashes"
    NO_ANSWER = "no-answer"
    PRINTS = "prints"
    PROTOCOL = "protocol"
    TIMER = "timer"

    @property
    def outcome(self) -> Outcome:
        """What the fault makes of a candidate whose worker it was."""
        return _OUTCOMES.get(self, Outcome.WRONG)

    @property
    def costs_its_limit(self) -> bool:
        """Whether the worker uses up a whole limit each time, so that a second try takes as long again."""
        return self in _COSTLY


_OUTCOMES = {
    FaultKind.PRINTS: Outcome.FORBIDDEN,
    # A timer that tells nonsense and a GPU whose memory others hold are nobody's wrong answer.
    FaultKind.TIMER: Outcome.INVALID,
    FaultKind.CROWDED: Outcome.INVALID,
}
_COSTLY = frozenset({FaultKind.NO_ANSWER, FaultKind.OUT_OF_MEMORY, FaultKind.PRINTS})
