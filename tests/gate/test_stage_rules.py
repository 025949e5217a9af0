"""Stage stage-rules: the change stays within its tuning stage."""

from collections.abc import Callable


def test_the_change_stays_within_its_stage(assert_passed: Callable[[str], None]) -> None:
    """The change stays within its tuning stage."""
    assert_passed("stage-rules")
