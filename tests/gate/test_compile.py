"""Stage compile: every configuration compiles for the target."""

from collections.abc import Callable


def test_the_kernel_compiles_for_the_target(assert_passed: Callable[[str], None]) -> None:
    """Every configuration compiles for the target."""
    assert_passed("compile")
