"""The scripts that the workflows start, with a stand-in for GitHub's command line where one asks it."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.selftest.support.made_up_repository import git, make_repository

SCRIPTS = Path(__file__).resolve().parents[3] / ".github" / "scripts"
COMMIT, RUN, NUMBER = "c" * 40, "123456", "7"
REPOSITORY = "owner/project"

GH = """#!/usr/bin/env python3
# Answers from files: the address of a call, without its slashes, is the file's name.
import pathlib, sys
here = pathlib.Path(__file__).parent
(here / "calls").open("a").write(repr(sys.argv[1:]) + "\\n")
address = next((a for a in sys.argv[2:] if a.startswith("repos/")), "")
answer = here / address.replace("/", "_")
if sys.argv[1] == "api" and not answer.is_file():
    sys.exit("gh: Not Found (HTTP 404)")
if sys.argv[1] == "api":
    sys.stdout.buffer.write(answer.read_bytes())
"""

Ended = subprocess.CompletedProcess[str]


class GitHub:
    """What the stand-in answers, and what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir()
        (folder / "gh").write_text(GH, encoding="utf-8")
        (folder / "gh").chmod(0o755)

    def answers(self, address: str, content: str) -> None:
        (self.folder / address.replace("/", "_")).write_text(content, encoding="utf-8")

    @property
    def calls(self) -> str:
        return (self.folder / "calls").read_text(encoding="utf-8") if (self.folder / "calls").exists() else ""


@pytest.fixture
def github(tmp_path: Path) -> GitHub:
    """Give a GitHub that knows nothing yet."""
    return GitHub(tmp_path / "bin")


Start = Callable[..., Ended]


