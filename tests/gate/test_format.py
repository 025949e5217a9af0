"""Stage format: the file is a kernel file."""

from kernelgate.pipeline.pipeline import Gate
from tests.gate.outcome import assert_passed


def test_the_kernel_file_follows_the_format(gate: Gate) -> None:
    """Every rule of the file format holds."""
    assert_passed(gate, "format")
