"""Stage performance: a proven gain, or under rule guard no loss. Needs the GPU: `pytest -m perf`."""

import pytest

from kernelgate.pipeline.pipeline import Gate
from tests.gate.outcome import assert_passed


@pytest.mark.perf
def test_the_verdict_on_speed_passes(gate: Gate) -> None:
    """The rule table gives a verdict that passes."""
    assert_passed(gate, "performance")
