"""The workflow that `kernelgate init` writes, run by act as GitHub would run it."""

import json
import os
import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.selftest.support.built_wheel import LIBRARIES, build_wheel
from tests.selftest.support.made_up_repository import commit, git
from tests.selftest.support.own_project import KERNEL, PROBLEM, begin_project
from tests.selftest.support.script_module import load_script
from tests.selftest.workflows.test_act import steps_in

pytestmark = pytest.mark.act

ROOT = Path(__file__).resolve().parents[3]
WORKFLOW = ".github/workflows/kernelgate.yml"
FAULT = ("/ width", "/ (width + 1)")
GUARDS = "Judge the accepted kernels anew, if more than kernels changed"
Propose = Callable[[dict[str, str]], tuple[int, str]]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the gate's wheel, and one that lends the libraries of this environment in place of PyTorch's."""
    folder = tmp_path_factory.mktemp("wheels")
    lent = folder / "lent-1-py3-none-any.whl"
    with zipfile.ZipFile(lent, "w") as packed:
        packed.writestr("lent.pth", f"{LIBRARIES}\n")
        packed.writestr("lent-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: lent\nVersion: 1\n")
        packed.writestr("lent-1.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        packed.writestr("lent-1.dist-info/RECORD", "")
    return build_wheel(folder), lent


@pytest.fixture
def project(wheels: tuple[Path, Path], tmp_path: Path) -> Path:
    """Return a project whose line KERNELGATE names the wheel, as its owner is told to say."""
    project = begin_project(tmp_path / "own")
    text = (project / WORKFLOW).read_text(encoding="utf-8")
    text, replaced = re.subn("KERNELGATE: kernelgate==.*", f"KERNELGATE: {wheels[0]}", text)
    assert replaced == 1
    commit(project, {WORKFLOW: text.encode()})
    return project


@pytest.fixture
def propose(
    project: Path, wheels: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Propose:
    """Give what runs the workflow on a pull request of these files; returns exit code and log."""
    wrapper: Any = load_script(ROOT / ".github/act/run.py")
    asked = tmp_path / "requirements.txt"
    asked.write_text(f"{wheels[1]}\n", encoding="utf-8")
    for name, value in (("NO_DEPS", "1"), ("NO_INDEX", "1"), ("REQUIREMENT", str(asked))):
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")

    def run(files: dict[str, str]) -> tuple[int, str]:
        base, place, log = git(project, "rev-parse", "HEAD"), tmp_path / "place", tmp_path / "act.log"
        commit(project, {name: text.encode() for name, text in files.items()})
        place.mkdir()
        event = wrapper.write_event(place, project, "pull_request", base, False)
        command = [wrapper.find_act(), "pull_request", *stand_ins(), "--eventpath", event]
        for setting in (f"ACT_ARTIFACTS={tmp_path / 'kept'}", f"ACT_CHECKOUT={project}", "TERM=dumb"):
            command += ["--env", setting]
        environment = wrapper.clean_environment(place)
        code = wrapper.follow(wrapper.under_keeper(command, place), project, environment, log)
        return code, log.read_text(encoding="utf-8")

    return run


def stand_ins() -> list[str]:
    """Return the options by which act needs no network, as .actrc of this repository has them."""
    words = []
    for line in (ROOT / ".actrc").read_text(encoding="utf-8").splitlines():
        option, _, value = line.partition(" ")
        if option == "--local-repository":
            action, _, folder = value.partition("=")
            words += [option, f"{action}={ROOT / folder}"]
        elif option != "-P":  # which the project's own has
            words += [option, value] if value else [option]
    return words


def report_in(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((folder / "rms" / "report.json").read_text(encoding="utf-8"))
    return report


def test_a_pull_request_with_a_right_kernel_passes(propose: Propose, project: Path, tmp_path: Path) -> None:
    """Its proposed record is kept beside its report."""
    source = (project / KERNEL).read_text(encoding="utf-8")
    code, said = propose({KERNEL: source.replace("BLOCK=triton", "num_warps=8, BLOCK=triton")})
    assert code == 0, said
    assert GUARDS not in steps_in(said)
    assert report_in(tmp_path / "kept/reports/changed")["verdict"] == "NOT_MEASURED"
    assert (tmp_path / "kept/reports/changed/rms/compile.proposed.json").exists()


def test_a_wrong_kernel_fails_by_the_problem_of_the_base(
    propose: Propose, project: Path, tmp_path: Path
) -> None:
    """Whatever the change makes of the problem file; the report is kept all the same."""
    source, problem = ((project / name).read_text(encoding="utf-8") for name in (KERNEL, PROBLEM))
    assert source.count(FAULT[0]) == 1
    code, said = propose({KERNEL: source.replace(*FAULT), PROBLEM: problem.replace("1e-6", "1.0")})
    assert code == 1, said
    assert report_in(tmp_path / "kept/reports/changed")["verdict"] == "WRONG"
    assert "kernels/rms.py: WRONG:" in said


def test_a_change_of_a_problem_has_its_kernel_judged_anew(
    propose: Propose, project: Path, tmp_path: Path
) -> None:
    """By rule guard, as it lies after the change."""
    problem = (project / PROBLEM).read_text(encoding="utf-8")
    code, said = propose({PROBLEM: problem.replace("4096", "2048")})
    assert code == 0, said
    assert GUARDS in steps_in(said)
    assert report_in(tmp_path / "kept/reports/guarded")["rule"] == "guard"
