"""Stage format: the file is a kernel file."""

from collections.abc import Callable


def test_the_kernel_file_follows_the_format(assert_passed: Callable[[str], None]) -> None:
    """Every rule of the file format holds."""
    assert_passed("format")
