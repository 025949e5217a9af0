"""Stage correctness: the answer obeys every law."""

from collections.abc import Callable


def test_the_kernel_is_right(assert_passed: Callable[[str], None]) -> None:
    """The answer obeys every law."""
    assert_passed("correctness")
