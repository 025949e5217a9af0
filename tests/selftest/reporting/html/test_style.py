"""How the pages look: every rule has a use, and text stands out from what is behind it."""

import re

import msgspec
import pytest

from kernelgate.reporting.history import Course, Moment
from kernelgate.reporting.html.history import render_history_page
from kernelgate.reporting.html.page import render_html
from kernelgate.reporting.html.style import PALETTE, STYLE
from kernelgate.verdict import Outcome
from tests.selftest.support.html_reader import Page
from tests.selftest.support.made_up_reports import SHA, make_full_report

CONTRAST = 4.5
"""Of text, at least: WCAG 2.2, success criterion 1.4.3, level AA."""

COLOURS = [dict(re.findall(r"--(\w+): (#\w{6});", part)) for part in PALETTE.split("@media")]


def luminance(colour: str) -> float:
    """Return the relative luminance of #rrggbb (WCAG 2.2, glossary)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("colours", COLOURS, ids=["light", "dark"])
@pytest.mark.parametrize("behind", ["paper", "wash"])
@pytest.mark.parametrize("text", ["ink", "soft", "pass", "fail", "unsure", "blue"])
def test_text_can_be_read(colours: dict[str, str], text: str, behind: str) -> None:
    """In both schemes, on the page and on what is washed."""
    light, dark = sorted((luminance(colours[text]), luminance(colours[behind])), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= CONTRAST


def test_every_rule_has_a_use() -> None:
    """The style holds nothing that no page asks for, and no element a class that nobody knows."""
    moment = Moment(date="d", log_ratio=-0.1, error=0.001, best=-0.1, kernel_sha256=SHA, reason="r")
    moments = (moment, moment, msgspec.structs.replace(moment, is_run=True))
    course = Course(operation="o", gpu="g", moments=moments)
    full = make_full_report()
    pages = [render_history_page("o", [course], 0.02)]
    pages += [render_html(msgspec.structs.replace(full, verdict=outcome)) for outcome in Outcome]
    used = {
        name
        for page in pages
        for _, attributes in Page(page).elements
        for name in attributes.get("class", "").split()
    }
    ruled = set(re.findall(r"\.([a-z][a-z-]*)", re.sub(r"\{[^{}]*\}", "", STYLE)))
    assert ruled - used == {"full"}  # of a figure at its limit
    assert used - ruled == {"tick", "label", "points"}
