"""What the workflows may do, and what act needs to run them without a network."""

import fnmatch
import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.selftest.pull_request.test_change import JUDGING

ROOT = Path(__file__).resolve().parents[3]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
SCRIPTS = sorted(GITHUB.rglob("*.sh"))
TOOLS = Path(sys.executable).parent
GPU_LABELS = "[self-hosted, linux, x64, gpu, rtx4090]"
MADE_OF = {"gate.yml": "ref: ${{ needs.hosted.outputs.base }}", "fork.yml": "fetch-depth: 0"}
"""What the job on the GPU machine checks out: the commit that judges."""


def name_of(file: Path) -> str:
    return file.name


def run(*command: str | Path, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Return how a tool ended; one that is missing is an error, never a test that is left out."""
    return subprocess.run([*map(str, command)], cwd=folder, capture_output=True, text=True, check=False)


def zizmor(persona: str, *files: Path) -> subprocess.CompletedProcess[str]:
    return run(TOOLS / "zizmor", "--offline", "--no-progress", "--persona", persona, *(files or [ROOT]))


def actionlint(file: Path) -> subprocess.CompletedProcess[str]:
    config = GITHUB / "actionlint.yaml"
    return run(TOOLS / "actionlint", "-shellcheck", TOOLS / "shellcheck", "-config-file", config, file)


def jobs_of(workflow: str) -> dict[str, str]:
    """Return the text of each job."""
    _, _, jobs = workflow.partition("\njobs:\n")
    parts = re.split(r"^  ([a-z-]+):\n", jobs, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def steps_of(job: str) -> dict[str, str]:
    """Return the text of each step of a job, by its name."""
    parts = re.split(r"^      - name: (.+)\n", job, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def uses_of(text: str) -> list[str]:
    return re.findall(r"\buses: (.*)", text)


@pytest.mark.parametrize("file", WORKFLOWS, ids=name_of)
def test_actionlint_finds_nothing(file: Path) -> None:
    """Nor does shellcheck in the steps."""
    found = actionlint(file)
    assert (found.returncode, found.stdout + found.stderr) == (0, "")


def test_actionlint_asks_shellcheck(tmp_path: Path) -> None:
    """A variable without its quotes is found, so the tool is at work."""
    text = (GITHUB / "workflows/gate.yml").read_text(encoding="utf-8")
    worse = tmp_path / "gate.yml"
    worse.write_text(text.replace('cd "$RUNNER_TEMP/base"', "cd $RUNNER_TEMP/base"), encoding="utf-8")
    assert "SC2086" in actionlint(worse).stdout


@pytest.mark.parametrize("persona", ["pedantic", "auditor"])
def test_zizmor_finds_nothing(persona: str) -> None:
    """Even where it looks for what is merely worth a question."""
    found = zizmor(persona)
    assert found.returncode == 0, found.stdout


IGNORED = {
    f"runs-on: {GPU_LABELS} # zizmor: ignore[self-hosted-runner]": (
        "# No hosted machine has the GPU; docs/runner.md says what guards this one."
    ),
    "workflow_run: # zizmor: ignore[dangerous-triggers]": (
        "# A fork can choose what the plans say, and no more: docs/runner.md has what guards the machine."
    ),
}


def test_what_zizmor_is_told_to_ignore_has_a_written_reason() -> None:
    """The machine with the GPU, and what judges a fork's plans there: the line before says why."""
    for file in WORKFLOWS:
        lines = file.read_text(encoding="utf-8").splitlines()
        for before, line in itertools.pairwise(lines):
            if "zizmor: ignore" in line:
                assert IGNORED[line.strip()] == before.strip()


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7", "unpinned-uses"),
        ("          persist-credentials: false\n", "", "artipacked"),
        ("  pull_request:\n", "  pull_request_target:\n", "dangerous-triggers"),
        ("permissions: {}", "permissions: write-all", "excessive-permissions"),
        ("run: make quick-test", "run: echo ${{ github.event.pull_request.title }}", "template-injection"),
    ],
)
def test_zizmor_is_at_work(tmp_path: Path, old: str, new: str, rule: str) -> None:
    """Each of these would let a stranger in, and is found."""
    text = (GITHUB / "workflows/gate.yml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / ".github/workflows").mkdir(parents=True)
    worse = tmp_path / ".github/workflows/gate.yml"
    worse.write_text(text.replace(old, new), encoding="utf-8")
    found = zizmor("pedantic", worse)
    assert found.returncode != 0
    assert rule in found.stdout


@pytest.mark.parametrize("file", SCRIPTS, ids=name_of)
def test_shellcheck_finds_nothing(file: Path) -> None:
    """In any script of workflows or runner; each can be started."""
    found = run(TOOLS / "shellcheck", file)
    assert (found.returncode, found.stdout) == (0, "")
    assert file.stat().st_mode & 0o111


@pytest.mark.parametrize("file", WORKFLOWS, ids=name_of)
def test_actions_are_pinned_by_hash_with_their_version(file: Path) -> None:
    """A tag can be moved, a hash cannot."""
    for used in uses_of(file.read_text(encoding="utf-8")):
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used)


