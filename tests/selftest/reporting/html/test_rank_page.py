"""A ranking as a page: the picture, the table, and that a phone and a screen reader can take it."""

import re
from typing import Any

import msgspec
import pytest

from kernelgate.reporting.html.charts.places import draw_places
from kernelgate.reporting.html.charts.rows import LETTERS
from kernelgate.reporting.html.rank import render_ranking_page
from kernelgate.reporting.html.style import STYLE
from kernelgate.reporting.ranking.record import Ranking
from tests.selftest.support.html_reader import Page
from tests.selftest.support.made_up_rankings import make_none, make_ranked, make_ranking, make_tie
from tests.selftest.support.made_up_reports import SMUGGLED

EVERY = [
    make_ranking(),
    make_tie(),
    make_ranking(ended="unresolved"),
    make_ranking(ended="unstable", detail="the control is off"),
    make_none(),
]


def percent(place: str) -> float:
    return float(place.removesuffix("%"))


def marks(drawing: Any, tag: str, class_: str) -> list[dict[str, str]]:
    return [each.attrib for each in drawing.iter(tag) if each.get("class") == class_]


def test_every_interval_lies_where_its_figure_says() -> None:
    """Measured by the numbers of the axis; the fastest is a point on the line of 0."""
    ranked = (
        make_ranked("a.py", 0.0, tied=True),
        make_ranked("b.py", 0.004, tied=True, half=0.0045),
        make_ranked("c.py", 0.02, 3),
    )
    drawing = draw_places(ranked, 0.01)
    numbers = [each for each in drawing.iter("text") if re.fullmatch(r"-?[\d.]+ %", each.text or "")]
    ticks = [(float((each.text or "").split()[0]), percent(each.get("x", ""))) for each in numbers]
    (first, at_first), (last, at_last) = ticks[0], ticks[-1]
    scale = (at_last - at_first) / (last - first)

    def figure_at(place: str) -> float:
        assert 0 < percent(place) < 100
        return first + (percent(place) - at_first) / scale

    bars = [(figure_at(bar["x1"]), figure_at(bar["x2"])) for bar in marks(drawing, "line", "interval")]
    expected = [(0.0, 0.0), (-0.05, 0.85), (1.9, 2.1)]
    assert [end for bar in bars for end in bar] == pytest.approx(
        [end for bar in expected for end in bar], abs=0.02
    )
    (zero,), (noise,) = marks(drawing, "line", "rule gain"), marks(drawing, "line", "rule")
    assert [figure_at(zero["x1"]), figure_at(noise["x1"])] == pytest.approx([0.0, 1.0], abs=0.02)
    tops = [float(bar["y1"]) for bar in marks(drawing, "line", "interval")]
    assert tops == sorted(tops)
    assert len(set(tops)) == len(ranked)


def test_one_that_is_far_off_does_not_shrink_the_others() -> None:
    """It is written in its row."""
    drawing = draw_places(make_ranking().ranked, 0.01)
    assert len(marks(drawing, "line", "interval")) == 2
    assert "+150 %, beyond the picture" in [each.text for each in drawing.iter("text")]


def test_a_long_name_fits_a_phone() -> None:
    """Its end tells files apart."""
    drawing = draw_places((make_ranked("candidates/" * 9 + "b.py", 0.0),), 0.01)
    (name,) = [each.text or "" for each in drawing.iter("text") if (each.text or "").endswith("b.py")]
    assert len(name) <= LETTERS + len("1  ")


@pytest.mark.parametrize("ranking", EVERY, ids=lambda each: each.ended)
def test_the_page_stands_alone_and_fits_a_phone(ranking: Ranking) -> None:
    """No script, nothing fetched; tables scroll by themselves, and both colour schemes are declared."""
    text = render_ranking_page(ranking)
    page = Page(text)
    assert not page.all("script") + page.all("link") + page.all("img")
    assert "http" not in text.replace("http-equiv", "")
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    assert {"name": "color-scheme", "content": "light dark"} in page.all("meta")
    assert len(page.all("table")) == len(page.all("div", "scroll"))
    assert page.all("html") == [{"lang": "en"}]


