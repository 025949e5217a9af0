"""The plugin: its options work wherever their values lie, and it costs nothing until a kernel is judged."""

import ast
import os
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from kernelgate.compilation.stage import ADA
from kernelgate.compilation.stage_rules import STAGES
from kernelgate.judging.options import CODE_PATH
from kernelgate.pipeline.stage import ORDER
from kernelgate.sandbox.scratch import PREFIX, SHARED_MEMORY
from kernelgate.scaffold.project_texts import GATE
from kernelgate.settings import Stage

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HEAVY = {"torch", "triton", "scipy", "hypothesis", "numpy"}

SETTINGS = """
[tool.pytest.ini_options]
testpaths = ["tests"]
addopts = ["-m", "not perf"]
strict_markers = true
markers = ["perf: timed"]
"""
TESTS = """
import pytest
from kernelgate.pytest_plugin import TERMINAL

@pytest.mark.perf
def test_timed(pytestconfig):
    assert pytestconfig.inipath.parent == pytestconfig.invocation_params.dir
    names = ("--kernelgate-report-dir", "--kernelgate-candidate")
    asked = {name: pytestconfig.getoption(name) for name in names}
    print(f"gate: {TERMINAL in pytestconfig.stash}, options: {asked}")

def test_plain():
    print("plain")
"""
COLLECT = """
import sys, pytest
status = pytest.main(["tests/gate", "--collect-only", "-q", "-p", "no:cacheprovider"])
print(sorted(sys.modules))
sys.exit(status)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return the folder of a project that has a gate, beside which other paths may lie."""
    folder = tmp_path / "project"
    (folder / "tests" / "gate").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(SETTINGS + "[tool.kernelgate]\n")
    (folder / "tests" / "test_x.py").write_text(TESTS)
    return folder


def make_environment(folder: Path) -> dict[str, str]:
    """Return variables under which the package of this checkout is installed, as its pyproject.toml says."""
    installed = folder / "installed"
    info = installed / "kernelgate-0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kernelgate\nVersion: 0\n")
    plugins = PYPROJECT["project"]["entry-points"]["pytest11"]
    lines = (f"{name} = {module}\n" for name, module in plugins.items())
    (info / "entry_points.txt").write_text("[pytest11]\n" + "".join(lines))
    mine = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return mine | {"PYTHONPATH": f"{installed}{os.pathsep}{ROOT}"}


