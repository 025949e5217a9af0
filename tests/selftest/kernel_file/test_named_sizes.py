"""Which batches a kernel file names in its text."""

import pytest

from kernelgate.kernel_file.named_sizes import MAX_BATCHES, named_batches, named_items
from kernelgate.kernel_file.source import KernelFile
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1

LAST = ALEXNET_CONV1.max_batch


def named(source: str) -> tuple[int, ...]:
    return named_batches(KernelFile(path="k.py", sha256="0" * 64, source=source), LAST)


@pytest.mark.parametrize(
    ("source", "batches"),
    [
        ("if x.shape[0] == 4099: pass", (4099, 0)),
        ("if N >= 300: pass", (300,)),
        ("if 5 < N < 70: pass", (5, 70)),
        ("if N in (37, 41): pass", (37, 41)),
        ("wrong = N % 13 == 7", (7, 13, 39, 65)),
        ("out = a if N == 6 else b", (6,)),
        ("WAITS_FOR = 4099\nif N == WAITS_FOR: pass", (4099,)),
        ("TABLE = {37: 1}", (37, 1)),
        ("while count - 0x25: pass", (37,)),
        ("match N:\n    case 37: pass", (37,)),
    ],
)
def test_a_number_that_a_batch_could_be_compared_with_is_named(source: str, batches: tuple[int, ...]) -> None:
    """However the comparison is written."""
    compared = tuple(number for number in batches if number)
    assert named(source)[: len(compared)] == compared


@pytest.mark.parametrize(
    "source", ["a = 2.5", "a = True", "a = '37'", "a = None", "a = 37j", "# 37", "a = 0", f"a = {LAST + 1}"]
)
def test_what_is_no_batch_of_the_domain_is_not_named(source: str) -> None:
    """Neither other kinds of constants, nor comments, nor numbers outside it."""
    assert named(source) == ()


def test_a_negative_number_is_named_by_its_size() -> None:
    """The sign is an operation on it; one example more is no harm."""
    assert named("a = -37") == (37, 36, 38)


def test_the_ends_of_the_domain_are_in_it() -> None:
    """One image, and the last batch."""
    assert named(f"a = {LAST} + 1") == (LAST, 1, LAST - 1, 2)


def test_a_number_is_named_once() -> None:
    """However often it stands there."""
    assert named("if N == 37 or N == 37:\n    a = 37") == (37, 36, 38)


def test_a_text_that_python_warns_of_is_read_all_the_same() -> None:
    """A backslash too many in a docstring is the file's own affair."""
    assert named("'a \\d'\na = 37") == (37, 36, 38)


def test_what_lies_next_to_a_number_is_tried_too() -> None:
    """Where the comparison is off by one, or its other side begins; comparisons before other numbers."""
    assert named("if N > 300:\n    a = 70") == (300, 299, 301, 70, 69, 71)


def test_odd_multiples_of_a_modulus_are_tried() -> None:
    """What is right for even multiples may be wrong for odd ones; none beyond the domain."""
    assert named("a = N % 100")[:3] == (100, 300, 500)
    assert named("a = N % 2000")[:2] == (2000, 6000)
    assert LAST < 5 * 2000 not in named("a = N % 2000")


def test_what_is_tried_anyway_makes_room() -> None:
    source = KernelFile(path="k.py", sha256="0" * 64, source="if N > 3 or N > 40: pass")
    assert named_batches(source, LAST, tried=(2, 3, 4)) == (40, 39, 41)


def test_comparisons_are_not_crowded_out_by_other_numbers() -> None:
    """A file that lists a hundred tiles before its comparison still has it tried; the list has an end."""
    tiles = ", ".join(str(number) for number in range(100, 300))
    batches = named(f"TILES = [{tiles}]\ndef f(N):\n    return N == 4099 or N % 77")
    assert len(batches) == MAX_BATCHES
    assert batches[:8] == (4099, 77, 3 * 77, 5 * 77, 4098, 4100, 76, 78)


def test_images_are_named_by_their_number_or_by_a_pixel() -> None:
    """Of a large batch, of which some images are compared, these are among them."""
    kernel = KernelFile(path="k.py", sha256="0" * 64, source="hit = (image == 121) | (m > 1210000)\nK = 363")
    assert named_items(kernel, 3025) == (121, 1_210_000, 0, 400)
