"""A project of one's own, begun from nothing: its kernels get verdicts, and so do changes of them."""

import json
from pathlib import Path

import pytest

import kernelgate
from kernelgate.cli.main import main
from kernelgate.settings import find_project, load_settings
from kernelgate.verdict import Outcome
from tests.selftest.support.made_up_repository import commit, git, make_repository
from tests.selftest.support.no_gpu import needs_no_gpu
from tests.selftest.workflows.test_workflows import actionlint, zizmor

FILES = {
    ".actrc",
    ".gitignore",
    ".github/workflows/kernelgate.yml",
    "kernels/rms.py",
    "tests/gate/test_gate.py",
    "problems/rms.py",
    "pyproject.toml",
}
FAULT = ("/ width", "/ (width + 1)")


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository in which nothing but the project's beginning is committed."""
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert main(["init", "rms"]) == 0
    make_repository(folder)
    commit(folder, {})
    return folder


def files_in(folder: Path) -> set[str]:
    found = (file.relative_to(folder) for file in folder.rglob("*") if file.is_file())
    return {str(file) for file in found if file.parts[0] != ".git"}


def test_it_says_what_it_wrote(capsys: pytest.CaptureFixture[str], begun: Path) -> None:
    """And writes over nothing."""
    assert files_in(begun) == FILES
    said = capsys.readouterr().out
    assert all(f"wrote {name}\n" in said for name in FILES)
    assert "kernelgate judge kernels/rms.py" in said
    (begun / "kernels" / "rms.py").write_text("# mine\n")
    assert main(["init", "rms"]) == 0
    said = capsys.readouterr().out
    assert said.count("kept  ") == len(FILES) - 2
    assert "wrote" not in said
    assert (begun / "kernels" / "rms.py").read_text() == "# mine\n"
    assert main(["init", "rms", "--force"]) == 0
    assert (begun / "kernels" / "rms.py").read_text() != "# mine\n"


def test_settings_that_are_there_stay(tmp_path: Path) -> None:
    """The problem is added to them, and the next one beside it."""
    file, ignored = tmp_path / "pyproject.toml", tmp_path / ".gitignore"
    file.write_text("[project]\nname = 'mine'\n[tool.kernelgate.laws]\nmax_error_ratio = 2.0\n")
    ignored.write_text("*.pyc\n")
    for name in ("rms", "other"):
        assert main(["init", name, "--root", str(tmp_path)]) == 0
    assert file.read_text().startswith("[project]\nname = 'mine'\n")
    settings = load_settings(file)
    assert settings.problems == {"rms": "problems/rms.py", "other": "problems/other.py"}
    assert settings.laws.max_error_ratio == 2.0
    assert ignored.read_text().startswith("*.pyc\n")
    assert ignored.read_text().count("gate-report/") == 1


def test_settings_that_cannot_be_read_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is added to them; who judges there is told too."""
    (tmp_path / "pyproject.toml").write_text("[tool.kernelgate\n")
    (tmp_path / "rms.py").touch()
    assert main(["init", "rms", "--root", str(tmp_path)]) == 1
    assert main(["judge", str(tmp_path / "rms.py"), "--project", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("pyproject.toml: cannot be read: ") == 2
    assert find_project(tmp_path) == tmp_path
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("softmax", "an operation of kernelgate's own"),
        *((name, "is no name of a problem") for name in ("Rms", "2d", "a-b", "../x", "", "class")),
    ],
)
def test_a_name_that_cannot_be_one_is_refused(
    tmp_path: Path, name: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is written."""
    assert main(["init", name, "--root", str(tmp_path)]) == 1
    assert why in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert main(["init", "rms", "--root", str(tmp_path / "nowhere")]) == 1
    assert "nowhere: is no folder" in capsys.readouterr().err


def test_the_workflow_has_no_fault(begun: Path) -> None:
    """For actionlint with shellcheck, and for zizmor."""
    file = begun / ".github" / "workflows" / "kernelgate.yml"
    for found in (actionlint(file), zizmor("pedantic", file)):
        assert found.returncode == 0, found.stdout + found.stderr


def test_its_kernel_has_a_plan(begun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the project's problem, by the kernel file's name."""
    assert main(["plan", "kernels/rms.py", "--batch", "5"]) == 0
    assert "launch    rms_kernel: 5 x 1 x 1 programs" in capsys.readouterr().out
    assert files_in(begun) > FILES


@pytest.mark.slow
@needs_no_gpu
def test_a_change_of_it_is_judged_by_what_its_base_says(begun: Path, tmp_path: Path) -> None:
    """A right kernel beside the accepted one passes; a wrong one does not, whatever else the change edits."""
    report = kernelgate.judge("kernels/rms.py", report_dir=tmp_path / "report")
    assert (report.verdict, report.accepted.path) == (Outcome.NOT_MEASURED, "HEAD:kernels/rms.py")
    base = tmp_path / "base"
    git(begun, "worktree", "add", "--quiet", "--detach", str(base), "HEAD")
    source = (begun / "kernels" / "rms.py").read_text()
    tiled, wrong = source.replace("rms_kernel", "row_kernel"), source.replace(*FAULT)
    problem = (begun / "problems" / "rms.py").read_text().replace("1e-6", "1.0")
    for number, (files, code, said) in enumerate(
        (
            ({"kernels/rms_renamed.py": tiled.encode()}, 0, "SAME_CODE"),
            ({"kernels/rms.py": wrong.encode(), "problems/rms.py": problem.encode()}, 1, "WRONG"),
        )
    ):
        commit(begun, {**files})
        reports = tmp_path / f"reports-{number}"
        words = ["--repository", str(begun), "--root", str(base), "--reports", str(reports)]
        assert main(["judge-change", *words]) == code
        assert (reports / "summary.md").read_text().startswith(f"# kernelgate: {said}")


@pytest.mark.slow
@needs_no_gpu
def test_a_compile_record_is_accepted_and_spares_a_compile(begun: Path) -> None:
    """Once it is there nothing is proposed; of a changed problem file it is none."""

    def judge(name: str, number: int) -> Path:
        folder = begun / "reports" / str(number)
        report = kernelgate.judge(f"kernels/{name}.py", report_dir=folder, measure=False)
        assert report.passes, report.detail
        return folder / "compile.proposed.json"

    def accept(proposal: Path) -> int:
        return main(["accept", str(proposal), "--reason", "why"])

    first = judge("rms", 1)
    assert accept(first) == 0
    assert not judge("rms", 2).exists()
    source = (begun / "kernels" / "rms.py").read_text()
    (begun / "kernels" / "rms_idea.py").write_text(source.replace("rms_kernel", "row_kernel"))
    idea = judge("rms_idea", 3)
    compiled = json.loads((idea.parent / "report.json").read_text())["stages"]["compile"]["result"]
    assert compiled["accepted_from_record"]
    assert accept(idea) == 1
    problem = begun / "problems" / "rms.py"
    problem.write_text(problem.read_text().replace("4096", "2048"))
    assert accept(first) == 1
    assert accept(judge("rms", 4)) == 0


def test_the_workflows_steps_are_what_runs(begun: Path) -> None:
    """Its command is one that this version has."""
    text = (begun / ".github" / "workflows" / "kernelgate.yml").read_text()
    for name in ("judge-change", "guard"):
        assert f'bin/kernelgate" {name} ' in text
        with pytest.raises(SystemExit, match="0"):
            main([name, "--help"])
    assert f"kernelgate=={kernelgate.__version__}" in text
