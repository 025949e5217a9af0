"""The drawings: each figure is where it belongs, and all of it is in the picture."""

import math
import re
from functools import partial
from itertools import pairwise
from xml.etree.ElementTree import Element

import msgspec
import pytest

from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.faults.fault_map import FaultMap
from kernelgate.performance.decision.log_ratio import Slowdown, summarise
from kernelgate.performance.roofline import find_peaks
from kernelgate.reporting.history import Moment
from kernelgate.reporting.html.charts.axis import Axis, around
from kernelgate.reporting.html.charts.course import draw_course
from kernelgate.reporting.html.charts.interval import draw_interval
from kernelgate.reporting.html.charts.plane import draw_plane
from kernelgate.reporting.html.charts.plot import spread
from kernelgate.reporting.html.charts.roofline import LABEL_GAP, Point, draw_roofline, find_roof
from tests.selftest.support.made_up_reports import SHA

BAND = (0.01, 0.02)
GAINS = {
    "gains": (0.03, 0.031, 0.029, 0.03),
    "losses": (-0.03, -0.031, -0.029, -0.03, -0.5),
    "both": (0.02, -0.02, 0.001, -0.001),
    "none": (0.0, 0.0, 0.0, 0.0),
    "large": (0.84, 0.85, 0.849, 0.8495),
    "wide": (0.5, -9.0, 0.1, 0.2, 0.3, 0.9, 0.2, 0.1, 0.0, 0.1),
}


def marks(drawing: Element, tag: str, class_: str) -> list[dict[str, str]]:
    return [each.attrib for each in drawing.iter(tag) if each.get("class") == class_]


def percent(place: str) -> float:
    assert place.endswith("%")
    return float(place[:-1])


@pytest.mark.parametrize("band", [BAND, (0.025, 0.05)])
@pytest.mark.parametrize("gains", GAINS.values(), ids=list(GAINS))
def test_replicates_and_interval_lie_where_the_lines_say(
    gains: tuple[float, ...], band: tuple[float, float]
) -> None:
    """Measured by the numbers of the axis; in order, and all of them within the frame."""
    slowdown = summarise([math.log1p(-gain) for gain in gains], 0.95)
    drawing = draw_interval(slowdown, band)
    numbers = [each for each in drawing.iter("text") if re.fullmatch(r"[-\d.e+]+ %", each.text or "")]
    ticks = [(float((each.text or "").split()[0]) / 100, percent(each.get("x", ""))) for each in numbers]
    (first, at_first), (last, at_last) = ticks[0], ticks[-1]
    scale = (at_last - at_first) / (last - first)

    def gain_at(place: str) -> float:
        assert 0 < percent(place) < 100
        return first + (percent(place) - at_first) / scale

    near = partial(pytest.approx, abs=0.03 / scale)  # places are rounded
    points = marks(drawing, "circle", "replicate")
    assert [gain_at(each["cx"]) for each in points] == near(list(gains))
    assert [float(each["cy"]) for each in points] == sorted(float(each["cy"]) for each in points)
    (bar,) = marks(drawing, "line", "interval")
    assert [gain_at(bar["x1"]), gain_at(bar["x2"])] == near([slowdown.gain_low, slowdown.gain_high])
    rules = [marks(drawing, "line", name)[0]["x1"] for name in ("rule loss", "rule", "rule gain")]
    assert [gain_at(place) for place in rules] == near([-band[0], *band])


@pytest.mark.parametrize("low", [-math.inf, math.nan, -800.0])
def test_an_interval_without_ends_is_a_sentence(low: float) -> None:
    """There is nothing to draw."""
    endless = Slowdown(estimate=0.0, low=low, high=-low, replicates=(0.0,) * 4, confidence=0.95)
    assert draw_interval(endless, BAND).tag == "p"


def test_a_kernel_that_reaches_the_peaks_lies_on_the_roof() -> None:
    """The same figures say both: the time of the bytes, and that of the products, which is longer here."""
    roof, peaks = find_roof(ALEXNET_CONV1, 256, "NVIDIA H200"), find_peaks("NVIDIA H200", "float32")
    assert roof is not None
    assert peaks is not None
    of_bytes, of_products = ALEXNET_CONV1.min_bytes(256) / peaks[0], ALEXNET_CONV1.flops(256) / peaks[1]
    best = 1000 * max(of_bytes, of_products)
    assert roof.share(best) == pytest.approx(1)
    drawing = draw_roofline(roof, [Point(name="best", time_ms=best, is_candidate=True)])
    slope, flat = marks(drawing, "line", "roof")
    (point,) = marks(drawing, "circle", "arm candidate")
    (under,) = marks(drawing, "line", "under")
    assert float(point["cy"]) == float(flat["y1"]) == float(flat["y2"]) == float(slope["y2"])
    assert percent(flat["x1"]) < percent(under["x1"]) < percent(flat["x2"])
    assert "best 100 %" in "".join(drawing.itertext())


