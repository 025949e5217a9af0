"""The command `rank`, with a GPU that only pretends: what is judged, what races, what is written and said."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kernelgate.batch.result import Result
from kernelgate.cli.main import main
from kernelgate.machine.gpu import GpuError
from kernelgate.performance.samples import Arm
from kernelgate.ranking import rank as ranking
from kernelgate.reporting.ranking.record import Ranking, read_ranking
from kernelgate.verdict import Outcome, Reason
from tests.selftest.performance.test_replicate import GPU, make_timed
from tests.selftest.support.html_reader import Page
from tests.selftest.support.made_up_track import Track, pretend_track
from tests.selftest.support.no_gpu import needs_no_gpu

KERNELS = {"a": 1.0, "b": 1.0, "c": 1.02}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of no project, whose machine says that it has a GPU."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ranking, "find_gpu", lambda: GPU)
    (tmp_path / "many").mkdir()
    for name in KERNELS:
        Path("many", f"{name}.py").write_text(f"# {name}\n")
    return tmp_path


@pytest.fixture
def track(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Track:
    """Have every file judged right but those whose text says `wrong`, and race by its letter."""
    made = pretend_track(Track(tmp_path, dict(KERNELS)), monkeypatch)

    def judge(_engine: Any, _judges: Any, candidates: Any, options: dict[str, Any]) -> Iterator[Result]:
        assert options["measure"] is False
        for each in candidates:
            yield judged(each.file)

    def compile_all(sandbox: Any, kernels: Any, *_: object) -> dict[str, Any]:
        assert sandbox is made
        for kernel in kernels:
            letter = Path(kernel.path).stem
            made.letters[kernel.sha256] = letter
            made.timed_plans[kernel.sha256] = (make_timed(f"of {letter}"),)
        return {}

    monkeypatch.setattr(ranking, "judge_in_order", judge)
    monkeypatch.setattr(ranking, "compile_racers", compile_all)
    monkeypatch.setattr(ranking, "Sandbox", lambda *_: made)
    return made


def judged(file: str) -> Result:
    content = Path(file).read_bytes()
    is_right = b"wrong" not in content
    return Result(
        file=file,
        sha256=hashlib.sha256(content).hexdigest(),
        asked="0" * 64,
        verdict=Outcome.NOT_MEASURED if is_right else Outcome.WRONG,
        reason=Reason.NOT_MEASURED if is_right else Reason.HARD_BOUND,
        detail="right" if is_right else "out[0] is off",
        next_step="next",
        passes=is_right,
        operation="matmul" if b"matmul" in content else "softmax",
    )


def run(*words: str) -> int:
    return main(["rank", *(words or ("many",)), "--operation", "softmax"])


def written() -> Ranking:
    return read_ranking(Path("gate-report/rank.json"))


def test_files_are_judged_raced_and_ranked(track: Track, capsys: pytest.CaptureFixture[str]) -> None:
    """The last line names those that tie; rank.json and its page lie in the report folder."""
    Path("many/w.py").write_text("# wrong\n")
    Path("many/z.py").write_text("# c\n")
    assert run() == 0
    said = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"tie: many/[ab]\.py and many/[ab]\.py differ by less than 1 %", said[-1])
    found = written()
    assert [(each.label, each.file) for each in found.ranked[2:]] == [("3", "many/c.py")]
    assert [each.label for each in found.ranked[:2]] == ["1=", "1="]
    assert found.ranked[2].copies == ("many/z.py",)
    (left_out,) = found.unranked
    assert (left_out.file, left_out.verdict, left_out.detail) == ("many/w.py", "WRONG", "out[0] is off")
    assert (found.operation, found.gpu, found.pairs) == ("softmax", GPU.name, 6)
    assert found.accepted == "PyTorch"
    assert found.accepted_ms == pytest.approx(2.0, abs=0.01)
    page = Page(Path("gate-report/rank.html").read_text())
    assert "TIE" in page.words()
    assert track.crews[0] == [Arm.ACCEPTED, Arm.CONTROL, "a", "b", "c"]


@pytest.mark.usefixtures("track")
def test_json_is_the_file_and_quiet_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing else."""
    assert run("many/a.py", "many/c.py", "--json") == 0
    assert capsys.readouterr().out == Path("gate-report/rank.json").read_text()
    assert run("many/a.py", "many/c.py", "--quiet") == 0
    said = capsys.readouterr().out
    assert re.fullmatch(r"fastest: many/a\.py, gain \d\d\.\d\d % \[.*\] over PyTorch\n", said)