def run_pytest(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-v", "-s", "-p", "no:cacheprovider", *words]
    environment = make_environment(project.parent)
    return subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize(
    ("option", "value"), [("report-dir", "reports"), ("candidate", "k.py"), ("report-dir", "/")]
)
@pytest.mark.parametrize("prefix", ["--", "--kernelgate-"])
def test_the_value_of_an_option_may_be_a_path_elsewhere(
    project: Path, option: str, value: str, prefix: str
) -> None:
    """The project's settings hold all the same: its folders of tests, its markers."""
    (project.parent / "reports").mkdir()
    (project.parent / "k.py").touch()
    path = str(project.parent / value)
    ended = run_pytest(project, "-m", "perf", prefix + option, path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "gate: True" in ended.stdout
    assert f"'--kernelgate-{option}': '{path}'" in ended.stdout
    assert "1 passed, 1 deselected" in ended.stdout


def test_the_other_project_in_which_a_value_lies_decides_nothing(project: Path) -> None:
    """Its settings are not those of this run."""
    other = project.parent / "other"
    other.mkdir()
    (other / "pytest.ini").write_text("[pytest]\n")
    ended = run_pytest(project, "-m", "perf", "--report-dir", str(other), "tests/test_x.py")
    assert "1 passed, 1 deselected" in ended.stdout, ended.stdout + ended.stderr


def test_workers_take_the_same_settings(project: Path) -> None:
    """Those of pytest-xdist, which are given the words of the command line."""
    ended = run_pytest(project, "-m", "perf", "-n", "1", "--report-dir", str(project.parent))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "1 passed" in ended.stdout


def test_settings_that_are_asked_for_are_kept(project: Path) -> None:
    """Whoever gives -c has chosen."""
    (project.parent / "mine.ini").write_text("[pytest]\nmarkers = perf: timed\n")
    words = ("-c", str(project.parent / "mine.ini"), "-k", "plain", "--report-dir", str(project.parent))
    assert "mine.ini" in run_pytest(project, *words).stdout


def test_a_project_without_a_gate_is_left_alone(project: Path) -> None:
    """The plugin is installed for every run of pytest in its environment."""
    (project / "pyproject.toml").write_text(SETTINGS)
    ended = run_pytest(project, "-m", "perf")
    assert "gate: False" in ended.stdout, ended.stdout + ended.stderr


def test_names_of_options_are_left_to_a_project_that_has_no_such_suite(project: Path) -> None:
    """Its own plugins may call an option --stage."""
    (project / "tests" / "gate").rmdir()
    (project / "conftest.py").write_text("def pytest_addoption(parser):\n    parser.addoption('--stage')\n")
    assert run_pytest(project, "--stage", "1").returncode == 0
    refused = run_pytest(project, "--candidate", "k.py")
    assert refused.returncode == pytest.ExitCode.USAGE_ERROR
    assert "unrecognized arguments: --candidate" in refused.stderr


def test_nothing_is_timed_unless_it_is_asked_for(project: Path) -> None:
    """Also where the project's own settings leave no test out."""
    (project / "pyproject.toml").write_text("[tool.kernelgate]\n")
    (project / "tests" / "gate" / "test_gate.py").write_text(GATE)
    ended = run_pytest(project, "--collect-only", "tests/gate")
    assert "4/5 tests collected (1 deselected)" in ended.stdout, ended.stdout + ended.stderr


def test_a_project_without_an_accepted_kernel_asks_for_the_candidate(project: Path) -> None:
    """One of its own has no file that is judged by default."""
    (project / "pyproject.toml").write_text("[tool.kernelgate]\n")
    (project / "tests" / "gate" / "test_gate.py").write_text(GATE)
    ended = run_pytest(project, "tests/gate")
    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--candidate: which kernel file? Name one" in ended.stdout + ended.stderr


def test_the_tests_of_the_gate_are_collected_without_a_heavy_import() -> None:
    """PyTorch is not needed to look at text."""
    ended = subprocess.run(
        [sys.executable, "-c", COLLECT], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    loaded = set(ast.literal_eval(ended.stdout.splitlines()[-1]))
    assert "kernelgate.pytest_plugin" in loaded
    assert HEAVY & loaded == set()


def test_what_the_plugin_says_without_an_import_is_true() -> None:
    """It repeats what modules say that import PyTorch."""
    assert f"sm_{ADA}" == CODE_PATH
    assert get_args(Stage) == STAGES


def test_the_gate_asks_for_every_stage_in_order() -> None:
    """And a project of one's own begins with the same suite."""
    text = (ROOT / "tests" / "gate" / "test_gate.py").read_text(encoding="utf-8")
    strings = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
    asked = [value for value in strings if value in ORDER]
    assert sorted(asked, key=ORDER.index) == list(ORDER)
    assert text == GATE


def test_a_run_that_is_ended_leaves_no_folder(tmp_path: Path) -> None:
    """Whoever ends it asks first (SIGTERM); the workers end with it."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    command += ["tests/gate", f"--report-dir={tmp_path}"]
    ended = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        folders = wait_for(lambda: folders_of(ended.pid))
        assert wait_for(lambda: [*folders[0].glob("worker-*")])
        ended.terminate()
        said, _ = ended.communicate(timeout=30)
    finally:
        ended.kill()
        ended.wait()
    assert "ended by SIGTERM" in said
    assert ended.returncode == 128 + signal.SIGTERM
    assert folders_of(ended.pid) == []


def folders_of(pid: int) -> list[Path]:
    places = (SHARED_MEMORY, Path(tempfile.gettempdir()))
    return [folder for place in places for folder in place.glob(f"{PREFIX}{pid}-*")]


def wait_for(seen: Callable[[], list[Path]]) -> list[Path]:
    deadline = time.monotonic() + 60
    while not (found := seen()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def judge(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "tests/gate",
        "--candidate",
        str(tmp_path / "nowhere.py"),
        *words,
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_a_report_folder_that_is_a_file_is_a_wrong_option(tmp_path: Path) -> None:
    """A clear message, and pytest's code for wrong usage: no error of the gate, no verdict."""
    (tmp_path / "taken").touch()
    ended = judge(tmp_path, "-p", "no:cacheprovider", "--report-dir", str(tmp_path / "taken"))
    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"kernelgate: --report-dir {tmp_path / 'taken'}: is a file" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


def test_a_cache_that_cannot_be_written_hides_no_verdict(tmp_path: Path) -> None:
    """As in a checkout that is read-only, where pytest warns, and warnings are errors."""
    (tmp_path / "cache").touch()
    folder = tmp_path / "report"
    ended = judge(tmp_path, "-o", f"cache_dir={tmp_path / 'cache'}", "--report-dir", str(folder))
    assert ended.returncode == pytest.ExitCode.TESTS_FAILED, ended.stdout + ended.stderr
    assert ended.stdout.rstrip().splitlines()[-1] == f"  report: {folder / 'report.md'}"
    assert "FORBIDDEN  (format-file-missing)" in ended.stdout
    assert "nowhere.py as alexnet_conv1, by stage final-micro-tuning" in ended.stdout
    assert "1 failed, 3 skipped" in ended.stdout


def test_an_unknown_profile_is_an_error_of_the_command_line(project: Path) -> None:
    """That names those that there are, as for any option."""
    ended = run_pytest(project, "--hypothesis-profile", "weekly")
    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--hypothesis-profile weekly: unknown; known: ci, default, nightly" in ended.stderr
    assert "INTERNALERROR" not in ended.stdout + ended.stderr
