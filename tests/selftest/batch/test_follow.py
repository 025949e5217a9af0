"""Requests as JSON lines: each is answered in order, whatever the others say; and the page about it."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kernelgate.batch import follow
from kernelgate.batch.result import Result
from kernelgate.reporting.report_files import read_report
from tests.selftest.problems.written import WRITTEN
from tests.selftest.support.no_gpu import needs_no_gpu

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "search.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "refused.py").write_text("import torch\n")
    return tmp_path


def answers(*requests: Any, **options: Any) -> list[dict[str, Any]]:
    """Return what comes out for lines; what is no text is written as JSON."""
    texts = [each if isinstance(each, str | bytes) else json.dumps(each) for each in requests]
    given = b"\n".join(each.encode() if isinstance(each, str) else each for each in texts)
    output = io.StringIO()
    asked = (options or {"operation": "softmax"}) | {"report_dir": "reports"}
    follow.follow(io.BytesIO(given), output, asked, None)
    return [json.loads(line) for line in output.getvalue().splitlines()]


def test_a_request_is_answered_by_its_stages_and_its_result() -> None:
    """Each with its id; the result is the line of the file. A source that comes again is answered at once."""
    stage, judged, *again = answers({"id": "a", "file": "refused.py"}, {"id": 2, "file": "refused.py"})
    assert (stage["event"], stage["id"], stage["stage"], stage["status"]) == (
        "stage",
        "a",
        "format",
        "failed",
    )
    assert (judged["event"], judged["id"]) == ("judged", "a")
    assert (
        Path("reports/results.jsonl").read_text()
        == json.dumps(judged["result"], separators=(",", ":")) + "\n"
    )
    assert [(each["id"], each["result"]["reused"]) for each in again] == [(2, True)]


@needs_no_gpu
def test_two_judges_answer_two_requests_at_a_time() -> None:
    """Each answer carries its id, and the stages of both come as they end."""
    Path("problem.py").write_text(WRITTEN["relu"].problem)
    kernel = WRITTEN["relu"].kernel
    asked = [
        {"id": 1, "source": kernel},
        {"id": "two", "source": kernel.replace(*WRITTEN["relu"].fault)},
        {"id": 3, "source": "import torch\n"},
    ]
    events = answers(*asked, "nonsense", problem="problem.py", jobs=2)
    verdicts = {each["id"]: each["result"]["verdict"] for each in events if each["event"] == "judged"}
    assert verdicts == {1: "NOT_MEASURED", "two": "WRONG", 3: "FORBIDDEN"}
    stages = [each["stage"] for each in events if each["event"] == "stage" and each["id"] == 1]
    assert stages == ["format", "compile", "stage-rules", "correctness"]
    assert [each["line"] for each in events if each["event"] == "error"] == [4]


@pytest.mark.parametrize("jobs", [1, 2])
def test_nobody_who_reads_ends_it(jobs: int) -> None:
    """With the error of whoever writes there."""

    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    request = io.BytesIO(b'{"id": 1, "file": "refused.py"}')
    asked = {"operation": "softmax", "report_dir": "reports", "jobs": jobs}
    with pytest.raises(BrokenPipeError):
        follow.follow(request, Closed(), asked, None)


def test_a_source_is_judged_as_a_file_is() -> None:
    """Its text is kept."""
    *_, judged = answers({"id": 1, "source": "import torch\n# é\n"})
    assert judged["result"]["verdict"] == "FORBIDDEN"
    assert Path(judged["result"]["file"]).read_text() == "import torch\n# é\n"


BAD = {
    "no JSON": ("nonsense", None),
    "an empty line": ("", None),
    "no text": (b"\xff\xfe", None),
    "no id": ({"file": "refused.py"}, None),
    "an unknown field": ({"id": 7, "file": "refused.py", "stages": "open"}, 7),
    "a field of another type": ({"id": 7, "file": 3}, 7),
    "both": ({"id": 7, "file": "refused.py", "source": ""}, 7),
    "neither": ({"id": "x"}, "x"),
    "half a character": ('{"id": 7, "source": "\\ud800"}', None),
    "too deep": ("[" * 100_000, None),
}


@pytest.mark.parametrize(("line", "named"), BAD.values(), ids=BAD.keys())
def test_a_bad_line_costs_nothing_but_an_error(line: Any, named: Any) -> None:
    """It has its number, and its id where it has one; the next one is judged."""
    error, *rest = answers(line, {"id": 1, "file": "refused.py"})
    assert (error["event"], error["id"], error["line"]) == ("error", named, 1)
    assert error["detail"]
    assert rest[-1]["event"] == "judged"


def test_a_line_without_end_is_not_held_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read to its end, and no more of it kept than is allowed."""
    monkeypatch.setattr(follow, "MAX_LINE_BYTES", 100)
    error, *rest = answers({"id": 1, "source": "x" * 1000}, {"id": 2, "file": "refused.py"})
    assert error == {"event": "error", "id": None, "line": 1, "detail": "a line of over 100 bytes"}
    assert [each["id"] for each in rest] == [2, 2]


def test_options_are_those_of_the_request() -> None:
    """One that does not exist is this request's result; the next has the command's own."""
    wrong, _, right = answers(
        {"id": 1, "file": "refused.py", "operation": "fft"}, {"id": 2, "file": "refused.py"}
    )
    assert wrong["result"]["reason"] == "not-judged"
    assert right["result"]["operation"] == "softmax"
    *_, other = answers({"id": 3, "file": "refused.py", "operation": "matmul"})
    assert other["result"]["operation"] == "matmul"


def test_what_a_request_computes_takes_the_place_of_the_commands() -> None:
    """An operation that of a problem, and a problem that of an operation."""
    Path("relu.py").write_text(WRITTEN["relu"].problem)
    *_, other = answers({"id": 1, "file": "refused.py", "operation": "softmax"}, problem="relu.py")
    assert other["result"]["operation"] == "softmax"
    *_, other = answers({"id": 1, "file": "refused.py", "problem": "relu.py"})
    assert other["result"]["operation"] == "problem-relu"


def test_a_request_may_name_the_kernel_to_beat() -> None:
    """As an option of the command does."""
    Path("beat.py").write_text("# first\n")
    *_, judged = answers({"id": 1, "file": "refused.py", "against": "beat.py"})
    assert read_report(Path(judged["result"]["report"], "report.json")).accepted.path == "beat.py"


@pytest.mark.parametrize(
    "record", [Result, follow.Submission, follow.StageEvent, follow.JudgedEvent, follow.ErrorEvent]
)
def test_the_page_names_every_field(record: type[msgspec.Struct]) -> None:
    """In code marks, in a table's row."""
    rows = "\n".join(line for line in PAGE.splitlines() if line.startswith("|"))
    assert [name for name in record.__struct_fields__ if f"`{name}`" not in rows] == []


@needs_no_gpu
def test_the_pages_client_runs(folder: Path) -> None:
    """As it stands there: a right kernel, a wrong one, one that has no kernel left."""
    (client,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (folder / "client.py").write_text(client)
    (folder / "problem.py").write_text(WRITTEN["relu"].problem)
    (folder / "kernel.py").write_text(WRITTEN["relu"].kernel)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "client.py"]
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stderr
    said = [line.split()[:2] for line in ended.stdout.splitlines()]
    assert [verdict for verdict, _ in said] == ["NOT_MEASURED", "WRONG", "FORBIDDEN"]
    assert said[2][1] == "format-kernel-missing"
