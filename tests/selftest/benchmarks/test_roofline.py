"""The roofline is drawn from reports: the same ones give the same picture, others say what is wrong."""

import shutil
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from benchmarks import roofline
from benchmarks.roofline import RooflineError, draw, gather
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "docs" / "examples"
REPORT = EXAMPLES / "tuned" / "report.json"


def changed(folder: Path, **changes: object) -> Path:
    """Return a report of which the timing says something else."""
    report = msgspec.json.decode(REPORT.read_bytes())
    report["stages"]["performance"]["result"] |= changes
    file = folder / "report.json"
    file.write_bytes(msgspec.json.encode(report))
    return file


def test_points_are_the_candidates_and_what_they_are_held_against(tmp_path: Path) -> None:
    """The slowest first; original and cuDNN from the last report."""
    times = {"candidate": 0.25, "original": 1.9, "vendor": 2.2, "accepted": 1.0, "control": 1.0}
    fast = changed(tmp_path, time_ms=times)
    operation, gpu, batch, points = gather([("tuned", REPORT), ("fast", fast)])
    assert (operation, gpu, batch) == (ALEXNET_CONV1, "NVIDIA H200", 256)
    assert [point.name.split(":")[0] for point in points] == ["cuDNN", "original", "tuned", "fast"]
    assert [point.is_candidate for point in points] == [False, False, True, True]
    assert [point.time_ms for point in points] == pytest.approx([2.2, 1.9, 1.67, 0.25], abs=0.01)


def test_the_picture_is_written_the_same_again(tmp_path: Path) -> None:
    """As text that can be searched, in a file that any reader of XML takes."""
    for name in ("one", "two"):
        assert roofline.main([f"tuned={REPORT}", "--output", str(tmp_path / f"{name}.svg")]) == 0
    one, two = ((tmp_path / f"{name}.svg").read_text() for name in ("one", "two"))
    assert one == two
    assert "tuned: 1.673 ms, 7 %" in "".join(ElementTree.fromstring(one).itertext())  # noqa: S314


def test_the_drawing_of_the_docs_is_what_the_command_makes(tmp_path: Path) -> None:
    """Made again by the command beside it in docs/fast-kernel.md."""
    points = [f"{name}={EXAMPLES / name / 'report.json'}" for name in ("tuned", "fast")]
    assert roofline.main([*points, "--output", str(tmp_path / "roofline.svg")]) == 0
    assert (tmp_path / "roofline.svg").read_bytes() == (EXAMPLES / "roofline.svg").read_bytes()


def test_a_report_that_cannot_be_drawn_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing is written."""
    output = tmp_path / "roof.svg"
    untimed = tmp_path / "untimed.json"
    shutil.copy(ROOT / "docs" / "examples" / "renamed" / "report.json", untimed)
    partly = changed(tmp_path, time_ms={"candidate": 1.0})
    (tmp_path / "other").mkdir()
    (tmp_path / "zero").mkdir()
    zero = changed(tmp_path / "zero", time_ms={"candidate": 0.0, "original": 1.0, "vendor": 1.0})
    by_other_code = tmp_path / "other" / "report.json"
    by_other_code.write_bytes(
        msgspec.json.encode(msgspec.json.decode(REPORT.read_bytes()) | {"ada_path": True})
    )
    for file in (tmp_path / "none.json", untimed, partly, zero, by_other_code):
        assert roofline.main([f"one={file}", "--output", str(output)]) == 1
        assert f"{file}: is no report of a timing" in capsys.readouterr().err
    assert roofline.main([f"one={REPORT}", "--output", str(tmp_path / "nowhere" / "roof.svg")]) == 1
    assert "nowhere" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        roofline.main([str(REPORT), "--output", str(output)])
    assert not output.exists()


def test_reports_of_different_machines_are_not_drawn_together(tmp_path: Path) -> None:
    """Nor those of a GPU whose peaks nobody knows."""
    gpu = {"name": "NVIDIA Test", "uuid": "GPU-0", "capability": 90, "driver": "580", "l2_bytes": 1}
    other = changed(tmp_path, gpu=gpu)
    with pytest.raises(RooflineError, match="not of one operation, GPU and batch"):
        gather([("one", REPORT), ("two", other)])
    with pytest.raises(RooflineError, match="peaks of NVIDIA Test are not known"):
        draw(*gather([("two", other)]))
