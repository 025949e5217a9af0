"""What the correctness stage found."""

from typing import Literal

import msgspec

from kernelgate.correctness.case import Case
from kernelgate.operations.faults.fault_map import FaultMap, Guess


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """What a failing case shows when it is made once more.

    `script` is the text of a Python file that shows it without the gate; `no_script` says why there is none.
    """

    map: FaultMap | None = None
    guess: Guess | None = None
    script: str = ""
    no_script: str = ""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A failing case: the law it broke, and how; `alone` is whether the case alone shows it."""

    case: Case
    law: str
    detail: str
    forbidden: bool
    diagnosis: Diagnosis | None = None
    alone: bool = True


class LawLine(msgspec.Struct, frozen=True, kw_only=True):
    """One law: how many cases tried it, and how that ended."""

    law: str
    says: str
    status: Literal["held", "broken", "not tried"]
    cases: int
    note: str = ""


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """How many cases were of one kind."""

    what: str
    cases: int


class Magnitude(msgspec.Struct, frozen=True, kw_only=True):
    """How many cases had values of a size in x, and in the weight."""

    size: str
    x: int
    weight: int


class Thinned(msgspec.Struct, frozen=True, kw_only=True):
    """In so many cases `programs` of those there are (`of`) ran: they are too slow to interpret for more."""

    cases: int
    programs: int
    of: int


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """What was tried; `gpu_only` names the laws that only a machine with a GPU can try."""

    batches: tuple[Count, ...]
    values: tuple[Count, ...]
    magnitudes: tuple[Magnitude, ...]
    layouts: tuple[Count, ...]
    relations: tuple[Count, ...]
    configurations: tuple[Count, ...]
    gpu_only: tuple[str, ...]
    thinned: Thinned | None = None


class Correctness(msgspec.Struct, frozen=True, kw_only=True, tag="correctness"):
    """The stage's result. Errors are the worst seen; `vendor_ratio` is cuDNN's own, where it ran.

    `tried` is None in reports that are older than it.
    """

    where: str
    profile: str
    examples: int
    calls: int
    seconds: float
    entropy: int
    bound_fraction: float
    error_ratio: float
    vendor_ratio: float | None
    laws: tuple[LawLine, ...]
    finding: Finding | None
    tried: Tried | None = None

    @property
    def passed(self) -> bool:
        """Whether every case obeyed every law; a stage that ran no case has not passed."""
        return self.finding is None and self.examples > 0


def describe_correctness(result: Correctness) -> str:
    """Return what held, in a sentence."""
    held = sum(line.status == "held" for line in result.laws)
    untried = ", ".join(line.law for line in result.laws if line.status == "not tried")
    laws = f"{held} laws held" + (f"; not tried: {untried}" if untried else "")
    errors = f"worst element at {result.bound_fraction:.2g} of its bound"
    ratio = f"rms error {result.error_ratio:.2g} times the declared math's own"
    return f"{result.examples} examples in the {result.where}: {errors}, {ratio}; {laws}"
