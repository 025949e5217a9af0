"""What the page of a report shows, and that a section without anything to show is not there."""

import re
from typing import Any

import msgspec
import pytest

from kernelgate.correctness.result import Diagnosis
from kernelgate.outcome import Outcome
from kernelgate.performance.decision.log_ratio import summarise
from kernelgate.performance.samples import Arm
from kernelgate.reporting.html.document import accent_of
from kernelgate.reporting.html.page import render_html
from tests.selftest.support.any_reason import any_reason
from tests.selftest.support.html_reader import Page
from tests.selftest.support.made_up_reports import (
    make_correctness,
    make_full_report,
    make_performance,
    make_report_of,
    with_result,
)

CLASSES = {
    "pass": {Outcome.KEEP, Outcome.SAME_CODE, Outcome.NO_REGRESSION},
    "fail": {Outcome.REVERT, Outcome.REGRESSED, Outcome.WRONG, Outcome.FORBIDDEN},
    "unsure": {Outcome.UNSTABLE, Outcome.INVALID, Outcome.NO_BASELINE, Outcome.NOT_MEASURED},
}


def timed(**changes: Any) -> Page:
    result = msgspec.structs.replace(make_performance("chosen"), **changes)
    return Page(render_html(with_result("performance", result)))


@pytest.mark.parametrize("outcome", list(Outcome))
def test_the_first_heading_is_the_verdict_in_the_colour_of_its_class(outcome: Outcome) -> None:
    """Passed, failed, or cannot say; above it is nothing but the circumstances."""
    report = make_report_of("why so", verdict=outcome, reason=any_reason(outcome), next_step="do that")
    page = Page(render_html(report))
    (body,) = page.all("body")
    assert outcome in CLASSES[body["class"]]
    assert accent_of(outcome) == body["class"]
    words = page.words()
    places = [words.index(part) for part in (f"{outcome} kernels/a.py", "Why: why so", "What to do: do that")]
    assert places == sorted(places)


def test_every_section_has_its_place() -> None:
    """What the verdict rests on comes first."""
    assert re.findall(r"<h2>(.*?)</h2>", render_html(make_full_report())) == [
        "What is forbidden",
        "The failing case",
        "Speed on NVIDIA H200, batch 256",
        "Compiled for sm_89, before and after",
        "What NVIDIA H200 counted",
        "Correctness",
        "Stages: 7.5 s in all",
        "Advice",
        "Environment",
    ]


def test_empty_sections_are_left_out() -> None:
    """A report whose stages came to nothing has stages and environment."""
    text = render_html(make_report_of())
    assert re.findall(r"<h2>(.*?)</h2>", text) == ["Stages: 7.5 s in all", "Environment"]
    assert "<svg" not in text.replace('<svg class="share"', "")


def test_what_the_verdict_says_is_said_once() -> None:
    """The stage that it comes from points to it."""
    page = Page(render_html(make_report_of("a fault of its own")))
    assert page.words().count("a fault of its own") == 1
    assert page.words().count("what the verdict says") == 5


def test_the_figure_of_a_timing_stands_under_the_verdict() -> None:
    """As time, with its interval, since a share of time reads otherwise than a factor."""
    gains = summarise([-0.1, -0.101, -0.099, -0.1], 0.95)
    page = timed(candidate=gains, time_ms={**dict.fromkeys(Arm, 1.0), Arm.CANDIDATE: 0.9048})
    assert "9.52 % less time than the accepted kernel" in page.words()
    assert "0.905 ms in place of 1.000 ms a call, 1.11 times as fast" in page.words()
    slower = timed(candidate=summarise([0.1, 0.101, 0.099, 0.1], 0.95))
    assert "10.52 % more time than the accepted kernel" in slower.words()
    same = timed(candidate=summarise([0.001, -0.001, 0.002, -0.001], 0.95))
    assert "No difference in time: -0.03 %" in same.words()


