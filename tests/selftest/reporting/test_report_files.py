"""A report is read back as it was written; what is no report of this version is refused with its cause."""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kernelgate.kernel_file.violation import Violation
from kernelgate.performance.explanation.hardware_counters import Counters
from kernelgate.reporting.report import Report
from kernelgate.reporting.report_files import (
    MAX_REPORT_BYTES,
    PAGES,
    REPORT_NAME,
    ReportError,
    read_report,
    write_report,
)
from kernelgate.reporting.report_schema import render_schema
from kernelgate.verdict import Outcome, Reason
from tests.selftest.support.made_up_reports import (
    make_compile_result,
    make_correctness,
    make_performance,
    make_report_of,
    with_result,
)

DOCS = Path(__file__).resolve().parents[3] / "docs"
EXAMPLES = sorted((DOCS / "examples").glob(f"*/{REPORT_NAME}"))


def finite(result: Any) -> Any:
    return msgspec.structs.replace(result, error_ratio=0.5)


RESULTS: dict[str, Callable[[], Report]] = {
    "no result": make_report_of,
    "violations": lambda: with_result("format", (Violation(rule="order", line=3, message="late"),)),
    "compile": lambda: with_result("compile", make_compile_result("none")),
    "correctness": lambda: with_result("correctness", finite(make_correctness("off"))),
    "performance": lambda: with_result("performance", make_performance("chosen")),
    "counters": lambda: make_report_of(counters=Counters(missing="no profiler")),
}


@pytest.mark.parametrize("make", RESULTS.values(), ids=RESULTS)
def test_a_report_is_read_back_equal(tmp_path: Path, make: Callable[[], Report]) -> None:
    """Whatever its stages have come to; each result comes back as the record that it was."""
    write_report(make(), tmp_path / "new" / "folder")
    assert read_report(tmp_path / "new" / "folder" / REPORT_NAME) == make()


def test_a_number_that_is_not_finite_is_read_as_nan(tmp_path: Path) -> None:
    """In JSON it is null; where null is a value of its own, it stays one."""
    write_report(with_result("correctness", make_correctness("off")), tmp_path)
    result: Any = read_report(tmp_path / REPORT_NAME).stages["correctness"].result
    assert math.isnan(result.error_ratio)
    assert (result.bound_fraction, result.vendor_ratio) == (2.0, None)
    timing = make_performance("chosen")
    endless = msgspec.structs.replace(timing.candidate, low=-math.inf, replicates=(-0.02, math.nan, 0.0, 0.0))
    write_report(with_result("performance", msgspec.structs.replace(timing, candidate=endless)), tmp_path)
    read = read_report(tmp_path / REPORT_NAME).timing
    assert read is not None
    assert math.isnan(read.candidate.low)
    assert [math.isnan(each) for each in read.candidate.replicates] == [False, True, False, False]
    assert read.control == timing.control


def test_only_a_timing_is_a_timing() -> None:
    """A performance stage that failed on the way has none."""
    assert make_report_of().timing is None
    assert with_result("performance", make_performance("chosen")).timing == make_performance("chosen")


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.parent.name)
def test_the_example_reports_are_reports(file: Path) -> None:
    """Nothing is lost on the way through the records."""
    report = read_report(file)
    assert msgspec.json.decode(msgspec.json.encode(report)) == json.loads(file.read_text(encoding="utf-8"))
    assert report.reason.outcome is report.verdict


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.parent.name)
@pytest.mark.parametrize("page", PAGES)
def test_the_example_pages_are_those_of_their_reports(file: Path, page: str) -> None:
    """Else: `kernelgate report DIR`. Each is small enough to be sent to a colleague."""
    text = (file.parent / page).read_text(encoding="utf-8")
    assert text == PAGES[page](read_report(file))
    assert len(text.encode()) < 60_000


def test_an_older_report_is_said_to_be_older(tmp_path: Path) -> None:
    """And what to do; no guess is made at what it would be today."""
    document = json.loads(EXAMPLES[0].read_text(encoding="utf-8")) | {"schema": "kernelgate.report/1"}
    (tmp_path / REPORT_NAME).write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ReportError, match=r"report/1 is older than kernelgate\.report/2; judge again"):
        read_report(tmp_path / REPORT_NAME)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "truncated"),
        (b"[]", "schema is None"),
        (b'{"schema": "kernelgate.tune/1"}', "allowed: kernelgate.report/2"),
        (b'{"schema": "kernelgate.report/2"}', "missing required field"),
        (b"[" * 10**6, "recursion"),
        (b'{"schema": "\xff"}', "utf-8"),
        (b" " * (MAX_REPORT_BYTES + 1), "more than the"),
    ],
    ids=["empty", "a list", "another file", "nothing in it", "nested", "not UTF-8", "huge"],
)
def test_what_is_no_report_is_refused(tmp_path: Path, content: bytes, cause: str) -> None:
    """By name, with the cause, in a line."""
    (tmp_path / REPORT_NAME).write_bytes(content)
    with pytest.raises(ReportError, match=f"(?i){cause}") as caught:
        read_report(tmp_path / REPORT_NAME)
    assert str(caught.value).startswith(f"{tmp_path / REPORT_NAME}: ")


def test_a_pipe_or_a_link_in_its_place_is_not_read(tmp_path: Path) -> None:
    """It may lead anywhere, and never end."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(EXAMPLES[0])
    for name in ("pipe", "link", "none"):
        with pytest.raises(ReportError, match=f"{name}: cannot be read"):
            read_report(tmp_path / name)


def test_the_schema_is_up_to_date() -> None:
    """Else: `python -m kernelgate.reporting.report_schema > docs/report.schema.json`."""
    assert (DOCS / "report.schema.json").read_text(encoding="utf-8") == render_schema()


def test_the_schema_names_every_verdict_and_reason() -> None:
    """Programs can read from it what may come."""
    known = json.loads(render_schema())["$defs"]
    assert set(known["Outcome"]["enum"]) == set(Outcome)
    assert set(known["Reason"]["enum"]) == set(Reason)


def test_the_schema_lets_null_stand_for_a_number_that_is_not_finite() -> None:
    """As reports have it."""
    ratio = json.loads(render_schema())["$defs"]["Correctness"]["properties"]["error_ratio"]
    assert ratio["type"] == ["number", "null"]
