"""Stage compile: every configuration compiles for the target."""

from kernelgate.pipeline.pipeline import Gate
from tests.gate.outcome import assert_passed


def test_the_kernel_compiles_for_the_target(gate: Gate) -> None:
    """Every configuration compiles for the target."""
    assert_passed(gate, "compile")
