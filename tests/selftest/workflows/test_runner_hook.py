"""The runner's job-started hook: which jobs may go on, and that a refused one can start nothing any more."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.selftest.support.script_module import load_script

GITHUB = Path(__file__).resolve().parents[3] / ".github"
RUNNER = GITHUB / "runner"
REPOSITORY, FORK, NUMBER = "owner/project", "somebody/project", 7
MAIN, MERGED = "refs/heads/main", f"refs/pull/{NUMBER}/merge"
NOBODY = 65534
NO_ROOM = "/proc"
"""A folder whose file system has no free bytes."""

WORKER = """
import json, resource, subprocess, sys
hook = subprocess.run(["bash", "-e", sys.argv[1]], capture_output=True, text=True)
_, most = resource.getrlimit(resource.RLIMIT_NPROC)
try:
    resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
    goes_on = subprocess.run(["true"]).returncode == 0
except OSError:
    goes_on = False
print(json.dumps([hook.returncode, hook.stdout, hook.stderr, goes_on]))
"""
"""Starts the hook as the runner's worker does, takes back all the rights that it can, and starts a step."""


class Told:
    """How the hook ended, what it said, and whether the worker could start a step afterwards."""

    def __init__(self, code: int, said: str, complained: str, goes_on: bool) -> None:
        self.code, self.said, self.complained, self.goes_on = code, said, complained, goes_on


class Machine:
    """A folder with the hook as it is installed, and a job's event and temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hook = folder / "job-started.sh"
        for name in ("job-started.sh", "job_started.py"):
            shutil.copy(RUNNER / name, folder)
        self.replace("job_started.py", "/etc/kernelgate/repository", str(folder / "repository"))
        self.replace("job_started.py", "8 * 2**30", "1")
        self.write("repository", f"{REPOSITORY}\n")

    def write(self, name: str, text: str) -> Path:
        (self.folder / name).write_text(text, encoding="utf-8")
        (self.folder / name).chmod(0o755)
        return self.folder / name

    def replace(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text(encoding="utf-8")
        assert text.count(old) == 1
        self.write(name, text.replace(old, new))

    def start(self, event: Any, **changes: str | None) -> Told:
        """Return what came of a job; the changes are to the variables, None takes one away."""
        content = event if isinstance(event, str) else json.dumps(event)
        variables: dict[str, str | None] = {
            "PATH": os.environ["PATH"],
            "GITHUB_EVENT_PATH": str(self.write("event.json", content)),
            "RUNNER_TEMP": str(self.folder),
            **changes,
        }
        given = {name: value for name, value in variables.items() if value is not None}
        # Root may start processes whatever the limit says; the runner's user is not root.
        user: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        command = ["/usr/bin/python3", "-I", "-c", WORKER, str(self.hook)]
        started = subprocess.run(
            command,
            env=given,
            capture_output=True,
            text=True,
            check=True,
            **(user if os.getuid() == 0 else {}),
        )
        return Told(*json.loads(started.stdout))


@pytest.fixture
def machine() -> Iterator[Machine]:
    """Give a folder that every user may read."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Machine(Path(folder))


def job(workflow: str, event: str, ref: str) -> dict[str, str | None]:
    """Return what the runner says of a job."""
    return {
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_WORKFLOW_REF": f"{REPOSITORY}/.github/workflows/{workflow}@{ref}",
        "GITHUB_EVENT_NAME": event,
        "GITHUB_REF": ref,
    }


def proposal(repo: Any, number: Any = NUMBER) -> dict[str, Any]:
    return {"number": number, "pull_request": {"head": {"repo": repo}}}


OWN = proposal({"full_name": REPOSITORY})
PUSH = job("gate.yml", "push", MAIN)
PULL_REQUEST = job("gate.yml", "pull_request", MERGED)
FORKS_PLANS = job("fork.yml", "workflow_run", MAIN)
AFTER_GATE = {"workflow_run": {"event": "pull_request", "head_repository": {"full_name": FORK}}}

ALLOWED: dict[str, tuple[dict[str, str | None], Any]] = {
    "push": (PUSH, {"ref": MAIN}),
    "pull request of this repository": (PULL_REQUEST, OWN),
    "plans of a fork": (FORKS_PLANS, AFTER_GATE),
    "nightly": (job("nightly.yml", "schedule", MAIN), {"schedule": "17 3 * * *"}),
    "nightly by hand": (job("nightly.yml", "workflow_dispatch", MAIN), {}),
}

