"""The chart of a gain: what is drawn, and that all of it is in the picture."""

import colorsys
import math
import re

import pytest
from markdown_it import MarkdownIt

from kernelgate.performance.decision.log_ratio import Slowdown, summarise
from kernelgate.reporting.interval_chart import draw_gain

BAND = (0.01, 0.02)
GAINS = {
    "gains": (0.03, 0.031, 0.029, 0.03),
    "losses": (-0.03, -0.031, -0.029, -0.03, -0.5),
    "both": (0.02, -0.02, 0.001, -0.001),
    "none": (0.0, 0.0, 0.0, 0.0),
    "wide": (0.5, -9.0, 0.1, 0.2, 0.3, 0.9, 0.2, 0.1, 0.0, 0.1),
}


def slowdown_of(gains: tuple[float, ...]) -> Slowdown:
    return summarise([math.log1p(-gain) for gain in gains], 0.95)


def numbers(drawn: str, what: str) -> list[list[float]]:
    """Return the numbers of each line of the chart that draws this."""
    lists = re.findall(rf"^  {what} \[(.*)\]$", drawn, re.MULTILINE)
    return [[float(number) for number in each.split(", ")] for each in lists]


def axis(drawn: str) -> tuple[int, int]:
    (ends,) = re.findall(r'^  y-axis "gain %" (-?\d+) --> (-?\d+)$', drawn, re.MULTILINE)
    return int(ends[0]), int(ends[1])


def name_colour(code: str) -> str:
    """Return what a person would call a colour like #d97706."""
    hue, _, saturation = colorsys.rgb_to_hls(*(int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)))
    near = {30: "Orange", 140: "Green", 220: "Blue"}
    return near[min(near, key=lambda each: abs(360 * hue - each))] if saturation > 0.3 else "Grey"


@pytest.mark.parametrize("gains", GAINS.values(), ids=list(GAINS))
def test_each_replicate_is_drawn(gains: tuple[float, ...]) -> None:
    """In their order, in percent of gain, numbered from one."""
    drawn = draw_gain(slowdown_of(gains), BAND)
    assert numbers(drawn, "line")[0] == pytest.approx([100 * gain for gain in gains], abs=6e-4)
    assert numbers(drawn, 'x-axis "replicate"') == [list(range(1, len(gains) + 1))]


@pytest.mark.parametrize("band", [BAND, (0.025, 0.05)])
@pytest.mark.parametrize("gains", GAINS.values(), ids=list(GAINS))
def test_interval_and_band_are_lines_over_all_replicates(
    gains: tuple[float, ...], band: tuple[float, float]
) -> None:
    """The low end, the high end, where noise ends, and from where on a gain is kept."""
    slowdown = slowdown_of(gains)
    levels = (slowdown.gain_low, slowdown.gain_high, *band)
    lines = numbers(draw_gain(slowdown, band), "line")[1:]
    assert lines == [pytest.approx([100 * level] * len(gains), abs=6e-4) for level in levels]


@pytest.mark.parametrize("band", [BAND, (0.1, 0.2)])
@pytest.mark.parametrize("gains", GAINS.values(), ids=list(GAINS))
def test_the_axis_holds_everything(gains: tuple[float, ...], band: tuple[float, float]) -> None:
    """Zero, replicates, ends and band, with room around them but not much more."""
    drawn = draw_gain(slowdown_of(gains), band)
    drawn_at = [0.0, *(number for each in numbers(drawn, "line") for number in each)]
    low, high = axis(drawn)
    assert low + 0.4 < min(drawn_at) < low + 2
    assert high - 2 < max(drawn_at) < high - 0.4


def test_each_thing_has_its_colour_and_the_legend_says_which() -> None:
    """In the order of what is drawn: replicates, two ends, noise, proven."""
    drawn = draw_gain(slowdown_of(GAINS["gains"]), (0.015, 0.02))
    (palette,) = re.findall(r'"plotColorPalette": "(.*?)"', drawn)
    replicates, low, high, noise, proven = palette.split(", ")
    assert low == high
    assert [name_colour(each) for each in (replicates, low, noise, proven)] == [
        "Grey",
        "Blue",
        "Orange",
        "Green",
    ]
    assert re.findall(r"(\w+): ", drawn)[-4:] == ["Grey", "Blue", "Orange", "Green"]
    assert drawn.endswith("Orange: 1.5 %, below it is noise. Green: 2 %, from it on a gain is kept.")


def test_the_chart_is_one_block_of_mermaid() -> None:
    """And the legend a paragraph after it."""
    tokens = MarkdownIt("commonmark").parse(draw_gain(slowdown_of(GAINS["both"]), BAND))
    assert [token.type for token in tokens] == ["fence", "paragraph_open", "inline", "paragraph_close"]
    assert tokens[0].info == "mermaid"
    settings, kind, *_ = tokens[0].content.splitlines()
    assert settings.startswith("%%{init: ")
    assert kind == "xychart-beta"


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e4])
@pytest.mark.parametrize("place", ["low", "high", "first", "last"])
def test_what_has_no_ends_is_said_in_a_sentence(place: str, value: float) -> None:
    """So is what is too far away to be drawn: a report must not fail for its picture."""
    slowdown = Slowdown(
        estimate=0.0,
        low=-value if place == "low" else -0.1,
        high=value if place == "high" else 0.1,
        replicates=(-value if place == "first" else 0.0, 0.0, 0.0, value if place == "last" else 0.0),
        confidence=0.95,
    )
    assert draw_gain(slowdown, BAND) == "No chart: the interval has no ends."
