"""What a fault looks like: each kind is guessed where it is planted, and no other."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.faults.kinds import Facts, guess_kind
from kernelgate.operations.faults.ranges import make_map
from kernelgate.operations.faults.tally import Tally

BATCH = 4
SHAPE = ALEXNET_CONV1.output_shape(BATCH)
Mask = NDArray[np.bool_]
RUN = "all channels, row 54, columns 38 to 54 (pixels 3008 to 3024, row by row)"


def nothing() -> Mask:
    return np.zeros(SHAPE, np.bool_)


def planted(mark: Callable[[Mask], None]) -> Mask:
    wrong = nothing()
    mark(wrong)
    return wrong


def border(wrong: Mask) -> None:
    wrong[1:, :, [0, 54]] = True
    wrong[1:, :, :, 54] = True


def last_tile(wrong: Mask) -> None:
    wrong[3, :, 54, 38:] = True


def last_tile_of_each_image(wrong: Mask) -> None:
    wrong[:, :, 54, 38:] = True


def last_row(wrong: Mask) -> None:
    wrong[:, :, 54] = True


def channels(wrong: Mask) -> None:
    wrong[:, 64:] = True


def images(wrong: Mask) -> None:
    wrong[2:] = True


def everywhere(wrong: Mask) -> None:
    wrong[:, :, ::2, :] = True


def somewhere(wrong: Mask) -> None:
    wrong[1, 7, 20:23, 30] = True


def count(wrong: Mask, unwritten: Mask | None = None, chosen: slice = slice(None)) -> Tally:
    tally = Tally(ALEXNET_CONV1, BATCH)
    offsets = np.arange(wrong.size)[chosen]
    tally.add(offsets, wrong.ravel()[chosen], (nothing() if unwritten is None else unwritten).ravel()[chosen])
    return tally


@pytest.mark.parametrize(
    ("mark", "kind", "where"),
    [
        (border, "halo", "images 1 to 3, all channels, all rows, all columns"),
        (last_tile, "tail", f"image 3, {RUN}"),
        (last_tile_of_each_image, "tail", f"all images, {RUN}"),
        (last_row, "halo", "all images, all channels, row 54, all columns"),
        (channels, "channel", "all images, channels 64 to 95, all rows, all columns"),
        (images, "item", "images 2 and 3, all channels"),
        (everywhere, None, "all images, all channels, 28 of 55 rows from 0 to 54, all columns"),
        (somewhere, None, "image 1, channel 7, rows 20 to 22, column 30"),
    ],
)
def test_a_place_tells_the_kind_and_is_named(
    mark: Callable[[Mask], None], kind: str | None, where: str
) -> None:
    """What says nothing is called nothing."""
    tally = count(planted(mark))
    found, guess = make_map(tally), guess_kind(tally, Facts(largest_error=1e4))
    assert found is not None
    assert found.where.startswith(where.replace("images 2 and 3", "images 2 to 3"))
    assert (guess.kind if guess else None) == kind


def test_what_is_right_has_no_place() -> None:
    """And no kind."""
    tally = count(nothing())
    assert make_map(tally) is None
    assert guess_kind(tally, Facts(largest_error=0.0)) is None


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        (Facts(largest_error=5.0), "precision"),
        (Facts(largest_error=5.0, exact=True), None),
        (Facts(largest_error=5000.0), None),
        (Facts(largest_error=5000.0, usual_error=0.0005), "precision"),
        (Facts(largest_error=5000.0, usual_error=0.05), None),
        (Facts(largest_error=5000.0, usual_error=float("inf")), None),
        (Facts(largest_error=float("inf")), None),
        (Facts(), None),
        (Facts(largest_error=5.0, stale=0.95), "stale"),
        (Facts(largest_error=5.0, changes=0.01), "race"),
        (Facts(largest_error=5.0, changes=0.01, changes_in_order=0.01), "uninitialised"),
    ],
)
def test_facts_beside_the_places_tell_the_kind(facts: Facts, kind: str | None) -> None:
    """A sum of small integers that is off is no rounding; NaN is none either."""
    guess = guess_kind(count(planted(everywhere)), facts)
    assert (guess.kind if guess else None) == kind


def test_what_was_never_written_is_said_with_its_place() -> None:
    """In the picture it has a mark of its own."""
    wrong = planted(last_tile)
    tally = count(wrong, wrong)
    guess, found = guess_kind(tally, Facts()), make_map(tally)
    assert guess is not None
    assert guess.kind == "unwritten"
    assert "among the last 256 pixels" in guess.because
    assert found is not None
    assert found.plane == "image 3, channel 0"
    assert found.rows[54] == "." * 38 + "?" * 17
    assert set("".join(found.rows[:54])) == {"."}


def test_what_was_not_looked_at_says_nothing() -> None:
    """All that a sample shows is of one tile: that it is of the last rows is no finding."""
    chosen = slice(SHAPE[2] * SHAPE[3] - 17, SHAPE[2] * SHAPE[3])
    tally = count(planted(everywhere), chosen=chosen)
    found = make_map(tally)
    assert guess_kind(tally, Facts(largest_error=1e4)) is None
    assert found is not None
    assert found.compared == 17
    assert "17 columns looked at" in found.where
    assert found.rows[0] == " " * 55


def test_parts_are_counted_together() -> None:
    """An answer comes in parts; where it is wrong is said of all of them."""
    wrong, whole = planted(border), Tally(ALEXNET_CONV1, BATCH)
    size = wrong.size // BATCH
    for image in range(BATCH):
        part = slice(image * size, (image + 1) * size)
        whole.add(np.arange(wrong.size)[part], wrong.ravel()[part], nothing().ravel()[part])
    assert make_map(whole) == make_map(count(wrong))
    assert whole.first_offset == size
