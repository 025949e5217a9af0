"""The workflow's last word: nothing but two successes with a verdict each lets a change pass."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

SCRIPT = Path(__file__).parents[3] / ".github" / "scripts" / "verdict.py"
COMMIT = "0123456789abcdef" * 2 + "01234567"
RESULTS = ["success", "failure", "cancelled", "skipped", ""]
PASSED = {
    "HOSTED_RESULT": "success",
    "HOSTED_VERDICT": "NOT_MEASURED",
    "GPU_RESULT": "success",
    "GPU_VERDICT": "KEEP",
}
WAITS = f"gpu: workflow fork has not judged commit {COMMIT} yet."


class GitHub(HTTPServer):
    """The part of GitHub's API that is asked, with an answer to be set; `asked` holds the requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.body, self.raw = 200, b"[]", b""
        self.asked: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, *statuses: Any) -> None:
        self.body = json.dumps(statuses).encode()


class Handler(BaseHTTPRequestHandler):
    server: GitHub

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["Authorization"]))
        if self.server.raw:
            self.wfile.write(self.server.raw)
            return
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def github() -> Iterator[GitHub]:
    with GitHub() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def status(state: str = "success", description: str | None = "KEEP", **said: Any) -> dict[str, Any]:
    """Return a status as the API lists it."""
    ours = {"context": "kernelgate/fork", "creator": {"login": "github-actions[bot]"}}
    return {"state": state, "description": description, **ours, **said}


def of_fork(github: GitHub, **said: str) -> dict[str, str]:
    """Return the environment of a fork's pull request, whose job on the GPU is skipped."""
    return {
        **PASSED,
        "GPU_RESULT": "skipped",
        "GPU_VERDICT": "",
        "NUMBER": "7",
        "PROPOSED": COMMIT,
        "PROPOSED_BY": "somebody/kernelgate",
        "GITHUB_REPOSITORY": "owner/kernelgate",
        "GITHUB_API_URL": github.url,
        "GITHUB_TOKEN": "token",
        **said,
    }


def run(environment: dict[str, str]) -> tuple[int, list[str]]:
    """Return the exit code, and the lines that it prints."""
    ended = subprocess.run(
        [sys.executable, "-I", SCRIPT], env=environment, capture_output=True, check=False, timeout=60
    )
    assert ended.stderr == b""
    return ended.returncode, re.split("\r\n|\r|\n", ended.stdout.decode())


def errors(lines: list[str]) -> list[str]:
    start = "::error title=kernelgate::"
    return [line.removeprefix(start) for line in lines if line.startswith(start)]


def test_what_the_guard_said_is_shown_and_blamed(github: GitHub) -> None:
    """A job that fails by it names it."""
    own = of_fork(github, PROPOSED_BY="owner/kernelgate")
    said = {"GPU_RESULT": "failure", "GPU_VERDICT": "NOTHING_TO_JUDGE", "GPU_GUARD": "NO_BASELINE"}
    code, lines = run(own | said)
    assert code == 1
    assert "| gpu | failure | NOTHING_TO_JUDGE | NO_BASELINE |" in lines
    assert [line.partition(". ")[0] for line in errors(lines)] == [
        "gpu: NOTHING_TO_JUDGE, guard: NO_BASELINE"
    ]


@pytest.mark.parametrize("gpu", RESULTS)
@pytest.mark.parametrize("hosted", RESULTS)
def test_only_two_successes_pass(github: GitHub, hosted: str, gpu: str) -> None:
    """Each other job is named with what to do, and nobody is asked about a pull request of our own."""
    own = of_fork(github, PROPOSED_BY="owner/kernelgate")
    code, lines = run(own | {"HOSTED_RESULT": hosted, "GPU_RESULT": gpu, "GPU_VERDICT": "KEEP"})
    failed = [job for job, result in (("hosted", hosted), ("gpu", gpu)) if result != "success"]
    assert code == int(bool(failed))
    assert [line.partition(":")[0] for line in errors(lines)] == failed
    assert lines[0] == ("# kernelgate does not pass" if failed else "# kernelgate passes")
    assert f"| hosted | {hosted or 'none'} | NOT_MEASURED | not needed |" in lines
    assert f"| gpu | {gpu or 'none'} | KEEP | not needed |" in lines
    assert github.asked == []