@pytest.fixture
def start(tmp_path: Path, github: GitHub) -> Start:
    """Give what starts a script in a folder, on main."""

    def run(script: str, *arguments: str, folder: Path | None = None, **variables: str) -> Ended:
        environment = {
            "PATH": f"{github.folder}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "RUNNER_TEMP": str(tmp_path / "temp"),
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_REF": "refs/heads/main",
        }
        command = [str(SCRIPTS / script), *arguments]
        return subprocess.run(
            command,
            cwd=folder or tmp_path,
            env=environment | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Give a repository: two commits on main, and a branch that is merged as GitHub merges it."""
    folder = tmp_path / "repository"
    make_repository(folder)
    steps = (
        "commit --allow-empty -m one",
        "branch proposal",
        "commit --allow-empty -m two",
        "switch --quiet proposal",
        "commit --allow-empty -m proposed",
        "switch --quiet --detach main",
        "merge --quiet --no-ff -m merged proposal",
    )
    for step in steps:
        git(folder, *step.split(" "))
    return folder


def base_after(start: Start, history: Path, tmp_path: Path, base: str, proposed: str) -> str:
    """Return the subject of the commit that judges."""
    ended = start("check-out-base.sh", folder=history, BASE=base, PROPOSED=proposed)
    assert ended.returncode == 0, ended.stderr
    return git(tmp_path / "temp" / "base", "log", "-1", "--format=%s")


def test_a_merged_pull_request_is_judged_by_what_it_was_merged_into(
    start: Start, history: Path, tmp_path: Path
) -> None:
    """The event may still name an older commit of main."""
    proposed = git(history, "rev-parse", "proposal")
    assert base_after(start, history, tmp_path, git(history, "rev-parse", "main^"), proposed) == "two"


def test_an_authors_own_merge_does_not_choose_the_judge(start: Start, history: Path, tmp_path: Path) -> None:
    """Only a merge of the proposed commit itself is GitHub's."""
    proposed = git(history, "rev-parse", "HEAD")
    assert base_after(start, history, tmp_path, git(history, "rev-parse", "main^"), proposed) == "one"


def test_a_push_is_judged_by_what_was_there_before(start: Start, history: Path, tmp_path: Path) -> None:
    """The event says what that was."""
    assert base_after(start, history, tmp_path, git(history, "rev-parse", "main^"), "") == "one"


def test_a_first_push_judges_itself(start: Start, history: Path, tmp_path: Path) -> None:
    """Zeros stand for nothing."""
    assert base_after(start, history, tmp_path, "0" * 40, "") == "merged"


@pytest.mark.parametrize(("base", "proposed"), [("d" * 40, ""), ("0" * 40, COMMIT), ("", COMMIT)])
def test_a_base_that_is_not_there_is_an_error(
    start: Start, history: Path, tmp_path: Path, base: str, proposed: str
) -> None:
    """A change never judges itself because its base was not fetched."""
    ended = start("check-out-base.sh", folder=history, BASE=base, PROPOSED=proposed)
    assert ended.returncode == 1
    assert "::error title=kernelgate::the base commit" in ended.stdout
    assert not (tmp_path / "temp" / "base").exists()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Give a checkout whose environment is made by writing down who asked for it."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    (folder / "constraints.txt").write_text("torch==2\n", encoding="utf-8")
    (folder / "Makefile").write_text(
        "setup:\n\tmkdir -p $(VENV) && echo $(PYTHON) >>$(VENV)/made && touch $(VENV)/.ready\n",
        encoding="utf-8",
    )
    return folder


def test_an_environment_is_made_once_for_the_same_requirements(
    start: Start, checkout: Path, tmp_path: Path
) -> None:
    """Base and change share it, unless the change asks for something else."""
    for requirements, environments in (("torch==2\n", 1), ("torch==2\n", 1), ("torch==3\n", 2)):
        (checkout / "constraints.txt").write_text(requirements, encoding="utf-8")
        ended = start("set-up.sh", str(checkout), KERNELGATE_ENVS=str(tmp_path / "none"))
        assert ended.returncode == 0, ended.stderr
        assert (checkout / ".venv" / "made").read_text(encoding="utf-8") == "python3\n"
        assert len(list((tmp_path / "temp" / "envs").iterdir())) == environments


def test_settings_are_no_requirements(start: Start, checkout: Path) -> None:
    """What is installed depends on neither limits nor thresholds; on versions and on Python it does."""
    keys = []
    for settings, constraints in (("", "a==1"), ("[tool.kernelgate]\nx = 1\n", "a==1"), ("", "a==2")):
        (checkout / "pyproject.toml").write_text(f"[project]\nname = 'k'\n{settings}", encoding="utf-8")
        (checkout / "constraints.txt").write_text(constraints, encoding="utf-8")
        keys.append(start("environment-key.sh", str(checkout)).stdout)
    (checkout / "pyproject.toml").write_text(
        "[project]\nname = 'k'\ndependencies = ['b']\n", encoding="utf-8"
    )
    keys.append(start("environment-key.sh", str(checkout)).stdout)
    assert keys[0] == keys[1]
    assert len({*keys}) == 3
    assert all(len(key.strip()) == 16 for key in keys)


def test_a_machines_own_environment_is_taken_if_it_is_ready(
    start: Start, checkout: Path, tmp_path: Path
) -> None:
    """One that is half made is not."""
    key = start("environment-key.sh", str(checkout)).stdout.strip()
    ready = tmp_path / "envs" / key
    ready.mkdir(parents=True)
    start("set-up.sh", str(checkout), KERNELGATE_ENVS=str(tmp_path / "envs"))
    assert (checkout / ".venv").resolve() != ready
    (ready / ".ready").touch()
    start("set-up.sh", str(checkout), KERNELGATE_ENVS=str(tmp_path / "envs"))
    assert (checkout / ".venv").resolve() == ready
    assert not (ready / "made").exists()


def test_an_environment_that_cannot_be_made_fails(start: Start, checkout: Path) -> None:
    """With what the installer said."""
    (checkout / "Makefile").write_text(
        "setup:\n\techo No space left on device >&2; exit 28\n", encoding="utf-8"
    )
    ended = start("set-up.sh", str(checkout))
    assert ended.returncode != 0
    assert "No space left on device" in ended.stderr


FORK, BRANCH = "somebody/project", "mine/$(id)"
FORKS_RUN = f"repos/{REPOSITORY}/actions/runs/{RUN}"
EVENT = {"RUN": RUN, "COMMIT": COMMIT, "FORK": FORK, "BRANCH": BRANCH}
BEFORE, MADE, AFTER = (f"2026-11-29T10:{minute:02}:00Z" for minute in (0, 5, 9))


def offer_fork(github: GitHub, **changes: str) -> None:
    """Have GitHub answer as after a fork's run of gate that passed and kept its plans."""
    said = {
        FORKS_RUN: f".github/workflows/gate.yml pull_request {COMMIT} {FORK} {BEFORE}",
        f"{FORKS_RUN}/jobs?per_page=100": "success",
        f"repos/{REPOSITORY}/pulls": f"6 {'d' * 40} {FORK}\n{NUMBER} {COMMIT} {FORK}",
        f"{FORKS_RUN}/artifacts?per_page=100": f"11 2000 {MADE}",
        f"repos/{REPOSITORY}/commits/{COMMIT}/statuses?per_page=100": "",
        f"repos/{REPOSITORY}/actions/artifacts/11/zip": "zip",
    }
    for address, answer in said.items():
        changed = [text for part, text in changes.items() if part in address.partition("?")[0].split("/")[-1]]
        github.answers(address, f"{(changed or [answer])[0]}\n")


class Found:
    """How the search ended, its outputs, and the zip that it left."""

    def __init__(self, start: Start, folder: Path, **variables: str) -> None:
        outputs, plans = folder / "outputs", folder / "plans"
        outputs.write_text("", encoding="utf-8")
        given = {**EVENT, "GITHUB_OUTPUT": str(outputs), **variables}
        self.ended = start("find-fork.sh", str(plans), **given)
        self.outputs = outputs.read_text(encoding="utf-8").splitlines()
        self.zip = (plans / "plans.zip").read_text(encoding="utf-8") if plans.exists() else None


def test_the_plans_of_a_forks_run_are_fetched_as_they_are(
    start: Start, github: GitHub, tmp_path: Path
) -> None:
    """With the number of the one pull request that proposes the commit."""
    offer_fork(github)
    found = Found(start, tmp_path)
    assert found.ended.returncode == 0, found.ended.stdout + found.ended.stderr
    assert (found.outputs, found.zip) == (["plans=true", f"number={NUMBER}"], "zip\n")
    assert f"head=somebody:{BRANCH}" in github.calls


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"jobs": "failure"}, "job hosted ended with: failure"),
        ({"pulls": ""}, "0 open pull requests"),
        ({"pulls": f"{NUMBER} {'d' * 40} {FORK}"}, "0 open pull requests"),
        ({"pulls": f"{NUMBER} {COMMIT} {REPOSITORY}"}, "0 open pull requests"),
        ({"pulls": f"7; {COMMIT} {FORK}"}, "0 open pull requests"),
        ({"pulls": f"7 {COMMIT} {FORK}\n8 {COMMIT} {FORK}"}, "2 open pull requests"),
        ({"statuses": AFTER}, "judged already"),
    ],
)
def test_a_run_without_anything_to_judge_takes_no_time_of_the_gpu(
    start: Start, github: GitHub, tmp_path: Path, changes: dict[str, str], why: str
) -> None:
    """Running the verdict again ends in another run of the workflow: it must not go round and round."""
    offer_fork(github, **changes)
    found = Found(start, tmp_path)
    assert (found.ended.returncode, found.outputs, found.zip) == (0, [], None)
    assert why in found.ended.stdout


