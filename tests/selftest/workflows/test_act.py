"""The workflow itself, run by act as GitHub would run it: what each kind of change comes to."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.selftest.support.made_up_repository import commit, git, make_repository

pytestmark = pytest.mark.act

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "docs" / "examples"
SELFTESTS = Path("tests/selftest")
QUICKLY_TESTED = {SELFTESTS / name for name in ("__init__.py", "conftest.py", "test_files.py")}
"""What the small repository keeps of its self-tests, so that a run of its workflow ends in a minute."""

ACCEPTED = (ROOT / "kernels" / "alexnet_conv1.py").read_text(encoding="utf-8")
RIGHT = ACCEPTED.replace("num_stages=3", "num_stages=4")
RENAMED = (EXAMPLES / "renamed" / "kernel.py").read_text(encoding="utf-8")
WRONG = RIGHT.replace("total += shift[None, :]", "total += 1.05 * shift[None, :]")
FORBIDDEN = RIGHT.replace("    return out\n", "    return torch.conv2d(x, weight, bias, stride, padding)\n")


BESIDE_KERNELS = ("Set up the change's own environment", "Lint, types", "Self-tests")
"""The steps of what is no kernel file."""


def steps_in(log: str) -> list[str]:
    """Return the steps that act calls a success, by their names."""
    return re.findall(r"Success - Main (.+?) \[", log)


class Ran:
    """What a run of the workflow left: exit code, log, and reports by artifact, folder and kernel."""

    def __init__(self, code: int, said: str, folder: Path) -> None:
        self.code, self.said, self.folder = code, said, folder

    def report(self, place: str) -> dict[str, Any]:
        file = self.folder / "artifacts" / place / "alexnet_conv1" / "report.json"
        report: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return report

    def summary(self, place: str) -> str:
        return (self.folder / "artifacts" / place / "summary.md").read_text(encoding="utf-8")


Propose = Callable[..., Ran]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Give a repository of one commit, the project as it lies here but for most of its self-tests."""
    listed = git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    for name in filter(None, listed.split("\0")):
        path = Path(name)
        too_long = path.is_relative_to(SELFTESTS) and path not in QUICKLY_TESTED
        if (ROOT / path).is_file() and not too_long:
            (tmp_path / "main" / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, tmp_path / "main" / path)
    make_repository(tmp_path / "main")
    commit(tmp_path / "main", {})
    return tmp_path / "main"


@pytest.fixture
def run_workflow(repository: Path, tmp_path: Path) -> Propose:
    """Give what runs the workflow on the repository's HEAD, or on a kernel that is proposed to it."""

    def run(*options: str, kernel: str | None = None) -> Ran:
        if kernel is not None:
            (tmp_path / "kernel.py").write_text(kernel, encoding="utf-8")
            options = (*options, "--candidate", str(tmp_path / "kernel.py"))
        command = [sys.executable, str(repository / ".github/act/run.py"), *options]
        command += ["--report-dir", str(tmp_path / "report")]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        return Ran(ended.returncode, ended.stdout + ended.stderr, tmp_path / "report")

    return run


def test_a_pull_request_with_a_right_kernel_passes(run_workflow: Propose) -> None:
    """Every stage that needs no GPU ran on the proposed bytes, and nothing of what did not change."""
    assert RIGHT != ACCEPTED
    ran = run_workflow(kernel=RIGHT)
    assert ran.code == 0, ran.said
    report = ran.report("reports-hosted/changed")
    assert (report["verdict"], report["candidate"]["path"]) == ("NOT_MEASURED", "kernels/alexnet_conv1.py")
    ran_stages = [name for name, stage in report["stages"].items() if stage["status"] == "passed"]
    assert ran_stages == ["format", "compile", "stage-rules", "correctness"]
    assert not set(BESIDE_KERNELS) & set(steps_in(ran.said))
    assert "reports-hosted/changed: kernelgate: NOT_MEASURED" in ran.said


@pytest.mark.parametrize(("kernel", "verdict"), [(WRONG, "WRONG"), (FORBIDDEN, "FORBIDDEN")])
def test_a_pull_request_with_a_bad_kernel_fails(run_workflow: Propose, kernel: str, verdict: str) -> None:
    """The check fails, its error names the verdict, and the report is kept all the same."""
    assert kernel != RIGHT
    ran = run_workflow(kernel=kernel)
    assert ran.code == 1, ran.said
    assert ran.report("reports-hosted/changed")["verdict"] == verdict
    assert f"kernels/alexnet_conv1.py: {verdict}:" in ran.said
    assert not set(BESIDE_KERNELS) & set(steps_in(ran.said))


def test_a_push_is_compared_with_what_was_there_before(repository: Path, run_workflow: Propose) -> None:
    """And a machine without a GPU that takes the GPU's job fails, with the cause."""
    (repository / "kernels/alexnet_conv1.py").write_text(RENAMED, encoding="utf-8")
    commit(repository, {})
    ran = run_workflow("--event", "push", "--base", "HEAD^", "--all-jobs")
    assert ran.code == 1
    assert ran.report("reports-hosted/changed")["verdict"] == "SAME_CODE"
    assert "This machine is not fit to judge 1 %: GPU." in ran.said
    assert "::error title=kernelgate::GPU: " in ran.said
    assert "| hosted | success | SAME_CODE | not needed |" in ran.said
    assert "| gpu | failure | none | not needed |" in ran.said
    assert "::error title=kernelgate::gpu: no verdict." in ran.said


