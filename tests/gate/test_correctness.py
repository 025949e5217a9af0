"""Stage correctness: the answer obeys every law."""

from kernelgate.pipeline.pipeline import Gate
from tests.gate.outcome import assert_passed


def test_the_kernel_is_right(gate: Gate) -> None:
    """The answer obeys every law."""
    assert_passed(gate, "correctness")
