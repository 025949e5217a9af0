"""Stage performance: a proven gain, or under rule guard no loss. Needs the GPU: `pytest -m perf`."""

from collections.abc import Callable

import pytest


@pytest.mark.perf
def test_the_verdict_on_speed_passes(assert_passed: Callable[[str], None]) -> None:
    """The rule table gives a verdict that passes."""
    assert_passed("performance")