def test_act_finds_every_action_here() -> None:
    """What gate.yml uses has a stand-in in .actrc; a checkout of the default commit act makes itself."""
    settings = (ROOT / ".actrc").read_text(encoding="utf-8").splitlines()
    here = dict(line.split(" ", 1)[1].rsplit("=", 1) for line in settings if "--local-repository" in line)
    workflow = (GITHUB / "workflows/gate.yml").read_text(encoding="utf-8")
    assert {use.split(" ")[0] for use in uses_of(workflow)} == set(here)
    assert all((ROOT / folder / "action.yml").is_file() for folder in here.values())


def test_act_knows_every_label_of_the_gate() -> None:
    """A job whose label act does not know is left out without a word."""
    settings = (ROOT / ".actrc").read_text(encoding="utf-8")
    for name, job in jobs_of((GITHUB / "workflows/gate.yml").read_text(encoding="utf-8")).items():
        label = re.findall(r"runs-on: ([^#\n]+)", job)[0].strip()
        assert f"-P {label}=-self-hosted" in settings or (name, label) == ("gpu", GPU_LABELS)


@pytest.mark.parametrize("file", WORKFLOWS, ids=name_of)
def test_every_job_on_the_gpu_machine_reads_only_and_knows_no_secret(file: Path) -> None:
    """Candidate code runs there."""
    for job in jobs_of(file.read_text(encoding="utf-8")).values():
        if "self-hosted" in job:
            assert re.findall(r"permissions:\n((?:      .*\n)+)", job) == ["      contents: read\n"]
            assert "secrets" not in job
            assert "token" not in job.lower()


@pytest.mark.parametrize("file", WORKFLOWS, ids=name_of)
def test_nothing_of_an_event_is_pasted_into_a_script(file: Path) -> None:
    """A title, a branch or an input reaches a script as a variable."""
    text = file.read_text(encoding="utf-8")
    scripts = re.findall(r"run: \|\n((?:          .*\n)+)|run: (.+)", text)
    assert scripts
    assert not [script for script in scripts if "${{" in "".join(script)]


