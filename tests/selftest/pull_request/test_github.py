"""What a runner of GitHub is told, and what cannot be told it."""

import io
import re
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from kernelgate.cli.main import main
from kernelgate.doctor.checks import Check
from kernelgate.pull_request.github import mark_failures, write_outputs, write_summary

ROOT = Path(__file__).resolve().parents[3]


def tell(environment: Mapping[str, str], failure: str = "x") -> list[str]:
    """Return the commands that a runner with this environment would read."""
    write_summary(environment, "# page\n")
    write_outputs(environment, {"verdict": "KEEP"})
    printed = io.StringIO(newline="")
    with redirect_stdout(printed):
        mark_failures(environment, [failure, "second"])
    return printed.getvalue().removesuffix("\n").split("\n") if printed.getvalue() else []


def test_what_stands_in_the_runner_s_files_stays(tmp_path: Path) -> None:
    """Earlier steps wrote there too."""
    environment = {name: str(tmp_path / name) for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
    for file in environment.values():
        Path(file).write_text("before=1\n")
    tell(environment)
    assert Path(environment["GITHUB_STEP_SUMMARY"]).read_text() == "before=1\n# page\n"
    assert Path(environment["GITHUB_OUTPUT"]).read_text() == "before=1\nverdict=KEEP\n"


@pytest.mark.parametrize(
    "environment", [{}, {"GITHUB_OUTPUT": "", "GITHUB_STEP_SUMMARY": "", "GITHUB_ACTIONS": ""}]
)
def test_without_a_runner_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    """On a laptop the terminal and the page say it."""
    monkeypatch.chdir(tmp_path)
    assert tell(environment) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "failure",
    [
        "plain",
        "x\n::set-env name=A::b",
        "x\r::add-mask::b",
        "x\r\n::error::b",
        "x%0A::error::b",
        "100 %, %25, %0D%0A",
        "::stop-commands::b",
        "title=a,file=b::c",
    ],
)
def test_a_failure_is_one_command_whatever_it_says(failure: str) -> None:
    """A runner reads lines, and turns %0A back into one; the text comes out as it went in."""
    printed = "\n".join(tell({"GITHUB_ACTIONS": "true"}, failure=failure))
    first, second = re.split(r"\r\n|\r|\n", printed)
    start = "::error title=kernelgate::"
    assert second == f"{start}second"
    assert first.startswith(start)
    said = first.removeprefix(start).replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
    assert said == failure


def test_a_long_failure_is_cut() -> None:
    """A mark beside a check is no log."""
    first, _ = tell({"GITHUB_ACTIONS": "true"}, failure="x" * 9000)
    assert first == "::error title=kernelgate::" + "x" * 1000


def test_what_stops_a_command_is_marked_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A full disk, a repository that git cannot read: the check names it."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert main(["guard", "--reports", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert said.err == f"kernelgate: {tmp_path}: exists already; name a new folder for the reports\n"
    assert said.out == f"::error title=kernelgate::{said.err.removeprefix('kernelgate: ')}"


def test_what_makes_a_machine_unfit_is_marked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what to do about it."""
    unfit = Check(name="GPU", status="unfit", seen="no NVIDIA GPU", advice="install the driver")
    monkeypatch.setattr("kernelgate.doctor.noise.examine", lambda *_: [unfit])
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert main(["doctor", "--root", str(ROOT)]) == 1
    assert "::error title=kernelgate::GPU: no NVIDIA GPU: install the driver\n" in capsys.readouterr().out