REFUSED: dict[str, tuple[dict[str, str | None], Any, str]] = {
    "fork": (PULL_REQUEST, proposal({"full_name": FORK}), "not from a branch of owner/project"),
    "fork in capitals": (PULL_REQUEST, proposal({"full_name": "OWNER/project"}), "not from a branch"),
    "deleted fork": (PULL_REQUEST, proposal(None), "comes from None"),
    "repo is text": (PULL_REQUEST, proposal(REPOSITORY), "comes from None"),
    "name is a list": (PULL_REQUEST, proposal({"full_name": [REPOSITORY]}), "not from a branch"),
    "no head": (PULL_REQUEST, {"number": NUMBER, "pull_request": {}}, "comes from None"),
    "no pull request": (PULL_REQUEST, {"number": NUMBER}, "comes from None"),
    "another number": (PULL_REQUEST, proposal({"full_name": REPOSITORY}, 8), "does not belong"),
    "number is text": (PULL_REQUEST, proposal({"full_name": REPOSITORY}, "7"), "does not belong"),
    "pull request on a branch": (job("gate.yml", "pull_request", MAIN), OWN, "does not belong"),
    "empty event": (PUSH, "", "cannot be read: 'JSONDecodeError"),
    "half an event": (PULL_REQUEST, json.dumps(OWN)[:-2], "cannot be read"),
    "event is a list": (PULL_REQUEST, [OWN], "cannot be read"),
    "event is deep": (PUSH, "[" * 100_000, "cannot be read: 'RecursionError"),
    "no event": (PUSH | {"GITHUB_EVENT_PATH": "/nowhere/event.json"}, {}, "FileNotFoundError"),
    "no event path": (PUSH | {"GITHUB_EVENT_PATH": None}, {}, "KeyError"),
    "pull_request_target": (job("gate.yml", "pull_request_target", MAIN), OWN, "by 'pull_request_target'"),
    "issue_comment": (job("gate.yml", "issue_comment", MAIN), {}, "by 'issue_comment'"),
    "no event name": (PUSH | {"GITHUB_EVENT_NAME": None}, {}, "started by None"),
    "dispatched gate": (job("gate.yml", "workflow_dispatch", MAIN), {}, "by 'workflow_dispatch'"),
    "proposed fork.yml": (job("fork.yml", "pull_request", MERGED), OWN, "fork.yml was started by"),
    "fork.yml by hand": (job("fork.yml", "workflow_dispatch", MAIN), AFTER_GATE, "by 'workflow_dispatch'"),
    "fork.yml of a branch": (
        job("fork.yml", "workflow_run", "refs/heads/mine"),
        AFTER_GATE,
        "workflow_run on 'refs/heads/mine'",
    ),
    "fork.yml after a push": (FORKS_PLANS, {"workflow_run": {"event": "push"}}, "after a run by 'push'"),
    "fork.yml after nothing": (FORKS_PLANS, {}, "after a run by None"),
    "fork.yml after text": (FORKS_PLANS, {"workflow_run": "pull_request"}, "after a run by None"),
    "gate after a run": (job("gate.yml", "workflow_run", MAIN), AFTER_GATE, "by 'workflow_run'"),
    "push to a branch": (job("gate.yml", "push", "refs/heads/mine"), {}, "push on 'refs/heads/mine'"),
    "branch like main": (job("gate.yml", "push", f"{MAIN}/x"), {}, f"push on '{MAIN}/x'"),
    "tag like main": (job("gate.yml", "push", "refs/tags/main"), {}, "push on 'refs/tags/main'"),
    "dispatch on a branch": (
        job("nightly.yml", "workflow_dispatch", "refs/heads/mine"),
        {},
        "workflow_dispatch on",
    ),
    "schedule on a branch": (job("nightly.yml", "schedule", "refs/heads/mine"), {}, "schedule on"),
    "another workflow": (job("evil.yml", "push", MAIN), {}, "is of workflow"),
    "hosted workflow": (job("accept-baseline.yml", "workflow_dispatch", MAIN), {}, "is of workflow"),
    "@ in a name": (job("gate.yml@x.yml", "push", MAIN), {}, "is of workflow"),
    "workflow in a folder": (job("../../evil/gate.yml", "push", MAIN), {}, "is of workflow"),
    "workflow of a branch": (
        PUSH | {"GITHUB_WORKFLOW_REF": f"{REPOSITORY}/.github/workflows/gate.yml@refs/heads/mine"},
        {},
        "is of workflow",
    ),
    "workflow of another": (
        PUSH | {"GITHUB_WORKFLOW_REF": f"{FORK}/.github/workflows/gate.yml@{MAIN}"},
        {},
        "is of workflow",
    ),
    "no workflow": (PUSH | {"GITHUB_WORKFLOW_REF": None}, {}, "is of workflow None"),
    "another repository": (PUSH | {"GITHUB_REPOSITORY": FORK}, {}, f"of repository '{FORK}'"),
    "no repository": (PUSH | {"GITHUB_REPOSITORY": None}, {}, "of repository None"),
    "no room": (PUSH | {"RUNNER_TEMP": NO_ROOM}, {}, "the disk of the work folder is full: 0.0 GiB free"),
    "no work folder": (PUSH | {"RUNNER_TEMP": None}, {}, "unknown free"),
    "nothing": (dict.fromkeys(PUSH, None), {}, "of repository None"),
}


