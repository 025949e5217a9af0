"""What a terminal shows of a judgement, and what a log gets."""

import io
import re

import pytest

from kernelgate.judging.screen import Screen, show_verdict
from kernelgate.pipeline.stage import StageResult
from kernelgate.reporting import progress
from kernelgate.reporting.terminal import render_asked
from kernelgate.verdict import Outcome, Reason
from tests.selftest.support.made_up_reports import make_report_of

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal(io.StringIO):
    """Says that it is one."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")
    for name in ("NO_COLOR", "FORCE_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)


def test_a_stage_is_told_when_it_ends() -> None:
    """With a mark on a terminal; the same words in a log, and nothing that drives one."""
    result = StageResult(status="passed", detail="[red]all[/] of it\x1b[2J", seconds=1.25)
    for output, first in ((Terminal(), "✓"), (io.StringIO(), " ")):
        Screen(output).ended("compile", result)
        said = ESCAPES.sub("", output.getvalue())
        assert said == f"{first} compile      passed        1.2 s  [red]all[/] of it?[2J\n"
    assert "\x1b" not in output.getvalue()


def test_a_log_is_told_every_ten_seconds_that_a_stage_is_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the columns of the stage's own line; of a short stage it says nothing."""
    log, times = io.StringIO(), iter([100.0, 109.0, 111.0, 115.0, 121.5, 123.0, 131.0, 131.6])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(times))
    screen = Screen(log)
    for stage in ("compile", "compile", "correctness"):
        screen.note(stage)
    assert log.getvalue() == ""
    for _ in range(5):
        screen.note("correctness")
    assert log.getvalue().splitlines() == [
        "  correctness  works        10.5 s  2 steps so far",
        "  correctness  works        20.6 s  5 steps so far",
    ]


def test_what_is_judged_is_said_first() -> None:
    """As what, and by which stage: the rest follows from that."""
    assert render_asked("a\x1b[2J.py", "softmax", "open") == "a?[2J.py as softmax, by stage open"


def test_the_verdict_is_last_and_in_a_frame() -> None:
    """Its name at the top, its reason at the bottom, and why between; a command to copy stands outside."""
    report = make_report_of(verdict=Outcome.WRONG, reason=Reason.HARD_BOUND, detail="a [b] c", passes=False)
    terminal = Terminal()
    show_verdict(report, "there/report.html", terminal)
    assert "\x1b[31m" in terminal.getvalue()
    lines = ESCAPES.sub("", terminal.getvalue()).splitlines()
    start = lines.index("  report: there/report.html") + 1
    assert re.fullmatch(r"╭─+ +WRONG +─+╮", lines[start])
    assert lines[start + 1].startswith("│ a [b] c ")
    assert re.fullmatch(r"╰─+ hard-bound ─+╯", lines[-2])
    assert lines[-1] == f"next: {report.next_step}"


@pytest.mark.parametrize(
    ("verdict", "passes", "colour"),
    [(Outcome.KEEP, True, 32), (Outcome.REVERT, False, 31), (Outcome.UNSTABLE, False, 33)],
)
def test_its_colour_says_how_it_ended(verdict: Outcome, passes: bool, colour: int) -> None:
    """Green for what passes, yellow for what decides nothing, red for the rest."""
    terminal = Terminal()
    show_verdict(make_report_of(verdict=verdict, passes=passes), "there", terminal)
    assert f"\x1b[{colour}m" in terminal.getvalue()


def test_a_log_gets_plain_lines() -> None:
    """The verdict with its reason, then why, then what to do."""
    log = io.StringIO()
    show_verdict(make_report_of(detail="so it is"), "there", log, with_remarks=False)
    first, verdict, why, *_, following = log.getvalue().splitlines()
    assert first == "  report: there"
    assert re.fullmatch(r"[A-Z_]+  \([a-z-]+\)", verdict)
    assert why == "  so it is"
    assert following.startswith("  next: ")
