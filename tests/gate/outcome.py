"""How a test of the gate reads a stage's result."""

import pytest

from kernelgate.pipeline.pipeline import Gate, StageName


def assert_passed(gate: Gate, name: StageName) -> None:
    """Fail unless the stage passed, or was not needed; a stage that could not run is a failure too."""
    result = gate.stage(name)
    if result.status in ("failed", "not-run"):
        pytest.fail(f"{name}: {result.status}: {result.detail}", pytrace=False)
