"""`kernelgate report`: the pages again from report.json, and what is wrong with what is no report."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest

from kernelgate.cli.main import main
from kernelgate.cli.records.report import UNSHOWN
from kernelgate.reporting.lost_numbers import restore_numbers
from kernelgate.reporting.report import Report
from kernelgate.reporting.report_files import PAGES, REPORT_NAME, write_report
from tests.selftest.support.made_up_reports import make_full_report

EXAMPLES = Path(__file__).resolve().parents[3] / "docs" / "examples"
NUMBERS = (0, -1, 1e308, -1e308, None, 10**400, 5e-324)
"""What anybody may write in the place of a number."""


def test_the_pages_are_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each as the judgement wrote it; nothing else is touched."""
    write_report(make_full_report(), tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    for name in PAGES:
        (tmp_path / name).unlink()
    assert main(["report", str(tmp_path)]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / name) for name in PAGES]
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("example", "names", "said"),
    [
        ("fast", ["interval.svg"], "KEEP: gain 84.91 %, interval 84.84 to 84.98 %"),
        ("slower", ["interval.svg"], "REGRESSED: gain -2.19 %, interval -2.30 to -2.08 %"),
        ("wrong", ["output.svg"], "WRONG (memory): image 0, all channels, all rows, column 54 wrong"),
        ("renamed", [], ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_pictures_of_the_examples_are_what_the_command_draws(
    tmp_path: Path, example: str, names: list[str], said: str
) -> None:
    """Made again after a change: `kernelgate report docs/examples/fast --pictures`, and so on."""
    committed = EXAMPLES / example
    shutil.copy(committed / REPORT_NAME, tmp_path)
    assert main(["report", str(tmp_path), "--pictures"]) == 0
    assert sorted(file.name for file in tmp_path.glob("*.svg")) == names
    for name in names:
        drawn = (tmp_path / name).read_text(encoding="utf-8")
        assert said in "".join(ElementTree.fromstring(drawn).itertext())  # noqa: S314
        assert drawn == (committed / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (None, "cannot be read: No such file"),
        ("", "is no report: Input data was truncated"),
        ('{"schema": "kernelgate.tune/1"}', "schema is 'kernelgate.tune/1', allowed: kernelgate.report/2"),
        ('{"schema": "kernelgate.report/1"}', "is older than kernelgate.report/2; judge again"),
        ('{"schema": "kernelgate.report/2", "verdict": "KEEP"}', "missing required field"),
    ],
    ids=["missing", "empty", "foreign", "older", "damaged"],
)
def test_what_is_no_report_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, cause: str
) -> None:
    """With its cause, and no page is made of it."""
    if content is not None:
        (tmp_path / REPORT_NAME).write_text(content)
    assert main(["report", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"kernelgate: {tmp_path / REPORT_NAME}: ")
    assert cause in said
    assert not any((tmp_path / name).exists() for name in PAGES)


def test_what_is_no_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A newcomer gives the file."""
    (tmp_path / REPORT_NAME).touch()
    assert main(["report", str(tmp_path / REPORT_NAME)]) == 1
    assert "report.json: is no folder; allowed: a report directory" in capsys.readouterr().err


def numbers(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every number of a document."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from numbers(part, (*path, key))
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield path


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_in_any_place_leaks_no_error(number: float | None) -> None:
    """Anybody may have written it: there are pages, or an error that the command tells in a line."""
    document = msgspec.json.decode(msgspec.json.encode(make_full_report()))
    alike = {tuple(key for key in path if isinstance(key, str)): path for path in numbers(document)}
    shown = 0
    for path in alike.values():
        other = json.loads(json.dumps(document))
        at = other
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = number
        try:
            report = msgspec.convert(restore_numbers(other, msgspec.inspect.type_info(Report)), Report)
            shown += all(render(report) for render in PAGES.values())
        except UNSHOWN:
            continue
    assert len(alike) > 50
    assert shown > 20


def test_a_counter_that_is_missing_leaks_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As of another version of the profiler."""
    document = msgspec.json.decode(msgspec.json.encode(make_full_report()))
    document["counters"]["configs"][0]["launches"][0]["metrics"] = {}
    (tmp_path / REPORT_NAME).write_text(json.dumps(document))
    assert main(["report", str(tmp_path)]) == 1
    assert "cannot be shown" in capsys.readouterr().err
