"""A new operation: its files run at once, and nothing that exists is written over."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kernelgate.cli.main import main
from kernelgate.scaffold.new_operation import files_of

ROOT = Path(__file__).parents[3]
COPIED = ("kernelgate", "kernels", "baselines", "pyproject.toml", "conftest.py")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a copy of the project, with its gate and none of its self-tests."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name, **({"ignore": ignored} if copy is shutil.copytree else {}))
    shutil.copytree(ROOT / "tests" / "gate", tmp_path / "tests" / "gate", ignore=ignored)
    return tmp_path


def run_in(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Return how a module of Python ends in the project, by the project's own package."""
    environment = os.environ | {"PYTHONPATH": str(project), "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", *words]
    return subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=400
    )


@pytest.mark.slow
def test_a_new_operation_is_judged_at_once(project: Path) -> None:
    """Its test passes, its kernel is right, and a fault in the kernel is found."""
    wrote = run_in(project, "kernelgate", "new-operation", "row_scale")
    assert wrote.returncode == 0, wrote.stderr
    assert [line for line in wrote.stdout.splitlines() if line.startswith("wrote ")] == [
        f"wrote {path}" for path in files_of("row_scale")
    ]
    gate = ("pytest", "-q", "-p", "no:cacheprovider", "tests/gate", "--operation", "row_scale")
    tested = run_in(project, "pytest", "-q", "-p", "no:cacheprovider", "tests/selftest/operations")
    assert tested.returncode == 0, tested.stdout
    judged = run_in(project, *gate)
    assert "\nNOT_MEASURED" in judged.stdout, judged.stdout
    kernel = project / "kernels" / "row_scale.py"
    kernel.write_text(kernel.read_text().replace("place % WIDTH", "place % (WIDTH - 1)"))
    assert "\nWRONG" in run_in(project, *gate, "--stage", "open").stdout


def test_what_is_written_is_said_with_what_to_do_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands that are ready to paste."""
    (tmp_path / "kernelgate" / "operations").mkdir(parents=True)
    assert main(["new-operation", "rmsnorm", "--root", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "wrote kernels/rmsnorm_original.py\n" in said
    assert "sha256sum kernels/rmsnorm_original.py" in said
    assert "make gate OPERATION=rmsnorm" in said


@pytest.mark.parametrize(
    "name", ["matmul", "truth", "Rmsnorm", "rms-norm", "2d", "class", "", "_x", "softmax_original", "../x"]
)
def test_a_name_that_is_taken_or_is_none_is_refused(
    name: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is written."""
    before = sorted(project.rglob("*.py"))
    assert main(["new-operation", name, "--root", str(project)]) == 1
    said = capsys.readouterr().err
    assert "is taken" in said or "is no name of an operation; allowed: " in said
    assert sorted(project.rglob("*.py")) == before


@pytest.mark.parametrize("path", files_of("rmsnorm"))
def test_a_file_that_exists_is_never_written_over(
    path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whichever of the four it is."""
    (tmp_path / "kernelgate" / "operations").mkdir(parents=True)
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text("mine")
    assert main(["new-operation", "rmsnorm", "--root", str(tmp_path)]) == 1
    assert f"rmsnorm is taken: {path} exists" in capsys.readouterr().err
    assert (tmp_path / path).read_text() == "mine"


def test_elsewhere_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is no checkout says so."""
    assert main(["new-operation", "rmsnorm", "--root", str(tmp_path)]) == 1
    assert "holds no kernelgate/operations" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
