"""A batch of files: each has its line, nothing is judged twice, and nothing ends it but its end."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

import kernelgate
from kernelgate.batch import order
from kernelgate.batch.candidates import list_candidates
from kernelgate.batch.result import Result
from kernelgate.cli.main import main
from kernelgate.reporting.report_files import read_report
from kernelgate.verdict import Outcome, Reason
from tests.selftest.problems.written import WRITTEN
from tests.selftest.support.no_gpu import needs_no_gpu
from tests.selftest.test_pytest_plugin import wait_for

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of no project, with a folder of files that hold no kernel."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "many").mkdir()
    for number in range(3):
        write_refused(number)
    return tmp_path


def write_refused(number: int) -> None:
    Path("many", f"c{number:05}.py").write_text(f"import torch\n# {number}\n")


def judge_many(*files: str, **asked: Any) -> list[Result]:
    return list(kernelgate.judge_all(files or ["many"], operation="softmax", **asked))


def lines(folder: str = "gate-report") -> list[Result]:
    text = Path(folder, "results.jsonl").read_bytes()
    return [msgspec.json.decode(line, type=Result) for line in text.splitlines()]


def test_each_file_of_a_folder_has_its_line_and_its_report() -> None:
    """In the order of their names."""
    results = judge_many()
    assert lines() == results
    assert [result.file for result in results] == ["many/c00000.py", "many/c00001.py", "many/c00002.py"]
    for result in results:
        report = read_report(Path(result.report or "", "report.json"))
        assert (report.verdict, report.reason) == (result.verdict, result.reason)
        assert report.candidate.sha256 == result.sha256


def test_the_same_command_again_judges_nothing_twice() -> None:
    """A file that changed is judged again, as is one that is asked something else, and a new one is added."""
    first = judge_many()
    assert judge_many() == [msgspec.structs.replace(each, reused=True) for each in first]
    assert lines() == first
    Path("many/c00001.py").write_text("import torch\nchanged = 1\n")
    write_refused(3)
    again = {each.file: each.reused for each in judge_many()}
    assert [again[f"many/c{number:05}.py"] for number in range(4)] == [True, False, True, False]
    assert not any(each.reused for each in judge_many(algorithm="any"))


def test_other_settings_are_another_question(tmp_path: Path) -> None:
    """The verdict may follow from any of them."""
    for ratio, is_reused in ((2.0, False), (3.0, False), (3.0, True)):
        (tmp_path / "pyproject.toml").write_text(f"[tool.kernelgate.laws]\nmax_error_ratio = {ratio}\n")
        results = judge_many(project=tmp_path)
        assert {each.verdict for each in results} == {Outcome.FORBIDDEN}
        assert {each.reused for each in results} == {is_reused}


@needs_no_gpu
def test_what_the_machine_cannot_do_is_not_judged() -> None:
    """It says nothing of the file, and is no error of the gate's."""
    Path("relu.py").write_text(WRITTEN["relu"].problem)
    Path("mine.py").write_text(WRITTEN["relu"].kernel)
    (result,) = kernelgate.judge_all(["mine.py"], problem="relu.py", code_path="sm_89")
    assert (result.verdict, result.reason) == (Outcome.INVALID, Reason.NOT_JUDGED)
    assert "--code-path sm_89: needs a GPU newer than sm_89" in result.detail


def test_the_same_bytes_are_judged_once() -> None:
    """The second line says whose verdict it is; the verdict of a changed accepted kernel is another."""
    Path("many/d.py").write_bytes(Path("many/c00001.py").read_bytes())
    Path("beat.py").write_text("# first\n")
    assert [each.same_as for each in judge_many(against="beat.py")] == [None, None, None, "many/c00001.py"]
    Path("beat.py").write_text("# second\n")
    assert [each.reused for each in judge_many(against="beat.py")] == [False] * 4


def test_what_is_no_file_is_named_and_the_rest_is_judged(folder: Path) -> None:
    """Links are not followed; a pipe hangs nobody; a file that is gone has its line."""
    Path("elsewhere.py").write_text("secret")
    Path("many/link.py").symlink_to(folder / "elsewhere.py")
    Path("many/folder.py").mkdir()
    os.mkfifo("many/pipe.py")
    Path("many/notes.txt").write_text("no kernel")
    Path(os.fsdecode(b"many/\xff\n.py")).write_text("import torch\n")
    results = {each.file: each for each in judge_many("many", "nowhere.py")}
    left_out = {name for name, each in results.items() if each.reason is Reason.NOT_JUDGED}
    assert left_out >= {"many/link.py", "many/folder.py", "many/pipe.py", "nowhere.py"}
    assert len(left_out) == 5
    assert len(results) == 8
    assert "is a link" in results["many/link.py"].detail


