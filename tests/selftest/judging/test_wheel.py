"""The wheel: built, unpacked beside the libraries alone, it judges a kernel where nothing else of it lies."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.selftest.problems.written import WRITTEN
from tests.selftest.support.built_wheel import LIBRARIES, build_wheel, pip

pytestmark = pytest.mark.slow

Call = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that the wheel is unpacked into."""
    built, unpacked = (tmp_path_factory.mktemp(name) for name in ("built", "installed"))
    pip("install", "-t", str(unpacked), str(build_wheel(built)))
    return unpacked


@pytest.fixture
def call(installed: Path, tmp_path: Path) -> Call:
    """Return what runs a program of Python's where only the wheel and the libraries can be imported."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(installed),
            "PYTHONPATH": f"{installed}{os.pathsep}{LIBRARIES}",
        }
        # Without the interpreter's own site-packages, where the checkout is installed.
        return subprocess.run(
            [sys._base_executable, "-S", *words],  # type: ignore[attr-defined]
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


def test_it_is_typed_and_holds_its_settings(call: Call, installed: Path) -> None:
    """And it is not the checkout that answers."""
    program = "import kernelgate.settings as s; print(s.SHIPPED); s.load_settings(None)"
    ended = call("-c", program)
    assert ended.stdout.strip() == str(installed / "kernelgate" / "settings.toml"), ended.stderr
    assert (installed / "kernelgate" / "py.typed").is_file()


@pytest.mark.parametrize(("is_right", "code"), [(True, 0), (False, 1)])
def test_it_judges_a_problem_and_a_kernel_of_ones_own(
    call: Call, tmp_path: Path, is_right: bool, code: int
) -> None:
    """In a folder that has these two files and no settings."""
    written = WRITTEN["relu"]
    (tmp_path / "problem.py").write_text(written.problem)
    kernel = written.kernel if is_right else written.kernel.replace(*written.fault)
    (tmp_path / "kernel.py").write_text(kernel)
    ended = call("-m", "kernelgate", "judge", "kernel.py", "--problem", "problem.py", "--no-measure")
    assert ended.returncode == code, ended.stdout + ended.stderr
    verdict = "NOT_MEASURED  (not-measured)" if is_right else "WRONG  ("
    assert any(line.startswith(verdict) for line in ended.stdout.splitlines()), ended.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gate-report", "kernel.py", "problem.py"]
