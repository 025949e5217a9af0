"""results.jsonl: complete at every moment, and read again."""

from pathlib import Path

import msgspec
import pytest

from kernelgate.batch.result import Result, Tally, not_judged
from kernelgate.batch.results_file import ResultsError, ResultsFile
from kernelgate.verdict import Outcome, Reason
from tests.selftest.support.any_reason import any_reason


def make_result(
    file: str, verdict: Outcome = Outcome.WRONG, sha256: str = "1", reason: Reason | None = None
) -> Result:
    return Result(
        file=file,
        sha256=sha256,
        asked="2",
        verdict=verdict,
        reason=reason or any_reason(verdict),
        detail="so it is",
        next_step="Mend it.",
        passes=verdict.passes,
    )


def test_what_is_added_is_there_at_once(tmp_path: Path) -> None:
    """And is found by the next run; the same bytes of another file get a line that names the first."""
    with ResultsFile(tmp_path) as results:
        first = results.add(make_result("a.py"))
        assert msgspec.json.decode(results.path.read_bytes(), type=Result) == first
    with ResultsFile(tmp_path) as results:
        assert results.find(("1", "2"), "a.py") == msgspec.structs.replace(first, reused=True)
        assert results.find(("1", "other"), "a.py") is None
        assert results.find(("other", "2"), "a.py") is None
        copy = results.find(("1", "2"), "b.py")
        assert copy is not None
        assert (copy.file, copy.same_as, copy.reused) == ("b.py", "a.py", False)
        again = results.find(("1", "2"), "b.py")
        assert again is not None
        assert (again.same_as, again.reused) == ("a.py", True)
    assert results.path.read_bytes().count(b"\n") == 2


@pytest.mark.parametrize("verdict", [Outcome.INVALID, Outcome.UNSTABLE, Outcome.NO_BASELINE])
def test_what_says_nothing_of_the_candidate_is_not_found(tmp_path: Path, verdict: Outcome) -> None:
    """Neither in the same run nor in the next."""
    for _ in range(2):
        with ResultsFile(tmp_path) as results:
            assert results.find(("1", "2"), "a.py") is None
            results.add(make_result("a.py", verdict))
            assert results.find(("1", "2"), "a.py") is None


@pytest.mark.parametrize("kept", [1, 40, -1])
def test_a_line_that_a_kill_cut_short_is_dropped(tmp_path: Path, kept: int) -> None:
    """The lines before it hold, and the next one begins where it began."""
    with ResultsFile(tmp_path) as results:
        results.add(make_result("a.py"))
        whole = results.path.read_bytes()
    results.path.write_bytes(whole + whole[:kept])
    with ResultsFile(tmp_path) as results:
        assert results.path.read_bytes() == whole
        assert results.find(("1", "2"), "a.py") is not None
        results.add(make_result("b.py", sha256="3"))
    lines = results.path.read_bytes().splitlines()
    assert [msgspec.json.decode(line, type=Result).file for line in lines] == ["a.py", "b.py"]


def test_what_is_no_result_is_named_and_kept(tmp_path: Path) -> None:
    """Somebody else's file is not written over."""
    (tmp_path / "results.jsonl").write_text("{}\n")
    with pytest.raises(ResultsError, match=r"line 1 is no result.*move the file away"):
        ResultsFile(tmp_path)
    assert (tmp_path / "results.jsonl").read_text() == "{}\n"


def test_two_runs_do_not_write_to_one_file(tmp_path: Path) -> None:
    """The second is told so."""
    with ResultsFile(tmp_path), pytest.raises(ResultsError, match="another run writes to it"):
        ResultsFile(tmp_path)
    ResultsFile(tmp_path).close()


@pytest.mark.parametrize(
    ("results", "said", "exit_code"),
    [
        ([], "0 judged: nothing; 41 s", 2),
        ([not_judged("a.py", "why")], "1 judged: 1 INVALID; 41 s", 2),
        ([make_result("a.py", Outcome.KEEP)], "1 judged: 1 KEEP; 41 s", 0),
        ([make_result("a.py", Outcome.KEEP), make_result("b.py")], "2 judged: 1 KEEP, 1 WRONG; 41 s", 1),
        (
            [msgspec.structs.replace(make_result("a.py", Outcome.KEEP), reused=True), not_judged("b", "why")],
            "2 judged, 1 of them before: 1 KEEP, 1 INVALID; 41 s",
            1,
        ),
    ],
)
def test_the_count_and_the_exit_code_follow_the_results(
    results: list[Result], said: str, exit_code: int
) -> None:
    """0 if all pass, 2 if nothing was judged."""
    tally = Tally()
    for each in results:
        tally.add(each)
    assert (tally.describe(41.2), tally.exit_code) == (said, exit_code)