def test_the_verdict_waits_for_both_jobs_whatever_they_come_to() -> None:
    """It is the one check that the branch rule asks for."""
    verdict = jobs_of((GITHUB / "workflows/gate.yml").read_text(encoding="utf-8"))["verdict"]
    assert "needs: [hosted, gpu]" in verdict
    assert "if: ${{ always() }}" in verdict
    assert "continue-on-error" not in (GITHUB / "workflows/gate.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("job", ["hosted", "gpu"])
@pytest.mark.parametrize("what", ["result", "verdict", "guard"])
def test_the_verdict_is_told_all_that_a_job_came_to(job: str, what: str) -> None:
    """Its result, and what its two steps said."""
    jobs = jobs_of((GITHUB / "workflows/gate.yml").read_text(encoding="utf-8"))
    said = what if what == "result" else f"outputs.{what}"
    assert f"{job}_{what}".upper() + f": ${{{{ needs.{job}.{said} }}}}\n" in jobs["verdict"]
    if what != "result":
        step = {"verdict": "judge", "guard": "guard"}[what]
        assert f"      {what}: ${{{{ steps.{step}.outputs.verdict }}}}\n" in jobs[job]


def test_lint_and_self_tests_run_unless_the_base_says_that_only_kernels_changed() -> None:
    """An output that is missing is empty, which is not `false`: then they run."""
    hosted = jobs_of((GITHUB / "workflows/gate.yml").read_text(encoding="utf-8"))["hosted"]
    conditions = {
        name: re.findall(r"^        if: (.+)", step, re.MULTILINE) for name, step in steps_of(hosted).items()
    }
    unless_kernels_alone = ["steps.judge.outputs.tests != 'false'"]
    assert conditions["Set up the change's own environment"] == unless_kernels_alone
    assert conditions["Lint, types"] == unless_kernels_alone
    assert conditions["Self-tests"] == unless_kernels_alone
    assert conditions["Judge the changed kernels, and make their launch plans"] == []


def test_a_forks_code_cannot_reach_the_gpu_machine_by_a_pull_request() -> None:
    """Its job is not for forks; fork.yml, which is main's, takes the plans of a fork as data."""
    gpu = jobs_of((GITHUB / "workflows/gate.yml").read_text(encoding="utf-8"))["gpu"]
    condition = "github.event.pull_request.head.repo.full_name == github.repository"
    assert f"if: github.event_name == 'push' || {condition}\n" in gpu
    for file in WORKFLOWS:
        triggers = file.read_text(encoding="utf-8").partition("\non:\n")[2].partition("\npermissions:")[0]
        assert "pull_request_target" not in triggers
        assert ("workflow_run:" in triggers) == (file.name == "fork.yml")


@pytest.mark.parametrize("name", ["gate.yml", "fork.yml"])
def test_the_gpu_machine_checks_out_what_judges_and_nothing_of_a_pull_request(name: str) -> None:
    """Of the change there are commits in git's store, which nobody checks out, and plans."""
    job = jobs_of((GITHUB / "workflows" / name).read_text(encoding="utf-8"))["gpu"]
    assert job.count("uses: actions/checkout@") == 1
    assert MADE_OF[name] in job.partition("uses: actions/checkout@")[2].partition("      - name")[0]
    assert "git checkout" not in job
    steps = steps_of(job)
    for step in (text for text in steps.values() if "git worktree" in text or "kernelgate guard" in text):
        assert "        if: github.event_name == 'push' && " in step
    (judges,) = (text for text in steps.values() if "kernelgate judge-change" in text)
    assert "--plans" in judges


def test_a_pull_request_is_judged_by_plans_and_a_push_by_calls() -> None:
    """What the script of the step makes of the event."""
    job = jobs_of((GITHUB / "workflows/gate.yml").read_text(encoding="utf-8"))["gpu"]
    script = steps_of(job)["Judge the changed kernels, and time them"]
    lines = script.partition("run: |\n")[2].partition("        env:")[0]
    script = lines.replace(".venv/bin/python -m kernelgate", "echo")
    for event, given in (
        ("pull_request", "judge-change --measure --plans /x/plans --rep"),
        ("push", "judge-change --measure --rep"),
    ):
        environment = {
            "GITHUB_EVENT_NAME": event,
            "RUNNER_TEMP": "/x",
            "PROPOSED": "c",
            "PATH": "/usr/bin:/bin",
        }
        said = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert said.startswith(given)


def test_nobody_of_a_fork_runs_where_a_token_may_write() -> None:
    """Publishing checks nothing out, and judging knows no token."""
    jobs = jobs_of((GITHUB / "workflows/fork.yml").read_text(encoding="utf-8"))
    assert "actions/checkout" not in jobs["publish"]
    for name, job in jobs.items():
        assert (": write" in job) == (name == "publish")
        assert "head_branch" not in "".join(re.findall(r"run: .*", job))


def owner_of(path: str) -> str:
    """Return whose review a file asks for: of the last line that fits, empty if that names nobody."""
    owner = ""
    for line in (GITHUB / "CODEOWNERS").read_text(encoding="utf-8").splitlines():
        pattern, _, named = line.partition(" ")
        fits = fnmatch.fnmatch(f"/{path}", f"{pattern}*") if pattern.startswith("/") else pattern == "*"
        owner = named if fits else owner
    return owner


@pytest.mark.parametrize("path", [name for name, _, _ in JUDGING])
def test_what_judges_has_owners(path: str) -> None:
    """Their review is what a branch rule can ask for."""
    assert owner_of(path)


def test_kernels_need_no_owner_but_the_original() -> None:
    """The gate's verdict is their judge."""
    assert not owner_of("kernels/alexnet_conv1.py")
    assert owner_of("kernels/alexnet_conv1_original.py")


@pytest.mark.parametrize("file", WORKFLOWS, ids=name_of)
def test_a_step_fails_with_any_part_of_a_pipe(file: Path) -> None:
    """GitHub's default shell takes the last part alone."""
    assert "\ndefaults:\n  run:\n    shell: bash #" in file.read_text(encoding="utf-8")


def test_only_pull_requests_for_main_are_judged() -> None:
    """A verdict against another branch's gate must not stand on a commit that is then proposed to main."""
    text = (GITHUB / "workflows/gate.yml").read_text(encoding="utf-8")
    assert (
        "  pull_request:\n    branches: [main]\n    types: [opened, synchronize, reopened, edited] #" in text
    )


def test_the_bases_own_script_sets_up_what_judges() -> None:
    """That of the change could set up another gate."""
    text = (GITHUB / "workflows/gate.yml").read_text(encoding="utf-8")
    jobs = jobs_of(text)
    for name, own in (("hosted", "'\"$RUNNER_TEMP/base/.github"), ("gpu", ".github")):
        assert set(re.findall(r"(\S*)/scripts/set-up.sh", jobs[name])) == {own}