def test_a_slower_kernel_lies_lower_and_labels_stand_apart() -> None:
    """Also where three take the same time."""
    roof = find_roof(ALEXNET_CONV1, 256, "NVIDIA GeForce RTX 4090")
    assert roof is not None
    points = [Point(name=str(ms), time_ms=ms) for ms in (5.0, 1.0, 1.001, 1.0, 40.0)]
    drawing = draw_roofline(roof, points)
    heights = [float(each["cy"]) for each in marks(drawing, "circle", "arm other")]
    assert heights == sorted(heights)
    labels = [float(each["y"]) for each in marks(drawing, "text", "tick other")]
    assert min(b - a for a, b in pairwise(labels)) >= LABEL_GAP - 0.1
    assert max(labels) < 300


def test_a_card_of_unknown_peaks_has_no_roof() -> None:
    """Nothing is guessed."""
    assert find_roof(ALEXNET_CONV1, 256, "NVIDIA Test") is None


def cells(drawing: Element, class_: str) -> set[tuple[int, int]]:
    """Return row and column of the cells that a path of runs fills."""
    found = set()
    for path in marks(drawing, "path", f"cell {class_}"):
        for x, y, width in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\3z", path["d"]):
            found |= {(int(y), int(x) + step) for step in range(int(width))}
    return found


def test_each_element_of_a_plane_is_drawn_as_what_it_is() -> None:
    """Right, wrong and never written; a row may be shorter, and what was not looked at is left blank."""
    rows = ("..##..", "??.", "", " #.?#", "\u2588<")
    found = FaultMap(wrong=4, compared=9, unwritten=3, where="here", plane="image 0", rows=rows)
    drawing = draw_plane(found)
    for mark, class_ in ((".", "right"), ("#", "wrong"), ("?", "unwritten")):
        places = {(y, x) for y, row in enumerate(rows) for x, each in enumerate(row) if each == mark}
        assert cells(drawing, class_) == places
    assert [key for key in ("right", "wrong", "unwritten") if marks(drawing, "span", f"key {key}")]
    (picture,) = drawing.iter("svg")
    left, top, width, height = map(float, picture.get("viewBox", "").split())
    assert left < 0
    assert top < 0
    assert left + width > 6
    assert top + height > len(rows)
    assert "not looked at" in "".join(drawing.itertext())
    whole = msgspec.structs.replace(found, rows=("##", ".."))
    assert "not looked at" not in "".join(draw_plane(whole).itertext())


def test_a_slower_accepted_kernel_sinks() -> None:
    """Under the line of the best; an unmeasured one has no point, and the numbers are those of the table."""
    kinds = (0.0, None, -0.1, -0.08)
    moments = [
        Moment(date=str(i), log_ratio=each, error=0.001, best=-0.1, kernel_sha256=SHA, reason="r")
        for i, each in enumerate(kinds)
    ]
    drawing = draw_course(moments, 0.02)
    first, best, sunk = (float(each["cy"]) for each in marks(drawing, "circle", "estimate"))
    assert best < sunk < first
    assert float(marks(drawing, "line", "best")[-1]["y1"]) == best
    assert best < float(marks(drawing, "line", "limit")[-1]["y1"]) <= sunk
    numbers = [each.text for each in drawing.iter("text") if each.get("class") == "tick strong"]
    assert numbers == ["1", "3", "4"]
    unmeasured = moments[1:2]
    assert draw_course(unmeasured, 0.02).tag == draw_course([], 0.02).tag == "p"


@pytest.mark.parametrize(
    ("low", "high", "logarithmic"),
    [
        (1.0, 1.0, False),
        (2.0, 1.0, False),
        (0.0, math.inf, False),
        (math.nan, 1.0, False),
        (0.0, 1.0, True),
        (-1.0, 1.0, True),
        (0.1, math.nan, True),
    ],
)
def test_what_is_no_axis_is_refused(low: float, high: float, logarithmic: bool) -> None:
    """Before anything is drawn on it."""
    with pytest.raises(ValueError, match="axis from"):
        Axis(low=low, high=high, logarithmic=logarithmic)


@pytest.mark.parametrize("low", [-1.3, 0.0, 1e-6, 87.0])
@pytest.mark.parametrize("length", [1e-3, 0.37, 1.0, 9.9, 1e6])
def test_ticks_are_few_round_and_within(low: float, length: float) -> None:
    """Never none, and never so many that they cover each other."""
    axis = Axis(low=low, high=low + length)
    ticks = axis.ticks(5)
    assert 1 <= len(ticks) <= 6
    assert all(low - 1e-9 * length <= tick <= low + length * (1 + 1e-9) for tick in ticks)
    assert (axis.share(low), axis.share(low + length)) == (0, pytest.approx(1))
    assert around([low, low + length], 0.1).share(low) == pytest.approx(0.1 / 1.2)


@pytest.mark.parametrize("places", [[], [5.0], [1.0, 1.0, 1.0], [0.0, 90.0, 99.0], [10.0, 96.0, 97.0]])
def test_labels_are_moved_apart_and_stay_above_the_lowest_place(places: list[float]) -> None:
    """In their order, and no further than they must be."""
    moved = spread(places, 10, 100)
    assert all(b - a >= 10 for a, b in pairwise(moved))
    assert max(moved, default=0) <= 100
    if places == [0.0, 90.0, 99.0]:
        assert moved == [0.0, 90.0, 100.0]
