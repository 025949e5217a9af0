"""How the accepted kernel's speed has moved, and where a run stands."""

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kernelgate.baselines.records import Accepted
from kernelgate.baselines.store import record_path
from kernelgate.cli.main import main
from kernelgate.performance.decision.log_ratio import Slowdown
from kernelgate.reporting.report_files import REPORT_NAME, write_report
from tests.selftest.support.made_up_records import make_record
from tests.selftest.support.made_up_reports import make_performance, make_report_of, with_result

OLD = Accepted(
    date="2026-01-02",
    reason="First | kernel",
    kernel_sha256="c" * 64,
    log_ratio_original=0.0,
    error_original=0.001,
)
NEW = Accepted(
    date="2026-02-03",
    reason="Pipelined",
    kernel_sha256="a" * 64,
    log_ratio_original=-0.05,
    error_original=0.0004,
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Give a project with a record of two accepted kernels."""
    path = record_path(tmp_path, "alexnet_conv1", "nvidia-h200")
    path.parent.mkdir(parents=True)
    path.write_bytes(msgspec.json.encode(make_record(history=(OLD, NEW))))
    return tmp_path


def write_run(folder: Path, gpu: str = "NVIDIA H200", **changes: Any) -> str:
    """Write the report of a run in which the accepted kernel was this fast; returns its path."""
    contrast = Slowdown(estimate=-0.045, low=-0.046, high=-0.044, replicates=(-0.045,) * 4, confidence=0.95)
    timing = msgspec.structs.replace(make_performance("chosen"), accepted_to_original=contrast)
    report = with_result("performance", msgspec.structs.replace(timing, **changes))
    write_report(msgspec.structs.replace(report, gpu=gpu), folder)
    return str(folder / REPORT_NAME)


def shown(capsys: pytest.CaptureFixture[str], project: Path, *options: str) -> str:
    assert main(["history", "--operation", "alexnet_conv1", "--root", str(project), *options]) == 0
    return capsys.readouterr().out


def test_each_accepted_kernel_is_a_row(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Oldest first, with its gain over the original and against the best; no reason leaves its cell."""
    rows = [line for line in shown(capsys, project).splitlines() if line.startswith("| 2026")]
    assert rows == [
        "| 2026-01-02 | First &#124; kernel | +0.00 % | 0.10 % | the best | cccccccccccc |",
        "| 2026-02-03 | Pipelined | +4.88 % | 0.04 % | the best | aaaaaaaaaaaa |",
    ]


def test_the_run_of_a_report_is_the_last_row(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its distance from the record: here half a percent slower."""
    last = shown(capsys, project, "--report", write_run(project)).strip().splitlines()[-1]
    assert last == (
        "| this run | +0.50 % off the record; the interval is +-0.10 % | +4.40 % | 0.00 % | 0.50 % more time "
        "| aaaaaaaaaaaa |"
    )


def test_a_run_on_another_gpu_is_no_row_of_this_one(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its times say nothing here."""
    assert "this run" not in shown(capsys, project, "--report", write_run(project, gpu="NVIDIA L4"))


def test_a_report_without_a_timing_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By name; so is one whose interval has no ends, and what is no report."""
    endless = Slowdown(estimate=0.0, low=-math.inf, high=math.inf, replicates=(0.0,) * 4, confidence=0.95)
    files = {
        "endless": Path(write_run(project / "endless", accepted_to_original=endless)),
        "untimed": project / "untimed" / REPORT_NAME,
        "none": project / "none.json",
    }
    write_report(make_report_of(), project / "untimed")
    for name, says in (
        ("endless", "does not say how fast"),
        ("untimed", "does not say how fast"),
        ("none", "No such file"),
    ):
        command = ["history", "--operation", "alexnet_conv1", "--root", str(project)]
        assert main([*command, "--report", str(files[name])]) == 1
        said = capsys.readouterr().err
        assert str(files[name]) in said
        assert says in said