def test_figures_that_are_not_to_be_trusted_fail(track: Track, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, and the last line says why."""
    track.took[Arm.CONTROL] = 2.05
    assert run() == 1
    assert "UNSTABLE: the ranking is not to be trusted" in capsys.readouterr().out.splitlines()[-1]
    assert written().ended == "unstable"


def test_more_than_fit_are_refused(track: Track, capsys: pytest.CaptureFixture[str]) -> None:
    """Of different bytes: a copy has no process. What was judged is kept."""
    for number in range(ranking.MAX_RACERS + 1):
        Path(f"many/n{number:02}.py").write_text(f"# {number}\n")
        track.took[f"n{number:02}"] = 1.0
    names = [f"many/n{number:02}.py" for number in range(ranking.MAX_RACERS + 1)]
    assert run(*names) == 2
    assert "17 kernels are right, a race has at most 16" in capsys.readouterr().err
    assert not track.crews
    assert run(*names[:-1], "--quiet") == 0
    assert {len(crew) for crew in track.crews} == {ranking.MAX_RACERS + 2}


@pytest.mark.usefixtures("track")
def test_files_of_several_operations_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """There is no fastest of them."""
    Path("many/m.py").write_text("# matmul\n")
    assert run() == 2
    assert "the files compute several things: matmul, softmax" in capsys.readouterr().err


@pytest.mark.usefixtures("track")
def test_a_file_that_changed_since_it_was_judged_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What races is what was judged."""
    judge = ranking.judge_in_order

    def change(*given: Any) -> Iterator[Result]:
        yield from judge(*given)
        Path("many/b.py").write_text("# changed\n")

    monkeypatch.setattr(ranking, "judge_in_order", change)
    assert run() == 2
    assert "many/b.py: has changed since it was judged" in capsys.readouterr().err


def test_nothing_right_is_ranked_by_the_batch_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """The real one, of files that hold no kernel: exit code 1, and a second run judges nothing again."""
    assert run() == 1
    assert capsys.readouterr().out.splitlines()[-1] == "nothing is ranked: none of 3 files passes"
    found = written()
    assert (found.ended, found.ranked) == ("none-right", ())
    assert {each.verdict for each in found.unranked} == {Outcome.FORBIDDEN}
    lines = Path("gate-report/results.jsonl").read_bytes()
    assert lines.count(b"\n") == 3
    assert run() == 1
    assert Path("gate-report/results.jsonl").read_bytes() == lines
    assert capsys.readouterr().out.count("  before  ") == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [(("nowhere.py",), None), (("empty",), "holds no kernel file"), (("many", "--problem", "x.py"), None)],
)
def test_what_cannot_be_asked_has_its_own_exit_code(
    words: tuple[str, ...], said: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing could be judged, or the folder is empty."""
    Path("empty").mkdir()
    assert run(*words) == 2
    assert said is None or said in capsys.readouterr().err


@pytest.mark.usefixtures("track")
def test_a_stranger_on_the_gpu_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By exit code 2: what was judged is kept, and nothing is ranked."""

    def refuse(*_: object) -> None:
        raise GpuError("NVIDIA Test was shared")

    monkeypatch.setattr(ranking.Race, "run", refuse)
    assert run() == 2
    assert "was shared" in capsys.readouterr().err
    assert not Path("gate-report/rank.json").exists()


@pytest.mark.parametrize("option", ["--rule tune", "--plans DIR", "--replay batch=1", "--code-path sm_89"])
def test_options_of_one_judgement_are_none_of_a_race(option: str) -> None:
    """The parser refuses them."""
    with pytest.raises(SystemExit) as ended:
        run("many", *option.split())
    assert ended.value.code == 2


@needs_no_gpu
def test_without_a_gpu_nothing_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `--measure` is refused."""
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert run("many/a.py") == 2
    assert "no NVIDIA GPU" in capsys.readouterr().err
    assert not Path("gate-report").exists()
