"""Stage stage-rules: the change stays within its tuning stage."""

from kernelgate.pipeline.pipeline import Gate
from tests.gate.outcome import assert_passed


def test_the_change_stays_within_its_stage(gate: Gate) -> None:
    """The change stays within its tuning stage."""
    assert_passed(gate, "stage-rules")
