"""The ways in which a worker fails, and what each of them comes to."""

import enum

from kernelgate.protocol import FailureKind
from kernelgate.verdict import Reason


class FaultKind(enum.StrEnum):
    """What a worker was seen doing; the value is the reason code of a verdict on it.

    Those of `FailureKind` a worker may say of itself; the others the judge sees.
    """

    RAISES = FailureKind.RAISES.value
    EXITS = FailureKind.EXITS.value
    OUT_OF_MEMORY = FailureKind.OUT_OF_MEMORY.value
    OTHER_PARAMETERS = FailureKind.OTHER_PARAMETERS.value
    UNTRIED = FailureKind.UNTRIED.value
    NOT_INTERPRETED = FailureKind.NOT_INTERPRETED.value
    CROWDED = FailureKind.CROWDED.value
    GATE_FAULT = FailureKind.GATE_FAULT.value
    NO_SANDBOX = FailureKind.NO_SANDBOX.value
    CRASHES = "crashes"
    NO_ANSWER = FailureKind.NO_ANSWER.value
    STARVED = "starved"
    PRINTS = "prints"
    PROTOCOL = "protocol"
    TIMER = "timer"

    @property
    def reason(self) -> Reason:
        """Why a candidate whose worker it was is judged as it is; the outcome belongs to the reason."""
        return Reason.of(self.value)

    @property
    def costs_its_limit(self) -> bool:
        """Whether the worker uses up a whole limit each time, so that a second try takes as long again."""
        return self in _COSTLY


_COSTLY = frozenset({FaultKind.NO_ANSWER, FaultKind.OUT_OF_MEMORY, FaultKind.PRINTS})
