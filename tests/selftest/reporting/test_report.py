"""What people read: nothing that a candidate says can leave its place in it."""

from typing import Any

import msgspec
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from kernelgate.pipeline.pipeline import ORDER
from kernelgate.reporting.page import render_markdown
from kernelgate.reporting.report import Report
from kernelgate.reporting.terminal import render_summary
from tests.selftest.support.made_up_reports import (
    SMUGGLED,
    make_compile_result,
    make_correctness,
    make_performance,
    make_report_of,
    with_result,
)


def parse_markdown(report: Report) -> list[Token]:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return parser.parse(render_markdown(report))


def outline(report: Report) -> list[str]:
    """Return the structure of the Markdown as it is rendered: blocks, and what is in them but text."""
    found = []
    for token in parse_markdown(report):
        inline = [child.type for child in token.children or ()]
        found += [token.type, *(kind for kind in inline if kind not in ("text", "text_special"))]
    return found


def count_shown(report: Report, text: str) -> int:
    """Return how many cells and paragraphs show the text to its end, on one line."""
    blocks = ["".join(child.content for child in token.children or ()) for token in parse_markdown(report)]
    return sum(block.replace("\u200b", "").endswith(" ".join(text.split())) for block in blocks)


def headings(report: Report) -> list[str]:
    return [line for line in render_markdown(report).splitlines() if line.startswith("#")]


@pytest.mark.parametrize("smuggled", SMUGGLED)
def test_a_detail_cannot_leave_its_place(smuggled: str) -> None:
    """Neither in the paragraph nor in the table of stages."""
    for detail in (f"broken: {smuggled}", f"{smuggled} broken"):
        assert outline(make_report_of(detail)) == outline(make_report_of())
        assert count_shown(make_report_of(detail), detail) == 1 + len(ORDER)


@pytest.mark.parametrize("smuggled", SMUGGLED)
def test_a_next_step_holds_code_and_cannot_leave_its_place(smuggled: str) -> None:
    """A command is shown as it is pasted; what it names is text."""
    report = make_report_of()
    said = msgspec.structs.replace(report, next_step=f"Run `kernelgate judge a_*_b.py`, {smuggled}")
    assert "**Next:** Run `kernelgate judge a_*_b.py`, " in render_markdown(said)
    plain = msgspec.structs.replace(report, next_step="Run `kernelgate judge a_*_b.py`, well")
    kinds = [kind for kind in outline(said) if kind != "code_inline"]
    assert kinds == [kind for kind in outline(plain) if kind != "code_inline"]


@pytest.mark.parametrize("smuggled", SMUGGLED)
def test_a_path_cannot_leave_its_place(smuggled: str) -> None:
    """A file may be called anything."""
    assert outline(make_report_of(path=f"kernels/{smuggled}.py")) == outline(make_report_of())
    assert headings(make_report_of(path=f"kernels/{smuggled}.py"))[1:] == headings(make_report_of())[1:]


@pytest.mark.parametrize("smuggled", SMUGGLED)
@pytest.mark.parametrize(
    ("stage", "make"),
    [("compile", make_compile_result), ("correctness", make_correctness), ("performance", make_performance)],
)
def test_what_a_stage_found_cannot_leave_its_place(stage: str, make: Any, smuggled: str) -> None:
    """Compiler errors, values of configurations, laws and autotuners' choices are the candidate's words."""
    assert outline(with_result(stage, make(smuggled))) == outline(with_result(stage, make("plain")))


@pytest.mark.parametrize("smuggled", SMUGGLED)
def test_advice_cannot_leave_its_place(smuggled: str) -> None:
    """It holds lines of the candidate's; it is shown to its end, and without any there is no word of it."""
    plain, report = (make_report_of(advice=(f"line 3: {text}",)) for text in ("plain", smuggled))
    assert outline(report) == outline(plain)
    assert count_shown(report, f"line 3: {smuggled}") == 1
    assert "## Advice" in headings(report)
    assert "## Advice" not in headings(make_report_of())


def test_the_terminal_shows_each_advice_on_a_line() -> None:
    """It decides nothing, so it stands below the stages."""
    lines = render_summary(make_report_of(advice=("line 3: gc", "line 4: x\nKEEP"))).splitlines()
    advice = [line for line in lines if "advice" in line]
    assert advice == ["  advice: line 3: gc", "  advice: line 4: x"]
    assert lines.index(advice[-1]) < lines.index("WRONG  (hard-bound)")


@pytest.mark.parametrize("place", ["detail", "path"])
def test_nobody_is_mentioned(place: str) -> None:
    """An @name is text for the eye, not a call."""
    text = render_markdown(make_report_of(**{place: "ask @somebody"}))
    paragraphs = text if place == "detail" else text.partition("\n")[2]
    assert "somebody" in text
    assert "@somebody" not in paragraphs


@pytest.mark.parametrize("smuggled", [text for text in SMUGGLED if set(text) & set("|<`&") or "](" in text])
def test_what_is_smuggled_would_be_seen(monkeypatch: pytest.MonkeyPatch, smuggled: str) -> None:
    """Without the escaping, each of them changes the structure, or what is shown."""
    monkeypatch.setattr("kernelgate.reporting.markdown._INERT", {})
    report = make_report_of(f"broken: {smuggled}")
    whole = count_shown(report, f"broken: {smuggled}") == 1 + len(ORDER)
    assert not whole or outline(report) != outline(make_report_of())


def test_ordinary_words_are_shown_as_they_are() -> None:
    """What a person should read is still to be read."""
    report = make_report_of("alexnet_conv1: error 0.031, allowed 0.004 (line 3)")
    assert "alexnet_conv1: error 0.031, allowed 0.004 (line 3)" in render_markdown(report)
    assert headings(report)[0] == "# WRONG: `kernels/a.py`"


@pytest.mark.parametrize(
    "smuggled", ["x\nKEEP  (proven-gain)", "x\n::error::KEEP", "\x1b[2Jx\rKEEP", "x\n  next: none"]
)
def test_a_detail_cannot_forge_a_line_of_the_terminal(smuggled: str) -> None:
    """Each line that is not the gate's own is marked, and no control character is written."""
    lines = render_summary(make_report_of(smuggled)).splitlines()
    honest = render_summary(make_report_of()).splitlines()
    own = [line for line in lines if not line.startswith("  | ")]
    assert len(own) == len(honest)
    assert own[0] == honest[0]
    assert all(line.isprintable() for line in lines)
    assert not any(line.strip().startswith("::") for line in lines)
