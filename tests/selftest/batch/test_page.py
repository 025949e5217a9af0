"""The page of a batch: the best first, every candidate in it, each with the way to its report."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from kernelgate.batch.page import MOST_DRAWN, render_batch_page
from kernelgate.batch.result import Result
from kernelgate.verdict import Outcome, Reason
from tests.selftest.support.html_reader import Page

FOLDER = Path("batch")
EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "batch"


def make_result(
    file: str, verdict: Outcome, reason: Reason, gain: float | None = None, **more: Any
) -> Result:
    ends = {} if gain is None else {"gain": gain, "gain_low": gain - 0.001, "gain_high": gain + 0.001}
    facts = {"sha256": "a" * 64, "asked": "b" * 64, "detail": f"detail of {file}", "next_step": "go on"}
    facts |= {"operation": "softmax", "seconds": 12.3, "report": f"batch/{file}-1", "passes": verdict.passes}
    return Result(file=file, verdict=verdict, reason=reason, **{**facts, **ends, **more})


SLOWER = make_result("slower.py", Outcome.REGRESSED, Reason.PROVEN_SLOWER, -0.6)
FASTER = make_result("faster.py", Outcome.KEEP, Reason.PROVEN_GAIN, 0.05)
SAME = make_result("same.py", Outcome.REVERT, Reason.GAIN_TOO_SMALL, 0.001)
WRONG = make_result("wrong.py", Outcome.WRONG, Reason.EXACT, detail="out[0]: got 1. Replay: --replay batch=1")
COPY = make_result("copy.py", Outcome.WRONG, Reason.EXACT, same_as="wrong.py", seconds=0.0)
KNOWN = make_result("known.py", Outcome.WRONG, Reason.EXACT, reused=True)
NO_FILE = make_result("gone.py", Outcome.INVALID, Reason.NOT_JUDGED, report=None, operation=None)
ALL = [WRONG, SLOWER, COPY, NO_FILE, SAME, KNOWN, FASTER]


def places_of(text: str, *files: str) -> list[int]:
    """Return where the names stand in the tables, below the picture."""
    return [text.index(f">{file}<", text.rindex("</svg>") if "</svg>" in text else 0) for file in files]


def test_what_is_worth_a_look_comes_first() -> None:
    """By verdict, then by gain; those that were timed before the others."""
    text = render_batch_page(ALL, FOLDER, 60.0)
    order = places_of(text, "faster.py", "same.py", "slower.py", "copy.py", "known.py", "wrong.py", "gone.py")
    assert order == sorted(order)
    assert "1 KEEP, 1 REVERT, 1 REGRESSED, 3 WRONG, 1 INVALID" in text
    assert "5 judged in 60 s" in text
    assert "300 an hour" in text


def test_each_name_leads_to_its_report() -> None:
    """From the folder that the page lies in; one that was never judged leads nowhere."""
    page = Page(render_batch_page(ALL, FOLDER, 60.0))
    assert [each["href"] for each in page.all("a")][:2] == [
        "faster.py-1/report.html",
        "same.py-1/report.html",
    ]
    assert len(page.all("a")) == len(ALL) - 1


def test_gains_are_drawn_and_told() -> None:
    """One that is far off is written; a case to replay is left to the report."""
    text = render_batch_page(ALL, FOLDER, 60.0)
    assert "5.00 % [4.90, 5.10]" in text
    assert "-60 %, beyond the picture" in text
    assert "out[0]: got 1." in text
    assert "--replay" not in text


@pytest.mark.parametrize("count", [0, 1, MOST_DRAWN + 5])
def test_any_number_of_candidates_has_a_page(count: int) -> None:
    """None at all too; of very many the picture has the best."""
    results = [
        make_result(f"{n}.py", Outcome.KEEP, Reason.PROVEN_GAIN, 0.02 + n / 1000) for n in range(count)
    ]
    text = render_batch_page(results, FOLDER, 0.1)
    assert text.count('class="estimate"') == min(count, MOST_DRAWN)
    assert f"{count} candidates" in text


def test_what_a_file_is_called_is_text() -> None:
    """Whatever it is."""
    named = make_result("<script>alert(1)</script>.py", Outcome.WRONG, Reason.EXACT)
    page = Page(render_batch_page([named], FOLDER, 1.0))
    assert not page.all("script")


def test_the_page_that_the_docs_show_is_that_of_its_results() -> None:
    """Fifty candidates on two GPUs; it is made again from what was recorded."""
    results = [
        msgspec.json.decode(line, type=Result)
        for line in (EXAMPLE / "results.jsonl").read_bytes().splitlines()
    ]
    page = (EXAMPLE / "batch.html").read_text(encoding="utf-8")
    assert page == render_batch_page(results, EXAMPLE, 242)
    assert len(results) == 50