@pytest.mark.parametrize(("hosted", "gpu"), [("", "KEEP"), ("KEEP", ""), ("", "")])
def test_a_success_without_a_verdict_does_not_pass(hosted: str, gpu: str) -> None:
    """A job whose steps were left out succeeds too."""
    code, lines = run(PASSED | {"HOSTED_VERDICT": hosted, "GPU_VERDICT": gpu})
    assert code == 1
    assert errors(lines) == [
        f"{job}: ended without a verdict. Read its log, and run it again."
        for job, verdict in (("hosted", hosted), ("gpu", gpu))
        if not verdict
    ]


@pytest.mark.parametrize("missing", [*PASSED, "all"])
def test_what_is_not_said_does_not_pass(missing: str) -> None:
    """A renamed job or output must not let everything through."""
    code, lines = run({name: said for name, said in PASSED.items() if missing not in (name, "all")})
    assert code == 1
    assert errors(lines)


def test_the_failed_job_s_verdict_is_in_its_line() -> None:
    """So that the mark on the pull request says it."""
    _, lines = run(PASSED | {"GPU_RESULT": "failure", "GPU_VERDICT": "REVERT"})
    assert errors(lines) == ["gpu: REVERT. Its summary and its log name the cause and what to do."]


def test_a_fork_waits_for_its_plans_to_be_judged(github: GitHub) -> None:
    """The line says who does it, and when; the question was asked about this very commit."""
    code, lines = run(of_fork(github))
    assert code == 1
    (error,) = errors(lines)
    assert error.startswith(WAITS)
    url = f"/repos/owner/kernelgate/commits/{COMMIT}/statuses?per_page=100"
    assert github.asked == [(url, "Bearer token")]


@pytest.mark.parametrize("proposed_by", ["somebody/kernelgate", ""])
def test_a_fork_whose_commit_was_judged_passes(github: GitHub, proposed_by: str) -> None:
    """By the newest status of ours; also where the fork is gone since."""
    other = status("failure", context="ci/other")
    github.answer(other, status(), status("failure", "REVERT"), status("pending", None))
    code, lines = run(of_fork(github, PROPOSED_BY=proposed_by))
    assert (code, errors(lines)) == (0, [])
    assert "| gpu | success | KEEP | not needed |" in lines


@pytest.mark.parametrize("hosted", RESULTS[1:])
def test_a_fork_s_status_is_of_the_gpu_alone(github: GitHub, hosted: str) -> None:
    """The other job must have succeeded all the same."""
    github.answer(status())
    code, lines = run(of_fork(github, HOSTED_RESULT=hosted))
    assert code == 1
    assert [line.partition(":")[0] for line in errors(lines)] == ["hosted"]


@pytest.mark.parametrize(
    "statuses",
    [
        [status(creator={"login": "somebody"})],
        [status(creator={"login": "github-actions"})],
        [status(creator=None)],
        [status(context="kernelgate/gpu")],
        [status(context="kernelgate/fork ")],
        [{}],
        ["success"],
        [None],
        [[]],
    ],
)
def test_a_status_that_is_not_ours_counts_for_nothing(github: GitHub, statuses: list[Any]) -> None:
    """Whoever may write a status must not speak for the gate."""
    github.answer(*statuses)
    code, lines = run(of_fork(github))
    assert code == 1
    assert [line.startswith(WAITS) for line in errors(lines)] == [True]


@pytest.mark.parametrize("state", ["failure", "error", "pending", "SUCCESS", "success\n", ""])
def test_the_newest_status_counts(github: GitHub, state: str) -> None:
    """An older success is of another try."""
    github.answer(status(state, "REVERT"), status())
    code, lines = run(of_fork(github))
    assert code == 1
    assert errors(lines) == ["gpu: REVERT. Its summary and its log name the cause and what to do."]


@pytest.mark.parametrize("description", [None, ""])
def test_a_status_without_a_verdict_does_not_pass(github: GitHub, description: str | None) -> None:
    """As a job without one does not."""
    github.answer(status("success", description))
    assert run(of_fork(github))[0] == 1


GOOD = json.dumps([status()]).encode()
ANSWERS = {
    "malformed": (200, GOOD[:-1], b""),
    "not UTF-8": (200, GOOD + b"\xff", b""),
    "a table": (200, json.dumps({"statuses": [status()]}).encode(), b""),
    "a number": (200, b"1", b""),
    "server error": (500, GOOD, b""),
    "not found": (404, GOOD, b""),
    "forbidden": (403, GOOD, b""),
    "cut off": (200, b"", b"HTTP/1.0 200 OK\r\nContent-Length: 9999\r\n\r\n" + GOOD),
    "not HTTP": (200, b"", b"::error::x\n" + GOOD),
    "a command in its reason": (200, b"", b"HTTP/1.0 500 x ##[error]y\r\n\r\n"),
}


