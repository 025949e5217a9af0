"""How the accepted kernel's speed has moved, and where a run stands."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kernelgate.baselines.records import Accepted
from kernelgate.baselines.store import record_path
from kernelgate.cli.main import main
from tests.selftest.support.made_up_records import make_record

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


def write_report(folder: Path, **changes: Any) -> str:
    contrast = {"estimate": -0.045, "low": -0.046, "high": -0.044}
    said = {
        "gpu": "NVIDIA H200",
        "accepted": {"sha256": "a" * 64},
        "stages": {"performance": {"result": {"accepted_to_original": contrast}}},
    }
    (folder / "report.json").write_text(json.dumps(said | changes), encoding="utf-8")
    return str(folder / "report.json")


def shown(capsys: pytest.CaptureFixture[str], project: Path, *options: str) -> str:
    assert main(["history", "--operation", "alexnet_conv1", "--root", str(project), *options]) == 0
    return capsys.readouterr().out


def test_each_accepted_kernel_is_a_row(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Oldest first, with its gain over the original; no reason leaves its cell."""
    rows = [line for line in shown(capsys, project).splitlines() if line.startswith("| 2026")]
    assert rows == [
        "| 2026-01-02 | +0.00 % | 0.10 % | cccccccccccc | First &#124; kernel |",
        "| 2026-02-03 | +4.88 % | 0.04 % | aaaaaaaaaaaa | Pipelined |",
    ]


def test_the_run_of_a_report_is_the_last_row(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its distance from the record: here half a percent slower."""
    last = shown(capsys, project, "--report", write_report(project)).strip().splitlines()[-1]
    assert last == (
        "| this run | +4.40 % |  | aaaaaaaaaaaa | +0.50 % off the record; the interval is +-0.10 % |"
    )


def test_a_run_on_another_gpu_is_no_row_of_this_one(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its times say nothing here."""
    assert "this run" not in shown(capsys, project, "--report", write_report(project, gpu="NVIDIA L4"))


@pytest.mark.parametrize("stages", [{}, {"performance": {"result": None}}, {"performance": []}])
def test_a_report_without_a_timing_is_refused(
    project: Path, capsys: pytest.CaptureFixture[str], stages: Any
) -> None:
    """By name."""
    report = write_report(project, stages=stages)
    assert main(["history", "--operation", "alexnet_conv1", "--root", str(project), "--report", report]) == 1
    assert "does not say how fast" in capsys.readouterr().err