def test_newer_plans_are_judged_though_older_ones_were(start: Start, github: GitHub, tmp_path: Path) -> None:
    """Somebody has run the job `hosted` again. Whoever runs fork.yml itself again wants it too."""
    offer_fork(github, statuses=BEFORE)
    assert Found(start, tmp_path).outputs == ["plans=true", f"number={NUMBER}"]
    (tmp_path / "again").mkdir()
    offer_fork(github, statuses=AFTER)
    again = Found(start, tmp_path / "again", GITHUB_RUN_ATTEMPT="2")
    assert again.outputs == ["plans=true", f"number={NUMBER}"]


@pytest.mark.parametrize(("status", "outputs"), [("", [f"number={NUMBER}"]), (MADE, [])])
def test_a_change_without_kernels_has_no_plans(
    start: Start, github: GitHub, tmp_path: Path, status: str, outputs: list[str]
) -> None:
    """It is judged all the same, once."""
    offer_fork(github, artifacts="", statuses=status)
    found = Found(start, tmp_path)
    assert (found.ended.returncode, found.outputs, found.zip) == (0, outputs, None)


@pytest.mark.parametrize(
    ("changes", "variables", "cause"),
    [
        ({RUN: f".github/workflows/other.yml pull_request {COMMIT} {FORK} {BEFORE}"}, {}, "no run of gate"),
        ({RUN: f".github/workflows/gate.yml push {COMMIT} {FORK} {BEFORE}"}, {}, "no run of gate"),
        ({RUN: f".github/workflows/gate.yml pull_request {'d' * 40} {FORK} {BEFORE}"}, {}, "no run of gate"),
        ({RUN: f".github/workflows/gate.yml pull_request {COMMIT} x/project {BEFORE}"}, {}, "no run of gate"),
        ({"artifacts": f"11 99999999999 {MADE}"}, {}, "allowed 64 MiB"),
        ({"artifacts": f"11; 5 {MADE}"}, {}, "cannot be read"),
        ({}, {"COMMIT": COMMIT[:12]}, "full hash"),
        ({}, {"COMMIT": f"{COMMIT}\nx"}, "full hash"),
        ({}, {"RUN": "$(id)"}, "digits only"),
        ({}, {"FORK": REPOSITORY}, "not the name of a fork"),
        ({}, {"FORK": "a/b c"}, "not the name of a fork"),
        ({}, {"GITHUB_REF": "refs/heads/other"}, "is main's"),
    ],
)
def test_what_is_no_forks_run_of_gate_is_an_error(
    start: Start,
    github: GitHub,
    tmp_path: Path,
    changes: dict[str, str],
    variables: dict[str, str],
    cause: str,
) -> None:
    """The number of a run is not believed, and a bomb is not fetched."""
    offer_fork(github, **changes)
    found = Found(start, tmp_path, **variables)
    assert (found.ended.returncode, found.outputs, found.zip) == (1, [], None)
    assert "::error title=kernelgate::" in found.ended.stdout
    assert cause in found.ended.stdout