@pytest.mark.parametrize(("status_code", "body", "raw"), ANSWERS.values(), ids=list(ANSWERS))
def test_an_answer_that_cannot_be_read_does_not_pass(
    github: GitHub, tmp_path: Path, status_code: int, body: bytes, raw: bytes
) -> None:
    """It is said what could not be read, and the page is written all the same."""
    github.status, github.body, github.raw = status_code, body, raw
    code, lines = run(of_fork(github, GITHUB_STEP_SUMMARY=str(tmp_path / "summary")))
    assert code == 1
    assert [line.startswith(WAITS) for line in errors(lines)] == [True]
    assert lines[0].startswith("the statuses of the commit cannot be read: ")
    assert not any("##[" in line for line in lines)
    assert (tmp_path / "summary").read_text().startswith("# kernelgate does not pass\n")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "", "nonsense", "http://", "http://127.0.0.1:x"])
def test_where_nobody_answers_nothing_passes(github: GitHub, url: str) -> None:
    """Connection refused, or no address at all."""
    code, lines = run(of_fork(github, GITHUB_API_URL=url))
    assert code == 1
    assert [line.startswith(WAITS) for line in errors(lines)] == [True]


@pytest.mark.parametrize(
    "said", [{"GPU_RESULT": "failure"}, {"GPU_RESULT": "cancelled"}, {"GPU_RESULT": ""}, {"NUMBER": ""}]
)
def test_a_status_is_only_asked_for_where_a_fork_s_job_was_skipped(
    github: GitHub, said: dict[str, str]
) -> None:
    """A job that ran and failed is not made good by a status; a push is nobody's fork."""
    github.answer(status())
    assert run(of_fork(github, **said))[0] == 1
    assert github.asked == []


def test_the_page_is_added_to_the_summary(tmp_path: Path) -> None:
    """Whole, as it was printed, after what stood there."""
    summary = tmp_path / "summary"
    summary.write_text("before\n")
    _, lines = run({**PASSED, "GITHUB_STEP_SUMMARY": str(summary)})
    assert summary.read_text() == "\n".join(["before", *lines[:-1]])
    assert "Nothing to do. After a KEEP is merged" in summary.read_text()


HOSTILE = [
    "x\n::set-env name=A::b\r::error::c\r\n##[group]d",
    "x | ` | \\| <b>y</b> <!-- [KEEP](https://example.org) **z** ~~v~~ &#35; @somebody %0A::error::w $(x)",
    "\n\n# KEEP\n\n| a |\n| --- |\n| \x1b[2J\u2028\u202e |",
]
PLACES = [*PASSED, "NUMBER", "PROPOSED", "PROPOSED_BY", "description", "state"]


def run_with(github: GitHub, place: str, text: str) -> list[str]:
    """Return what is printed where this stands in one place, of the environment or of a status."""
    said = {place: text} if place in (*PASSED, "NUMBER", "PROPOSED", "PROPOSED_BY") else {}
    if place in ("description", "state"):
        github.answer(status("failure") | {place: text})
    return run(of_fork(github, **said))[1]


def outline(lines: list[str]) -> list[str]:
    """Return the blocks of the page, and what is in them but text."""
    tokens = (
        MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse("\n".join(lines))
    )
    found = []
    for token in tokens:
        found += [token.type, *(child.type for child in token.children or () if child.type != "text")]
    return found


@pytest.mark.parametrize("hostile", HOSTILE, ids=["commands", "markup", "blocks"])
@pytest.mark.parametrize("place", PLACES)
def test_nothing_that_is_said_can_leave_its_place(github: GitHub, place: str, hostile: str) -> None:
    """Neither a line nor a command nor markup comes out of a value."""
    lines = run_with(github, place, hostile)
    plain = run_with(github, place, "x")
    assert len(lines) == len(plain)
    assert outline(lines) == outline(plain)
    assert [line.startswith("::") for line in lines] == [line.startswith("::") for line in plain]
    assert not any("##[" in line or "%0A" in line or "@" in line for line in lines)
    assert all(line.isascii() and line.isprintable() for line in lines)