def test_plans_go_from_one_job_to_the_other(run_workflow: Propose) -> None:
    """The GPU machine checks out the base, and gets the change's plans; here it ends for want of a GPU."""
    ran = run_workflow("--all-jobs", kernel=RENAMED)
    assert ran.code == 1
    done = steps_in(ran.said)
    assert "Keep the plans" in done
    assert "Check out the base, whose gate judges, and nothing of the change" in done
    assert "Fetch the plans of the changed kernels" in done
    assert "This machine is not fit to judge 1 %: GPU." in ran.said
    (index,) = (ran.folder / "artifacts" / "plans").glob("*/book.json")
    assert json.loads(index.read_bytes())["kernel_sha256"] == index.parent.name


def test_a_forks_pull_request_waits_for_the_workflow_of_main(run_workflow: Propose) -> None:
    """The GPU's job is skipped, and the verdict fails until fork.yml has judged the plans."""
    ran = run_workflow("--fork", "--all-jobs", kernel=RENAMED)
    assert ran.code == 1
    assert "| hosted | success | SAME_CODE | not needed |" in ran.said
    assert "| gpu | skipped | none | not needed |" in ran.said
    assert "gpu: workflow fork has not judged commit" in ran.said
    assert "gate/gpu" not in ran.said


def test_what_judges_is_the_bases_own(repository: Path, run_workflow: Propose) -> None:
    """A change that loosens the rules beside a wrong kernel is judged by the rules of its base."""
    base = git(repository, "rev-parse", "HEAD")
    (repository / "kernels/alexnet_conv1.py").write_text(WRONG, encoding="utf-8")
    for name, old, new in (
        ("kernelgate/operations/accuracy/laws.py", "import", "import sys\nsys.exit(0)\nimport"),
        (
            "kernelgate/outcome.py",
            "made.passes, made.meaning, made.next_step = passes,",
            "made.passes, made.meaning, made.next_step = True,",
        ),
        ("conftest.py", '"""', 'import os; os._exit(0)\n"""'),
        ("kernelgate/settings.toml", "noise_gain = 0.01", "noise_gain = -1.0"),
        (".github/scripts/verdict.py", "return int(bool(advice))", "return 0"),
    ):
        source = (repository / name).read_text(encoding="utf-8")
        assert old in source
        (repository / name).write_text(source.replace(old, new, 1), encoding="utf-8")
    commit(repository, {})
    ran = run_workflow("--base", base)
    assert ran.code == 1
    assert ran.report("reports-hosted/changed")["verdict"] == "WRONG"
    first = ran.summary("reports-hosted/changed").split("\n\n")[1:3]
    assert first[0].startswith("**This change also edits what judges.**")
    edited = ("`kernelgate/settings.toml`", "`conftest.py`", "`.github/scripts/verdict.py`")
    assert all(name in first[1] for name in edited)


def test_names_that_hold_shell_code_stay_names(
    repository: Path, run_workflow: Propose, tmp_path: Path
) -> None:
    """A file may be called anything; nothing of it runs, and what is no kernel of ours is refused."""
    base = git(repository, "rev-parse", "HEAD")
    mark = tmp_path / "ran"
    for name in (
        f"kernels/$(touch {mark.name}).py",
        "kernels/`id`\n::error::x.py",
        "docs/a; touch b && c.md",
    ):
        (repository / name).write_text("import torch\n", encoding="utf-8")
    commit(repository, {})
    git(repository, "commit", "--quiet", "--amend", "--message", "$(touch everywhere)")
    ran = run_workflow("--base", base)
    assert ran.code == 1
    assert not [*tmp_path.rglob(mark.name), *tmp_path.rglob("everywhere")]
    assert ran.summary("reports-hosted/changed").startswith("# kernelgate: REFUSED\n")
    assert "begins with the name of no operation" in ran.said
    assert not [line for line in ran.said.splitlines() if line.split("| ")[-1].startswith("::error::x")]


def test_a_first_push_has_everything_judged(run_workflow: Propose) -> None:
    """There is nothing to compare with: every accepted kernel is guarded, lint, types and self-tests run."""
    ran = run_workflow()
    assert ran.code == 0, ran.said
    assert set(BESIDE_KERNELS) <= set(steps_in(ran.said))
    assert ran.summary("reports-hosted/changed").startswith("# kernelgate: NOTHING_TO_JUDGE\n")
    report = ran.report("guard-hosted/guarded")
    assert (report["verdict"], report["rule"]) == ("NOT_MEASURED", "guard")
    assert report["stages"]["correctness"]["status"] == "passed"


def test_uncommitted_changes_are_not_judged_silently(repository: Path, run_workflow: Propose) -> None:
    """A workflow sees commits alone."""
    with (repository / "README.md").open("a", encoding="utf-8") as stream:
        stream.write("more\n")
    ran = run_workflow()
    assert ran.code == 2
    assert "commit or stash these first" in ran.said
    assert "README.md" in ran.said
