"""The gate: each stage of the judgement of one kernel file, which `--kernelgate-candidate FILE` names."""

from collections.abc import Callable

import pytest


@pytest.mark.parametrize("stage", ["format", "compile", "stage-rules", "correctness"])
def test_the_kernel_passes(stage: str, assert_passed: Callable[[str], None]) -> None:
    """A stage that does not pass is told with its reason; those after it do not run."""
    assert_passed(stage)


@pytest.mark.perf
def test_its_speed_passes(assert_passed: Callable[[str], None]) -> None:
    """A proven gain, or for the accepted kernel no loss: `pytest -m perf`, on a machine with a GPU."""
    assert_passed("performance")
