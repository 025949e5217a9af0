"""What a report says of where an answer is wrong: in the terminal, on the page, in JSON and as a script."""

from pathlib import Path

import msgspec
import pytest

from kernelgate.correctness.result import Correctness, Diagnosis
from kernelgate.operations.faults.fault_map import FaultMap, Guess
from kernelgate.reporting.page import render_markdown
from kernelgate.reporting.report import Report
from kernelgate.reporting.report_files import ReportError, prepare_folder, read_report, write_report
from kernelgate.reporting.terminal import render_summary
from tests.selftest.support.made_up_reports import make_correctness, with_result

ROWS = ("#" + "." * 54,) * 54 + ("?" * 55,)
MAP = FaultMap(
    wrong=110,
    compared=3025,
    unwritten=55,
    where="image 0, channel 7, all rows, column 0",
    plane="image 0, channel 7",
    rows=ROWS,
)
SAID = Diagnosis(map=MAP, guess=Guess(kind="halo", because="of its place"), script="print(1)\n")


def report_of(diagnosis: Diagnosis | None) -> Report:
    correctness: Correctness = make_correctness("hard-bound")
    assert correctness.finding is not None
    finding = msgspec.structs.replace(correctness.finding, diagnosis=diagnosis)
    changed = msgspec.structs.replace(correctness, finding=finding, error_ratio=1.0)
    return with_result("correctness", changed)


def test_the_terminal_draws_it_small_before_the_verdict() -> None:
    """The verdict and what to do are the last lines, and the reason is said once."""
    lines = render_summary(report_of(SAID)).splitlines()
    picture = [line for line in lines if set(line.strip()) <= set("#?.") and line.strip()]
    assert len(picture) == 14
    assert picture[0].strip() == "#" + "." * 27
    assert picture[-1].strip() == "#" + "?" * 27
    verdict = next(place for place, line in enumerate(lines) if line.startswith("WRONG"))
    assert lines.index(picture[-1]) < verdict
    assert lines[verdict + 2 :] == [
        "  wrong elements: 110 of 3025 compared: image 0, channel 7, all rows, column 0",
        "  looks like: halo: of its place",
        "  reproduce: reproduce.py in the report's folder shows it with PyTorch and the kernel file",
        f"  next: {report_of(SAID).next_step}",
    ]
    assert sum("as it should be" in line for line in lines) == 1


def test_the_page_draws_it_whole() -> None:
    """One character an element, as code."""
    text = render_markdown(report_of(SAID))
    assert "```text\nimage 0, channel 7 (55 x 55): . right, # wrong, ? never written\n" + ROWS[0] in text
    assert ROWS[-1] + "\n```" in text
    assert "| looks like | halo: of its place |" in text


def test_where_there_is_nothing_to_draw_nothing_is() -> None:
    """An error that was raised has no picture; why there is no script is said."""
    text = render_markdown(report_of(Diagnosis(no_script="no script: it raced")))
    assert "```text" not in text
    assert "no script: it raced" in text
    assert "looks like" not in render_markdown(report_of(None))


def test_it_is_data_and_the_script_a_file(tmp_path: Path) -> None:
    """A later report without one leaves none of an earlier judgement."""
    write_report(report_of(SAID), tmp_path)
    assert read_report(tmp_path / "report.json").diagnosis == SAID
    assert (tmp_path / "reproduce.py").read_text() == "print(1)\n"
    write_report(report_of(None), tmp_path)
    assert not (tmp_path / "reproduce.py").exists()


def test_a_report_folder_that_is_a_file_is_said_to_be(tmp_path: Path) -> None:
    """Before anything is judged."""
    (tmp_path / "taken").touch()
    with pytest.raises(ReportError, match="taken: is a file; allowed: a folder"):
        prepare_folder(tmp_path / "taken", is_default=False)
    assert prepare_folder(tmp_path / "new" / "one", is_default=False).is_dir()


def test_where_the_default_cannot_be_written_another_folder_is_found(tmp_path: Path) -> None:
    """As in a checkout that is read-only: there is a verdict all the same."""
    (tmp_path / "gate-report").touch()
    found = prepare_folder(tmp_path / "gate-report", is_default=True)
    assert found.is_dir()
    assert found != tmp_path / "gate-report"
    found.rmdir()


def test_raw_text_holds_no_entity_for_a_bracket() -> None:
    """People read the page in a terminal too."""
    report = msgspec.structs.replace(report_of(SAID), detail="out[0,1,2,3]: *got* 1")
    text = render_markdown(report)
    assert "out\\[0,1,2,3]: \\*got\\* 1" in text
    assert "&#91;" not in text