@pytest.mark.parametrize("ranking", EVERY, ids=lambda each: each.ended)
def test_a_screen_reader_is_told_what_is_drawn(ranking: Ranking) -> None:
    """Pictures and scrolling tables have names; there is one heading above all."""
    page = Page(render_ranking_page(ranking))
    assert len(page.all("h1")) == 1
    for each in page.all("svg"):
        assert each["role"] == "img"
        assert each["aria-label"]
    for each in page.all("div", "scroll"):
        assert each["aria-label"]
        assert each["tabindex"] == "0"
    assert all(each.get("scope") for each in page.all("th"))


@pytest.mark.parametrize("ranking", EVERY, ids=lambda each: each.ended)
def test_the_page_asks_for_no_class_without_a_style(ranking: Ranking) -> None:
    """Its parts are those of the report's page."""
    page = Page(render_ranking_page(ranking))
    used = {name for _, attributes in page.elements for name in attributes.get("class", "").split()}
    ruled = set(re.findall(r"\.([a-z][a-z-]*)", re.sub(r"\{[^{}]*\}", "", STYLE)))
    assert used - ruled <= {"tick", "label"}


@pytest.mark.parametrize(
    ("ranking", "word", "accent"),
    [(EVERY[0], "FASTEST", "pass"), (EVERY[1], "TIE", "pass"), (EVERY[2], "NOT RESOLVED", "unsure"),
     (EVERY[3], "UNSTABLE", "unsure"), (EVERY[4], "NOT RANKED", "fail")],
    ids=lambda each: getattr(each, "ended", each),
)  # fmt: skip
def test_the_page_begins_with_the_answer(ranking: Ranking, word: str, accent: str) -> None:
    """In a word and a colour."""
    page = Page(render_ranking_page(ranking))
    assert page.all("body") == [{"class": accent}]
    assert f"{word}: " in page.words()
    assert f"Why: {ranking.detail}" in page.words()


def test_the_table_says_all_of_each_kernel() -> None:
    """Place, time, gain, time over the fastest, why it left; what is not ranked has its verdict."""
    words = Page(render_ranking_page(make_ranking())).words()
    assert "a.py64/64/32, 4 warps 1 1.0000 50.00 % [49.90, 50.10] 0.00 % 4 in it to the end" in words
    assert "2 1.0200 49.00 % [48.90, 49.10] 2.00 % [1.90, 2.10] 4 proven slower than a.py" in words
    assert "w.py WRONG (hard-bound) out[0] is off" in words
    assert "accepted kernel over itself gain 0.00 % [-0.01, 0.01]" in words
    both = msgspec.structs.replace(make_ranked("a.py", 0.0), copies=("z.py",))
    assert "the same bytes: z.py" in Page(render_ranking_page(make_ranking(ranked=(both,)))).words()


def test_figures_that_are_not_to_be_trusted_are_not_told_as_a_gain() -> None:
    """The head says so in their place."""
    (head, *_) = Page(render_ranking_page(EVERY[3])).words().split("Why:")
    assert "the ranking is not to be trusted" in head
    assert "Gain" not in head


@pytest.mark.parametrize("smuggled", SMUGGLED)
def test_a_name_is_text_and_nothing_more(smuggled: str) -> None:
    """Whatever a file is called, or a detail quotes."""
    plain = render_ranking_page(make_ranking(detail="x", ranked=(make_ranked("x", 0.0),)))
    hostile = render_ranking_page(make_ranking(detail=smuggled, ranked=(make_ranked(smuggled, 0.0),)))
    assert [tag for tag, _ in Page(hostile).elements] == [tag for tag, _ in Page(plain).elements]
