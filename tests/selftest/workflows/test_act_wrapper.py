"""What reaches the jobs of act, and what the wrapper makes of what they leave."""

import json
from pathlib import Path
from types import ModuleType

import pytest

from tests.selftest.support.script_module import load_script

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def wrapper() -> ModuleType:
    """Give the wrapper, which is a script and no module of a package."""
    return load_script(ROOT / ".github/act/run.py")


@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "SSH_AUTH_SOCK", "HOME", "CI"])
def test_the_callers_secrets_and_home_do_not_reach_the_jobs(
    wrapper: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """Their settings of act and git would count, too."""
    monkeypatch.setenv(name, "mine")
    assert wrapper.clean_environment(tmp_path).get(name) != "mine"


@pytest.mark.parametrize(
    ("variables", "cache"),
    [
        ({"HOME": "/h"}, "/h/.cache/pip"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "/x"}, "/x/pip"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "/x", "PIP_CACHE_DIR": "/p"}, "/p"),
    ],
)
def test_jobs_use_the_callers_cache_of_pip(
    wrapper: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variables: dict[str, str],
    cache: str,
) -> None:
    """Their home is new, and PyTorch is large."""
    for name in ("XDG_CACHE_HOME", "PIP_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert wrapper.clean_environment(tmp_path)["PIP_CACHE_DIR"] == cache


def test_act_is_the_one_of_the_environment(
    wrapper: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another one that lies on the path is of another version; none at all is said, with what to do."""
    monkeypatch.setattr(wrapper.sys, "executable", str(tmp_path / "python"))
    with pytest.raises(wrapper.RunError, match=r"act is not in .*: run `make setup`"):
        wrapper.find_act()
    (tmp_path / "act").touch(mode=0o755)
    assert wrapper.find_act() == str(tmp_path / "act")


def leave_report(artifacts: Path, job: str) -> None:
    """Leave what the workflow keeps of a kernel that passed."""
    folder = artifacts / f"reports-{job}" / "changed"
    (folder / "alexnet_conv1").mkdir(parents=True)
    (folder / "summary.md").write_text("# kernelgate: SAME_CODE\n", encoding="utf-8")
    report = {
        "candidate": {"path": "kernels/alexnet_conv1.py"},
        "verdict": "SAME_CODE",
        "reason": "same-code",
        "detail": "the same",
        "next_step": "Nothing.",
        "stages": {"format": {"status": "passed"}, "performance": {"status": "not-run"}},
    }
    (folder / "alexnet_conv1" / "report.json").write_text(json.dumps(report), encoding="utf-8")


@pytest.mark.parametrize("code", [0, 1])
def test_what_ran_is_said(
    wrapper: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], code: int
) -> None:
    """And what did not."""
    leave_report(tmp_path, "hosted")
    assert wrapper.conclude(code, tmp_path, ["hosted"], Path("act-report")) == code
    said = capsys.readouterr().out
    assert "reports-hosted/changed: kernelgate: SAME_CODE" in said
    assert "format passed, performance not-run" in said
    assert "not run: the job gpu" in said


def test_a_workflow_that_passed_and_left_no_report_is_not_believed(
    wrapper: ModuleType, tmp_path: Path
) -> None:
    """A job whose label act does not know is skipped, and it calls that a success."""
    leave_report(tmp_path, "hosted")
    with pytest.raises(wrapper.RunError, match="left no report of gpu: trust nothing of it"):
        wrapper.conclude(0, tmp_path, ["hosted", "gpu"], Path("act-report"))
    assert wrapper.conclude(1, tmp_path, ["hosted", "gpu"], Path("act-report")) == 1