@pytest.mark.parametrize("case", ALLOWED)
def test_the_gates_own_jobs_go_on(machine: Machine, case: str) -> None:
    """The hook ends well, and the worker starts the steps."""
    variables, event = ALLOWED[case]
    told = machine.start(event, **variables)
    assert (told.code, told.goes_on, told.complained) == (0, True, "")
    assert "::error" not in told.said


@pytest.mark.parametrize("case", REFUSED)
def test_any_other_job_is_refused_in_one_line_that_says_why(machine: Machine, case: str) -> None:
    """And the worker can start nothing: a step may say that it always runs."""
    variables, event, reason = REFUSED[case]
    told = machine.start(event, **variables)
    assert (told.code, told.goes_on, told.complained) == (1, False, "")
    assert told.said.startswith("::error title=kernelgate::this runner refuses the job: ")
    assert (told.said.count("\n"), reason in told.said) == (1, True)


@pytest.mark.parametrize("content", [None, "", "\n", "owner/other\n", "owner/pröject\n"])
def test_a_runner_that_does_not_know_whose_it_is_refuses(machine: Machine, content: str | None) -> None:
    """Without root's word no job is its own, not even one of no repository at all."""
    if content is None:
        (machine.folder / "repository").unlink()
    else:
        machine.write("repository", content)
    for repository in (REPOSITORY, ""):
        told = machine.start({}, **PUSH | {"GITHUB_REPOSITORY": repository})
        assert (told.code, told.goes_on) == (1, False)
        assert f"of repository '{repository}'" in told.said


def test_values_from_outside_cannot_command_the_log(machine: Machine) -> None:
    """Each stays on the line of the error, cut and in ASCII."""
    hostile = "x\n::add-mask::y\r\u2028\x1b[2J" + "z" * 1000
    for name in PUSH:
        said = machine.start({}, **PUSH | {name: hostile}).said
        assert (said.count("\n"), said.isascii(), "\x1b" in said) == (1, True, False)
        assert len(said) < 500


@pytest.mark.parametrize(
    "fault", ["raise SystemExit(3)", "1 / 0", "import os; os.kill(os.getpid(), 9)", "not Python"]
)
def test_a_hook_that_breaks_refuses(machine: Machine, fault: str) -> None:
    """Whatever ends it, only its own word lets a job go on."""
    machine.write("job_started.py", fault)
    told = machine.start({}, **PUSH)
    assert (told.code, told.goes_on) == (1, False)


def test_a_worker_that_cannot_be_held_is_ended(machine: Machine) -> None:
    """The last resort, for a machine without prlimit."""
    machine.replace("job-started.sh", "/usr/bin/prlimit", "/nowhere/prlimit")
    with pytest.raises(subprocess.CalledProcessError) as ended:
        machine.start({}, **PUSH | {"GITHUB_REPOSITORY": FORK})
    assert ended.value.returncode == -9


@pytest.mark.parametrize(
    ("free_bytes", "reason"),
    [
        (8 * 2**30, None),
        (8 * 2**30 - 1, "8.0 GiB free, needed 8 GiB"),
        (2**30, "1.0 GiB free"),
        (None, "unknown free"),
    ],
)
def test_a_job_needs_eight_gibibytes(free_bytes: int | None, reason: str | None) -> None:
    """A full disk is named before it breaks a measurement."""
    refusal: Callable[..., str | None] = load_script(RUNNER / "job_started.py").refusal
    said = refusal(PUSH, {}, REPOSITORY, free_bytes)
    assert said is None if reason is None else reason in str(said)


def test_the_hook_knows_every_workflow_of_the_gpu_machine_and_what_starts_it() -> None:
    """A new one, or a new event, is refused until the hook is told."""
    found = {}
    for file in (GITHUB / "workflows").glob("*.yml"):
        text = file.read_text(encoding="utf-8")
        if "self-hosted" in text:
            triggers = text.partition("\non:\n")[2].partition("\n\n")[0]
            found[file.name] = set(re.findall(r"^  (\w+):", triggers, re.MULTILINE))
    assert found == {
        name: set(events) for name, events in load_script(RUNNER / "job_started.py").EVENTS.items()
    }