def offer_run(github: GitHub, said: str, artifacts: str) -> None:
    run = f"repos/{REPOSITORY}/actions/runs/{RUN}"
    github.answers(run, f"{said}\n")
    github.answers(f"{run}/artifacts?per_page=100", artifacts)


@pytest.mark.parametrize("workflow", ["gate", "fork", "nightly"])
def test_the_artifacts_of_a_run_are_fetched_as_they_are(
    start: Start, github: GitHub, tmp_path: Path, workflow: str
) -> None:
    """Nothing is unpacked here."""
    offer_run(github, f".github/workflows/{workflow}.yml {REPOSITORY} completed", "11 2000\n12 3000\n")
    for number in (11, 12):
        github.answers(f"repos/{REPOSITORY}/actions/artifacts/{number}/zip", f"zip {number}")
    ended = start("fetch-proposals.sh", str(tmp_path / "out"), RUN=RUN)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    contents = {file.name: file.read_text(encoding="utf-8") for file in (tmp_path / "out").iterdir()}
    assert contents == {"11.zip": "zip 11", "12.zip": "zip 12"}


@pytest.mark.parametrize(
    ("said", "artifacts", "cause"),
    [
        (".github/workflows/gate.yml somebody/project completed", "11 2000\n", "no completed run"),
        (".github/workflows/other.yml owner/project completed", "11 2000\n", "no completed run"),
        ("x/.github/workflows/gate.yml owner/project completed", "11 2000\n", "no completed run"),
        (".github/workflows/gate.yml owner/project-2 completed", "11 2000\n", "no completed run"),
        (".github/workflows/gate.yml owner/project in_progress", "11 2000\n", "no completed run"),
        (".github/workflows/gate.yml owner/project completed", "11 99999999999\n", "allowed 64 MiB"),
        (".github/workflows/gate.yml owner/project completed", "", "kept no reports of a GPU"),
    ],
)
def test_records_come_from_this_repositorys_own_runs(
    start: Start, github: GitHub, tmp_path: Path, said: str, artifacts: str, cause: str
) -> None:
    """A fork's run may say anything."""
    offer_run(github, said, artifacts)
    github.answers(f"repos/{REPOSITORY}/actions/artifacts/11/zip", "zip")
    ended = start("fetch-proposals.sh", str(tmp_path / "out"), RUN=RUN)
    assert ended.returncode != 0
    assert f"::error title=kernelgate::{'artifact 11 has' if '64' in cause else ''}" in ended.stdout
    assert cause in ended.stdout


@pytest.mark.parametrize("run", ["", "1 2", "$(id)", "../../../user", "-1"])
def test_an_odd_run_number_is_refused(start: Start, github: GitHub, tmp_path: Path, run: str) -> None:
    """Before anything is asked."""
    assert start("fetch-proposals.sh", str(tmp_path / "out"), RUN=run).returncode == 1
    assert github.calls == ""


def test_the_pull_request_holds_the_records_and_nothing_else(
    start: Start, history: Path, github: GitHub, tmp_path: Path
) -> None:
    """Its reason is text, whatever stands in it."""
    git(tmp_path, "init", "--quiet", "--bare", "origin.git")
    git(history, "remote", "add", "origin", str(tmp_path / "origin.git"))
    (history / "baselines").mkdir()
    (history / "baselines" / "new.json").write_text("{}\n", encoding="utf-8")
    (history / "left-over.zip").write_text("x", encoding="utf-8")
    reason = 'First "record" $(touch pwned) `id`'
    ended = start("propose-records.sh", folder=history, RUN=RUN, REASON=reason)
    assert ended.returncode == 0, ended.stderr
    branch = f"baseline/run-{RUN}"
    shown = git(tmp_path / "origin.git", "show", "--format=%s", "--name-only", branch)
    assert shown.splitlines() == [f"Baseline: {reason}", "", "baselines/new.json"]
    assert repr(f"Baseline: {reason}") in github.calls
    assert not (history / "pwned").exists()


def test_records_that_change_nothing_open_no_pull_request(
    start: Start, history: Path, github: GitHub
) -> None:
    """It fails, and says so."""
    ended = start("propose-records.sh", folder=history, RUN=RUN, REASON="x")
    assert ended.returncode == 1
    assert "change nothing" in ended.stdout
    assert github.calls == ""
