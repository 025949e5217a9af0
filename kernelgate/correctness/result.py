"""What the correctness stage found."""

import msgspec

from kernelgate.correctness.case_runner import Finding
from kernelgate.correctness.coverage import LawLine


class Correctness(msgspec.Struct, frozen=True, kw_only=True, tag="correctness"):
    """The stage's result. Errors are the worst seen; `vendor_ratio` is cuDNN's own, where it ran."""

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

    @property
    def passed(self) -> bool:
        """Whether every case obeyed every law; a stage that ran no case has not passed."""
        return self.finding is None and self.examples > 0


def describe_correctness(result: Correctness) -> str:
    """Return what held, in a sentence."""
    held = sum(line.status == "held" for line in result.laws)
    untried = ", ".join(line.law for line in result.laws if line.status == "not tried")
    laws = f"{held} laws held" + (f", not tried: {untried}" if untried else "")
    errors = f"worst element at {result.bound_fraction:.2g} of its bound"
    ratio = f"rms error {result.error_ratio:.2g} times TF32's own"
    return f"{result.examples} examples in the {result.where}, {laws}: {errors}, {ratio}"
