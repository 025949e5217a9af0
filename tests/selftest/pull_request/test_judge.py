"""What is made of a gate's run: only a whole report of these very bytes, and exit status 0, passes."""

import json
from pathlib import Path

import pytest

from kernelgate.pull_request.judge import Judged
from kernelgate.reporting.report_files import MAX_REPORT_BYTES
from tests.selftest.support.made_up_gate import A, judge_one


def test_what_the_gate_says_is_taken_over(tmp_path: Path) -> None:
    """With the folder of its report, for the page."""
    assert judge_one(tmp_path) == Judged(
        kernel=A,
        rule="tune",
        verdict="KEEP",
        passes=True,
        detail="as it should be",
        next_step="Keep it.",
        folder="alexnet_conv1_a",
    )
    assert json.loads((tmp_path / "reports" / "alexnet_conv1_a" / "report.json").read_text())["passes"]


@pytest.mark.parametrize(
    ("plant", "status"),
    [
        ("status = 1", "1"),
        ("status = 5", "5"),
        ("write(); os.kill(os.getpid(), signal.SIGKILL)", "-9"),
        ("write(); os._exit(3)", "3"),
        ("write(); raise RuntimeError", "1"),
    ],
)
def test_a_report_that_passes_does_not_pass_if_the_gate_failed(
    tmp_path: Path, plant: str, status: str
) -> None:
    """What failed may be what would have said so."""
    judged = judge_one(tmp_path, plant)
    assert (judged.verdict, judged.passes) == ("INVALID", False)
    assert judged.detail == f"the gate ended with status {status}, its report says KEEP"


@pytest.mark.parametrize("status", [0, 1])
def test_a_report_that_fails_stays_so_whatever_the_exit_status(tmp_path: Path, status: int) -> None:
    """With its own words."""
    plant = f"said.update(verdict='REVERT', passes=False, detail='too slow'); status = {status}"
    judged = judge_one(tmp_path, plant)
    assert (judged.verdict, judged.passes, judged.detail) == ("REVERT", False, "too slow")


NO_REPORT = {
    "none": "return",
    "none, and a crash": "os._exit(1)",
    "empty": "report.write_text(''); return",
    "truncated": "report.write_text(json.dumps(said)[:-1]); return",
    "not UTF-8": r"report.write_bytes(json.dumps(said).encode() + b'\xff'); return",
    "two": "report.write_text(2 * json.dumps(said)); return",
    "a list": "report.write_text(json.dumps([said])); return",
    "huge": f"report.write_text(json.dumps(said) + ' ' * {MAX_REPORT_BYTES}); return",
    "nested without end": "report.write_text('[' * 10**6); return",
    "nested in what is not asked": "report.write_text('{\"x\":' + '[' * 10**6); return",
    "a folder": "report.mkdir(); return",
    "a pipe": "os.mkfifo(report); return",
    "a link": "write(); report.rename(folder / 'elsewhere'); report.symlink_to('elsewhere'); return",
    "a link to a device": "report.symlink_to('/dev/zero'); return",
    "a folder that is a file": "folder.rmdir(); folder.write_text(json.dumps(said)); return",
    "an unknown verdict": "said['verdict'] = 'PERFECT'",
    "a verdict that is NaN": "said['verdict'] = float('nan')",
    "a verdict with a line": r"said['verdict'] = 'KEEP\n'",
    "a verdict without end": "said['verdict'] = 'K' * 10**6",
    "a verdict without end, not UTF-8": "report.write_bytes(b'{\"rule\":\"' + 10**6 * b'\\xff'); return",
    "a verdict in a list": "said['verdict'] = ['KEEP']",
    "no verdict": "del said['verdict']",
    "passes in words": "said['passes'] = 'true'",
    "passes as a number": "said['passes'] = 1",
    "passes as a list": "said['passes'] = [True]",
    "no passes": "del said['passes']",
    "a detail that is a number": "said['detail'] = float('nan')",
    "a detail that is half a character": r"said['detail'] = '\ud800'",
    "no detail": "said['detail'] = None",
    "a next step that is a list": "said['next_step'] = []",
    "an unknown rule": "said['rule'] = 'none'",
    "a rule that is a table": "said['rule'] = {}",
    "no candidate": "del said['candidate']",
    "a candidate in words": "said['candidate'] = 'sha256'",
    "a digest that is a number": "said['candidate']['sha256'] = 0",
    "no stages": "del said['stages']",
    "a result of an unknown kind": "said['stages']['compile']['result'] = {'type': 'other'}",
    "an older schema": "said['schema'] = 'kernelgate.report/1'",
    "an unknown reason": "said['reason'] = 'because'",
    "no digest": "del said['candidate']['sha256']",
}


@pytest.mark.parametrize("plant", NO_REPORT.values(), ids=list(NO_REPORT))
def test_what_is_no_report_never_passes(tmp_path: Path, plant: str) -> None:
    """Nor does it hang the judge, or end it: the answer says that there is none."""
    judged = judge_one(tmp_path, plant)
    assert (judged.verdict, judged.passes, judged.folder) == ("INVALID", False, "")
    assert judged.detail.startswith("the gate left no report that can be read")
    assert judged.detail.isprintable()
    assert len(judged.detail) < 400
    assert judged.next_step


@pytest.mark.parametrize("digest", ["0" * 64, "", None, "0" * 10**6])
def test_a_report_of_other_bytes_never_passes(tmp_path: Path, digest: str | None) -> None:
    """Nor one of bytes that were not read."""
    judged = judge_one(tmp_path, f"said['candidate']['sha256'] = {digest!r}")
    assert (judged.verdict, judged.passes, judged.folder) == ("INVALID", False, "")
    assert judged.detail == f"the report is of other bytes: {str(digest)[:64]}"


def test_a_report_of_what_could_not_be_read_may_say_why(tmp_path: Path) -> None:
    """A file that is refused before it is read has no digest."""
    unread = "said['candidate']['sha256'] = None"
    judged = judge_one(
        tmp_path, f"{unread}; said.update(verdict='FORBIDDEN', passes=False, detail='too large')"
    )
    assert (judged.verdict, judged.passes, judged.detail) == ("FORBIDDEN", False, "too large")


@pytest.mark.parametrize("verdict", ["WRONG", "REVERT", "REGRESSED", "INVALID", "UNSTABLE", "NO_BASELINE"])
def test_a_verdict_that_fails_does_not_pass_because_a_flag_says_so(tmp_path: Path, verdict: str) -> None:
    """The two are one statement; where they differ, the worse one holds."""
    judged = judge_one(tmp_path, f"said['verdict'] = {verdict!r}")
    assert (judged.verdict, judged.passes) == (verdict, False)


def test_a_verdict_that_passes_does_not_if_the_flag_says_so(tmp_path: Path) -> None:
    """As where a timing was asked for and none was made."""
    judged = judge_one(tmp_path, "said.update(verdict='NOT_MEASURED', passes=False)")
    assert (judged.verdict, judged.passes) == ("NOT_MEASURED", False)