def test_an_error_of_the_gate_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """INVALID, and the batch goes on; the next run judges it again."""
    run_gate = order.run_gate

    def break_down(gate: Any, watch: Any) -> Any:
        if gate.request.candidate.name == "c00001.py":
            del gate.results["format"]
            gate.verdict_so_far = None
            gate.progress = None
        return run_gate(gate, watch)

    with monkeypatch.context() as planted:
        planted.setattr(order, "run_gate", break_down)
        verdicts = [each.verdict for each in judge_many()]
    assert verdicts == [Outcome.FORBIDDEN, Outcome.INVALID, Outcome.FORBIDDEN]
    again = judge_many()
    assert {each.file for each in again if not each.reused} == {"many/c00001.py"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_batch_that_is_ended_goes_on_where_it_was(folder: Path, number: signal.Signals) -> None:
    """Every file has one line in the end, and those from before are not judged again."""
    for each in range(60):
        write_refused(each)
    command = [sys.executable, "-m", "kernelgate", "judge", "many", "--operation", "softmax", "--quiet"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL)
    results = folder / "gate-report" / "results.jsonl"
    try:
        wait_for(lambda: results.exists() and results.read_bytes().count(b"\n") > 3)
        ended.send_signal(number)
        status = ended.wait(timeout=30)
    finally:
        ended.kill()
        ended.wait()
    assert status == (-number if number is signal.SIGKILL else 128 + number)
    again = judge_many()
    assert 3 < sum(each.reused for each in again) < 60
    assert sorted(each.file for each in lines()) == [
        each.file for each in sorted(again, key=lambda e: e.file)
    ]
    assert len(lines()) == 60


def test_the_command_says_how_it_goes(capsys: pytest.CaptureFixture[str]) -> None:
    """A row for each, the count and where results and page lie; the second time, that it knew."""
    command = ["judge", "many", "--operation", "softmax"]
    for took in ("0.", "before"):
        assert main(command) == 1
        *rows, count, place, page = capsys.readouterr().out.splitlines()
        assert len(rows) == 3
        assert all(row.split()[:2] == ["FORBIDDEN", "format-kernel-missing"] for row in rows)
        assert took in rows[2]
        assert "3 FORBIDDEN; " in count
        assert place == "  results: gate-report/results.jsonl"
        assert page == "  page:    gate-report/batch.html"
        assert "3 candidates" in Path("gate-report/batch.html").read_text(encoding="utf-8")
    assert main([*command, "--json"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert [msgspec.json.decode(line, type=Result).reused for line in said] == [True] * 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "FILE: name a kernel file"),
        (["many", "--keep-plans", "book"], "judge that file alone"),
        (["many", "--report-dir", "many/c00000.py"], "--report-dir many/c00000.py"),
        (["many", "--follow"], "not with --follow"),
    ],
)
def test_what_cannot_be_judged_ends_before_it_begins(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the exit code of one file."""
    assert main(["judge", *words, "--operation", "softmax"]) == 2
    assert said in capsys.readouterr().err


def test_nothing_that_could_be_judged_has_the_exit_code_of_it() -> None:
    """An empty folder, and an operation that nobody knows."""
    Path("empty").mkdir()
    assert main(["judge", "empty", "--operation", "softmax"]) == 2
    assert main(["judge", "many", "--operation", "fft"]) == 2


def test_a_large_folder_is_listed_at_once() -> None:
    """Nothing of a file is read for it."""
    for number in range(10_000):
        Path("many", f"c{number:05}.py").touch()
    started = time.process_time()
    assert len(list_candidates(["many"])) == 10_000
    assert time.process_time() - started < 2


def test_memory_stays_flat_over_many_refusals() -> None:
    """A candidate leaves its line behind, and nothing else."""
    for number in range(50):
        write_refused(number)
    judge_many(report_dir="warm")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(50, 200):
        write_refused(number)
    assert len(judge_many(report_dir="many-more")) == 200
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


@needs_no_gpu
def test_the_verdicts_are_those_of_one_by_one() -> None:
    """Of a right kernel, a wrong one and one without its form; what hinders one does not reach the next."""
    written = WRITTEN["relu"]
    Path("problem.py").write_text(written.problem)
    texts = {
        "right": written.kernel,
        "wrong": written.kernel.replace(*written.fault),
        "refused": "import torch\n",
        "crashes": written.kernel.replace("out = torch", "1 / 0; out = torch"),
    }
    for name, text in texts.items():
        Path(f"{name}.py").write_text(text)
    together = kernelgate.judge_all([f"{name}.py" for name in texts], problem="problem.py")
    seen = {each.file: (each.verdict, each.reason) for each in together}
    for name in texts:
        alone = kernelgate.judge(f"{name}.py", problem="problem.py", report_dir=name)
        assert seen[f"{name}.py"] == (alone.verdict, alone.reason)
    verdicts = [seen[f"{name}.py"][0] for name in texts]
    assert verdicts == [Outcome.NOT_MEASURED, Outcome.WRONG, Outcome.FORBIDDEN, Outcome.WRONG]
