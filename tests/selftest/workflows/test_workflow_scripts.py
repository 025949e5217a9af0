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


def test_a_forks_commit_must_be_the_one_that_is_proposed(start: Start, github: GitHub) -> None:
    """Open, for main, and nothing pushed since."""
    address = f"repos/{REPOSITORY}/pulls/{NUMBER}"
    for state, code in (
        (f"open main {COMMIT}", 0),
        (f"closed main {COMMIT}", 1),
        (f"open release {COMMIT}", 1),
        (f"open main {'d' * 40}", 1),
        ("", 1),
    ):
        github.answers(address, f"{state}\n")
        ended = start("check-fork.sh", NUMBER=NUMBER, COMMIT=COMMIT)
        assert ended.returncode == code, state
        assert ("::error title=kernelgate::" in ended.stdout) == bool(code)


@pytest.mark.parametrize(
    "variables",
    [
        {"NUMBER": "7; id", "COMMIT": COMMIT},
        {"NUMBER": "$(id)", "COMMIT": COMMIT},
        {"NUMBER": "../issues/7", "COMMIT": COMMIT},
        {"NUMBER": "07", "COMMIT": COMMIT},
        {"NUMBER": NUMBER, "COMMIT": "main"},
        {"NUMBER": NUMBER, "COMMIT": COMMIT[:12]},
        {"NUMBER": NUMBER, "COMMIT": f"{COMMIT}\nx"},
        {"NUMBER": NUMBER, "COMMIT": COMMIT, "GITHUB_REF": "refs/heads/other"},
    ],
)
def test_odd_input_is_refused_before_anything_is_asked(
    start: Start, github: GitHub, variables: dict[str, str]
) -> None:
    """A short hash may come to mean another commit; another branch has another gate."""
    github.answers(f"repos/{REPOSITORY}/pulls/{NUMBER}", f"open main {COMMIT}\n")
    ended = start("check-fork.sh", **variables)
    assert ended.returncode == 1
    assert github.calls == ""


def offer_run(github: GitHub, said: str, artifacts: str) -> None:
    run = f"repos/{REPOSITORY}/actions/runs/{RUN}"
    github.answers(run, f"{said}\n")
    github.answers(f"{run}/artifacts?per_page=100", artifacts)


@pytest.mark.parametrize("workflow", ["gate", "gpu-fork", "nightly"])
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
