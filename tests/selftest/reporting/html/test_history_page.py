"""The history as a page: creep is seen, accepted changes are named, later runs stand at the end."""

import json
from pathlib import Path

import msgspec
import pytest

from kernelgate.baselines.records import Accepted
from kernelgate.baselines.store import record_path
from kernelgate.cli.main import main
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.reporting.history import Course, read_courses
from kernelgate.reporting.html.history import render_history_page
from kernelgate.reporting.report_files import write_report
from tests.selftest.reporting.test_history import write_run
from tests.selftest.support.html_reader import Page
from tests.selftest.support.made_up_records import make_record
from tests.selftest.support.made_up_reports import make_report_of

PROJECT = Path(__file__).resolve().parents[4]
LOG_RATIOS = (None, -0.1, -0.093, -0.086, -0.079)
"""Four acceptances after the first kernel, which nobody measured against itself; three lose 0.7 % each."""


def accept(number: int, log_ratio: float | None, sha256: str = "a" * 64) -> Accepted:
    return Accepted(
        date=f"2026-01-{number:02}",
        reason=f"change {number}",
        kernel_sha256=sha256,
        log_ratio_original=log_ratio,
        error_original=None if log_ratio is None else 0.001,
    )


def make_history(log_ratios: tuple[float | None, ...] = LOG_RATIOS) -> tuple[Accepted, ...]:
    first = accept(1, log_ratios[0], ALEXNET_CONV1.original.sha256)
    return first, *(accept(number, each) for number, each in enumerate(log_ratios[1:], 2))


def write_history(root: Path, history: tuple[Accepted, ...], gpu: str = "NVIDIA H200") -> None:
    path = record_path(root, "alexnet_conv1", gpu.lower().replace(" ", "-"))
    path.parent.mkdir(parents=True, exist_ok=True)
    last = history[-1].log_ratio_original or 0.0
    path.write_bytes(msgspec.json.encode(make_record(history=history, gpu=gpu, log_ratio_original=last)))


def courses_of(root: Path, *reports: str) -> list[Course]:
    return read_courses(
        root, ALEXNET_CONV1.name, ALEXNET_CONV1.original, [Path(report) for report in reports]
    )


def test_creep_is_told_and_named_by_its_change(tmp_path: Path) -> None:
    """Each change lost less than 1 %; the last of them lies over 2 % behind the best."""
    write_history(tmp_path, make_history())
    (course,) = courses_of(tmp_path)
    assert [moment.behind_percent for moment in course.moments] == pytest.approx(
        [0, 0, 0.702, 1.410, 2.122], abs=1e-3
    )
    text = render_history_page("alexnet_conv1", [course], 0.02)
    words = Page(text).words()
    assert "CREPT" in words
    assert "NVIDIA H200: 7.60 % less time than the original2.12 % behind the best kernel" in words
    assert "5. 2026-01-05change 5 +7.60 % 0.10 % 2.12 % more time" in words
    assert '<body class="fail">' in text
    before = msgspec.structs.replace(course, moments=course.moments[:4])
    healthy = render_history_page("alexnet_conv1", [before], 0.02)
    assert '<body class="pass">' in healthy
    assert "NO CREEP" in healthy


def test_the_original_needs_no_measurement_against_itself(tmp_path: Path) -> None:
    """Any other kernel that nobody measured has no point."""
    write_history(tmp_path, make_history())
    (course,) = courses_of(tmp_path)
    assert course.moments[0].gain == 0
    write_history(tmp_path, (accept(1, None), accept(2, -0.1)))
    (course,) = courses_of(tmp_path)
    assert course.moments[0].gain is None
    page = Page(render_history_page("alexnet_conv1", [course], 0.02))
    assert len(page.all("circle")) == 1
    assert "1. 2026-01-01" in page.words()


def test_a_machine_without_measurements_cannot_say(tmp_path: Path) -> None:
    """And the page of no record is a page."""
    write_history(tmp_path, (accept(1, None),))
    text = render_history_page("alexnet_conv1", courses_of(tmp_path), 0.02)
    assert "NOT MEASURED" in text
    assert "No chart" in text
    assert "No GPU has a record yet." in render_history_page("alexnet_conv1", [], 0.02)


def test_the_worst_gpu_gives_the_page_its_word(tmp_path: Path) -> None:
    """Each has a section of its own."""
    write_history(tmp_path, make_history((None, -0.1)))
    write_history(tmp_path, make_history(), gpu="NVIDIA L4")
    text = render_history_page("alexnet_conv1", courses_of(tmp_path), 0.02)
    assert "CREPT" in text
    assert text.index("<h2>NVIDIA H200</h2>") < text.index("<h2>NVIDIA L4</h2>")


def test_later_runs_stand_by_their_dates(tmp_path: Path) -> None:
    """Whatever the order they are given in; the last one decides."""
    write_history(tmp_path, make_history((None, -0.1)))
    runs = []
    for day, log_ratio in (("03-02", -0.07), ("03-01", -0.099)):
        file = write_run(tmp_path / day)
        document = json.loads(Path(file).read_text())
        document["judged_at"] = f"2026-{day}T01:02:03+00:00"
        contrast = {"estimate": log_ratio, "low": log_ratio, "high": log_ratio, "replicates": [log_ratio] * 4}
        timing = document["stages"]["performance"]["result"]
        timing["accepted_to_original"] = {**contrast, "confidence": 0.95}
        Path(file).write_text(json.dumps(document))
        runs.append(file)
    (course,) = courses_of(tmp_path, *runs)
    assert [moment.date for moment in course.moments[2:]] == ["2026-03-01", "2026-03-02"]
    text = render_history_page("alexnet_conv1", [course], 0.02)
    assert len(Page(text).all("circle", "today")) == 2
    assert "CREPT" in text


def test_the_command_writes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of this repository too; a report that says nothing of the speed is named."""
    file = tmp_path / "new" / "history.html"
    assert main(["history", "--root", str(PROJECT), "--html", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}\n"
    assert "Micro-tuned" in Page(file.read_text()).words()
    write_report(make_report_of(), tmp_path)
    untimed = str(tmp_path / "report.json")
    command = ["history", "--root", str(PROJECT), "--html", str(tmp_path / "none.html"), "--report", untimed]
    assert main(command) == 1
    assert f"{untimed}: does not say how fast" in capsys.readouterr().err
    assert not (tmp_path / "none.html").exists()