def test_figures_that_decide_nothing_are_not_told_as_a_gain() -> None:
    """UNSTABLE is somewhere within its interval; of INVALID no figure is to be trusted."""
    report = with_result("performance", make_performance("chosen"))
    unstable = msgspec.structs.replace(report, verdict=Outcome.UNSTABLE)
    assert "Gain somewhere from 1.00 to 2.96 %" in Page(render_html(unstable)).words()
    invalid = Page(render_html(msgspec.structs.replace(report, verdict=Outcome.INVALID)))
    assert not invalid.all("p", "number-first")


def test_the_case_is_told_once_in_the_command_that_makes_it_again() -> None:
    """The reason ends before it."""
    report = with_result("correctness", make_correctness("hard-bound"))
    case = "batch=3,family=normal,seed=1,pin=0,programs=10,layout=contiguous,relation=none"
    told = msgspec.structs.replace(report, detail=f"off by one. Replay: --replay {case}")
    assert "Why: off by one. What to do:" in Page(render_html(told)).words()
    other = msgspec.structs.replace(report, detail="off by one. Replay: --replay batch=9")
    assert "off by one. Replay: --replay batch=9" in Page(render_html(other)).words()


def test_the_figure_of_a_wrong_answer_is_how_much_is_wrong() -> None:
    """Where there is no picture of it, the broken law."""
    assert "3 of 16 elements wrong" in Page(render_html(make_full_report())).words()
    report = with_result("correctness", make_correctness("hard-bound"))
    assert "Broken law: hard-bound" in Page(render_html(report)).words()
    result = make_correctness("hard-bound")
    assert result.finding is not None
    finding = msgspec.structs.replace(result.finding, diagnosis=Diagnosis(no_script="it raced"))
    page = render_html(with_result("correctness", msgspec.structs.replace(result, finding=finding)))
    assert "it raced" in page
    assert '"picture"' not in page


def test_a_law_that_is_broken_is_the_first_of_its_table() -> None:
    """The table opens when it is asked for, and its title counts."""
    text = render_html(with_result("correctness", make_correctness("off by one")))
    assert "<summary>Laws: 1 held, 1 broken, 1 not tried</summary>" in text
    assert text.index('class="broken"') < text.index('class="held"')
    assert all("open" not in attributes for attributes in Page(text).all("details"))


def test_what_no_case_tried_is_marked() -> None:
    """Nobody saw what lies there. An operation without a matrix or filters has no magnitudes of a weight."""
    page = Page(render_html(make_full_report()))
    assert "constant 0" in page.words()
    assert len(page.all("li", "none")) == 5
    assert "magnitudes of the weight" not in page.words()
    assert "not seen here: x" in page.words()


def test_a_compile_record_shows_before_and_after_beside_the_limit() -> None:
    """A program of both kernels has one row."""
    report = make_full_report()
    result: Any = report.stages["compile"].result
    after = msgspec.structs.replace(result.candidate.configs[1].launches[0], registers=255, warps_per_sm=8)
    record = msgspec.structs.replace(result.candidate.configs[1], launches=(after,))
    ours = msgspec.structs.replace(result.candidate, configs=(record,))
    theirs = msgspec.structs.replace(result.candidate, configs=result.candidate.configs[1:])
    both = msgspec.structs.replace(result, candidate=ours, accepted=theirs)
    page = Page(render_html(with_result("compile", both)))
    assert "registers a thread, of 255" in page.words()
    assert "shared bytes a block, of 101,376" in page.words()
    assert "both: conv 96 → 255" in page.words()
    assert "20 → 8" in page.words()
    assert len(page.all("svg", "meter full")) == 1


@pytest.mark.parametrize("target", ["sm_999", "", "sm_89 "])
def test_a_target_of_unknown_limits_is_shown_without_them(target: str) -> None:
    """Its record is one all the same."""
    result: Any = make_full_report().stages["compile"].result
    other = msgspec.structs.replace(result.candidate, target=target)
    page = Page(render_html(with_result("compile", msgspec.structs.replace(result, candidate=other))))
    assert "warps an SM products" in page.words()
