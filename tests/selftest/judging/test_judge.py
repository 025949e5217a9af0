"""One judgement without pytest: by the command line and from Python, in a project and outside of one."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kernelgate
from kernelgate.baselines.kernels import AcceptedError
from kernelgate.cli.main import main
from kernelgate.judging import judge as judging
from kernelgate.judging.options import AskedError, make_request
from kernelgate.kernel_file.source import KernelFile
from kernelgate.machine.gpu import GpuError
from kernelgate.operations import OPERATIONS
from kernelgate.pipeline.pipeline import Gate
from kernelgate.reporting.report_files import read_report
from kernelgate.settings import find_project, load_settings
from kernelgate.verdict import Outcome, Reason
from tests.selftest.problems.written import WRITTEN
from tests.selftest.support.made_up_repository import commit, make_repository
from tests.selftest.support.no_gpu import needs_no_gpu
from tests.selftest.test_pytest_plugin import folders_of, wait_for

ROOT = Path(__file__).parents[3]
NO_KERNEL = "import torch\n"


@pytest.fixture(autouse=True)
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of no project."""
    monkeypatch.chdir(tmp_path)
    assert find_project(tmp_path) is None
    return tmp_path


@pytest.fixture
def call(outside: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return what runs the command on a file that holds no kernel."""
    (outside / "mine.py").write_text(NO_KERNEL)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "kernelgate", "judge", "mine.py", "--operation", "softmax", *words]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.run(
            command, cwd=outside, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    return run


def test_it_needs_no_project(call: Callable[..., subprocess.CompletedProcess[str]], outside: Path) -> None:
    """The verdict is the last that is said, and the exit code follows it."""
    ended = call()
    assert ended.returncode == 1, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0] == "mine.py as softmax, by stage open"
    assert lines[1].split()[:2] == ["format", "failed"]
    assert "report: gate-report/report.html" in lines[2]
    assert lines[3].startswith("FORBIDDEN  (format-")
    assert lines[-1].startswith("  next: ")
    assert read_report(outside / "gate-report" / "report.json").verdict is Outcome.FORBIDDEN


def test_a_program_gets_the_report_alone(
    call: Callable[..., subprocess.CompletedProcess[str]], outside: Path
) -> None:
    """As JSON, the same as in the file."""
    ended = call("--json", "--report-dir", "here")
    assert ended.stdout == (outside / "here" / "report.json").read_text()
    assert json.loads(ended.stdout)["verdict"] == "FORBIDDEN"


def test_a_quiet_run_says_the_verdict_alone(call: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """And where its report lies."""
    lines = call("--quiet").stdout.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["report:", "FORBIDDEN"]


SOFTMAX = ["--operation", "softmax"]
WRONGLY_ASKED = {
    "what it computes": ([], "what does mine.py compute? Give --operation NAME"),
    "an unknown operation": (["--operation", "fft"], "--operation fft: unknown; known: "),
    "a stage that needs an original": ([*SOFTMAX, "--stage", "final-micro-tuning"], "judge by stage open"),
    "an unknown profile": ([*SOFTMAX, "--profile", "weekly"], "--profile weekly: unknown"),
    "a revision of no project": (
        [*SOFTMAX, "--against", "HEAD"],
        "--against HEAD: no such file, and no project",
    ),
    "a folder that is none": ([*SOFTMAX, "--report-dir", "mine.py"], "--report-dir mine.py"),
    "a project that is none": (["--project", "."], "pyproject.toml: cannot be read"),
    "a case that is none": ([*SOFTMAX, "--replay", "N=3"], "--replay: not a case: 'N=3'"),
    "a problem that is not there": (["--problem", "nope.py"], "nope.py: is no problem file"),
    "a problem that is a folder": (["--problem", "."], ".: is no problem file"),
}


@pytest.mark.parametrize(("words", "cause"), WRONGLY_ASKED.values(), ids=WRONGLY_ASKED.keys())
def test_what_cannot_be_judged_is_told_in_a_line(
    outside: Path, capsys: pytest.CaptureFixture[str], words: list[str], cause: str
) -> None:
    """With an exit code of its own, and nothing written."""
    (outside / "mine.py").write_text(NO_KERNEL)
    assert main(["judge", "mine.py", *words]) == 2
    said = capsys.readouterr()
    assert cause in said.err
    assert said.err.startswith("kernelgate: ")
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert [path.name for path in outside.iterdir()] == ["mine.py"]


@needs_no_gpu
def test_a_time_that_is_asked_for_needs_a_gpu(outside: Path) -> None:
    """Left out, it is taken where there is one."""
    (outside / "mine.py").write_text(NO_KERNEL)
    with pytest.raises(GpuError, match="no NVIDIA GPU"):
        kernelgate.judge("mine.py", operation="softmax", measure=True)
    assert kernelgate.judge("mine.py", operation="softmax").verdict is Outcome.FORBIDDEN


@needs_no_gpu
def test_a_problem_and_a_kernel_of_ones_own_get_a_verdict_each(outside: Path) -> None:
    """A right kernel passes, and the same one with a fault does not."""
    written = WRITTEN["relu"]
    (outside / "problem.py").write_text(written.problem)
    verdicts = []
    for name, text in (("right", written.kernel), ("wrong", written.kernel.replace(*written.fault))):
        file = outside / f"{name}.py"
        file.write_text(text)
        report = kernelgate.judge(file, problem=outside / "problem.py", report_dir=outside / name)
        assert read_report(outside / name / "report.json") == report
        verdicts.append(report.verdict)
    assert verdicts == [Outcome.NOT_MEASURED, Outcome.WRONG]


def test_a_fault_of_the_gate_leaves_a_report_that_passes_nothing(
    outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is raised."""
    (outside / "mine.py").write_text(NO_KERNEL)

    def break_down(*_: Any) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(judging.Gate, "stage", break_down)
    for judge in (
        lambda: kernelgate.judge("mine.py", operation="softmax"),
        lambda: main(["judge", "mine.py", "--operation", "softmax"]),
    ):
        with pytest.raises(ValueError, match="a bug"):
            judge()
    said = read_report(outside / "gate-report" / "report.json")
    assert (said.verdict, said.reason, said.passes) == (Outcome.INVALID, Reason.INCOMPLETE, False)


def test_a_project_has_the_kernel_to_beat() -> None:
    """Its kernels and records hold, and its stages."""
    settings = load_settings(ROOT / "pyproject.toml")
    asked = make_request({"operation": "softmax"}.get, ROOT, settings, measure=False)
    assert (asked.root, asked.stage) == (ROOT, "final-micro-tuning")
    assert asked.candidate.resolve() == ROOT / "kernels" / "softmax.py"


def test_a_project_that_only_sets_values_is_none_to_beat(outside: Path) -> None:
    """Its settings hold all the same."""
    (outside / "pyproject.toml").write_text("[tool.kernelgate.laws]\nmax_error_ratio = 2.0\n")
    project = find_project(outside)
    assert project == outside
    settings = load_settings(outside / "pyproject.toml")
    assert settings.laws.max_error_ratio == 2.0
    assert make_request({"candidate": "softmax.py"}.get, project, settings, measure=False).root is None


@pytest.mark.parametrize("name", ["softmax", "softmax_tiled"])
def test_a_file_that_is_called_after_an_operation_computes_it(name: str) -> None:
    """Nobody has to say it again; what is said goes before."""
    settings = load_settings(None)
    file = f"there/{name}.py"
    assert make_request({"candidate": file}.get, None, settings, measure=False).operation == "softmax"
    options = {"candidate": file, "operation": "matmul"}
    assert make_request(options.get, None, settings, measure=False).operation == "matmul"


@pytest.fixture
def own_project(outside: Path) -> Path:
    """Return a project with a problem of its own, and no kernel yet."""
    (outside / "pyproject.toml").write_text('[tool.kernelgate.problems]\nmy_relu = "problems/relu.py"\n')
    for folder in ("kernels", "problems"):
        (outside / folder).mkdir()
    (outside / "problems" / "relu.py").write_text(WRITTEN["relu"].problem)
    return outside


def accepted_in(project: Path, candidate: str, **options: str) -> KernelFile | None:
    settings = load_settings(project / "pyproject.toml")
    asked = make_request((options | {"candidate": candidate}).get, project, settings, measure=False)
    assert asked.problem == project / "problems" / "relu.py"
    return Gate(asked, settings, lambda _: None).accepted


def test_a_project_has_problems_of_its_own(own_project: Path) -> None:
    """Once a kernel is committed it is the one to beat; before that it is PyTorch."""
    kernel = own_project / "kernels" / "my_relu.py"
    kernel.write_text("# first\n")
    make_repository(own_project)
    assert accepted_in(own_project, "kernels/my_relu.py") is None
    commit(own_project, {"kernels/my_relu.py": b"# first\n"})
    kernel.write_text("# second\n")
    accepted = accepted_in(own_project, "kernels/my_relu.py")
    assert accepted is not None
    assert accepted.source == "# first\n"
    with pytest.raises(AcceptedError, match="--against nowhere: neither"):
        accepted_in(own_project, "kernels/my_relu.py", accepted="nowhere")
    other = accepted_in(own_project, "elsewhere/my_relu_2.py", accepted=str(kernel))
    assert other is not None
    assert other.source == "# second\n"


def test_a_name_that_a_project_does_not_know_is_an_error(own_project: Path) -> None:
    """Never another operation's judgement; nor is a problem file that is gone."""
    settings = load_settings(own_project / "pyproject.toml")
    for name in ("fast.py", "my_relus.py"):
        with pytest.raises(AskedError, match=f"what does {name} compute.* Known: my_relu, "):
            make_request({"candidate": f"kernels/{name}"}.get, own_project, settings, measure=False)
    asked = make_request({"candidate": "kernels/softmax.py"}.get, own_project, settings, measure=False)
    assert (asked.operation, asked.accepted_name, asked.stage) == ("softmax", "softmax", "open")
    for option in ("plans", "keep_plans"):
        options = {"candidate": "kernels/my_relu.py", option: "book"}
        with pytest.raises(AskedError, match="a problem has no plan book"):
            make_request(options.get, own_project, settings, measure=False)
    (own_project / "problems" / "relu.py").unlink()
    with pytest.raises(AskedError, match=r"my_relu: problems/relu.py is no file"):
        make_request({"candidate": "my_relu.py"}.get, own_project, settings, measure=False)


@needs_no_gpu
def test_a_kernel_of_an_own_project_is_judged(own_project: Path) -> None:
    """By its problem, which its name says, in stage open."""
    (own_project / "kernels" / "my_relu.py").write_text(WRITTEN["relu"].kernel)
    report = kernelgate.judge("kernels/my_relu.py")
    assert (report.verdict, report.operation) == (Outcome.NOT_MEASURED, "problem-relu")
    assert report.accepted.path.startswith("PyTorch, as ")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_outside_a_project_nothing_is_kept_of_an_operation(operation: str) -> None:
    """No accepted kernel, no original, no record: PyTorch is what is beaten."""
    options = {"operation": operation, "candidate": "mine.py"}
    asked = make_request(options.get, None, load_settings(None), measure=False)
    gate = Gate(asked, load_settings(None), lambda _: None)
    assert (gate.project, gate.accepted, gate.original, asked.stage) == (None, None, None, "open")


@pytest.mark.parametrize(
    ("asked", "cause"),
    [
        ({"operaton": "softmax"}, r"judge\(\) has no operaton; known: operation, problem"),
        ({"operation": "softmax", "stage": "x"}, "--stage x: unknown; known: final-micro-tuning, open"),
        ({"problem": "mine.py", "math": "fp16"}, "--math fp16: unknown; known: "),
        ({"operation": "softmax", "rule": "fast"}, "--rule fast: unknown; known: tune, guard"),
        ({"operation": "softmax", "against": "nowhere"}, "--against nowhere: no such file"),
    ],
)
def test_a_key_or_a_value_that_does_not_exist_is_an_error(
    outside: Path, asked: dict[str, Any], cause: str
) -> None:
    """Left out without a word, another kernel would be judged than was meant."""
    (outside / "mine.py").write_text(NO_KERNEL)
    with pytest.raises((TypeError, ValueError), match=cause):
        kernelgate.judge("mine.py", **asked)
    assert not (outside / "gate-report").exists()


def test_a_file_that_is_not_there_is_no_verdict(outside: Path) -> None:
    """Nor does it take the place of an earlier report."""
    for file in ("nowhere.py", "."):
        with pytest.raises(AskedError, match="is no kernel file"):
            kernelgate.judge(file, operation="softmax")
    assert not list(outside.iterdir())


def test_the_next_step_is_a_command_of_this_judgement(outside: Path) -> None:
    """In the report that a program reads, too."""
    (outside / "my kernel.py").write_text("import torch\ndef f(:\n")
    report = kernelgate.judge("my kernel.py", operation="softmax")
    assert report.next_step == "Mend the syntax: `python -m py_compile 'my kernel.py'` shows it."
    assert read_report(outside / "gate-report" / "report.json") == report


def test_a_case_beyond_the_domain_is_not_the_kernels_fault(outside: Path) -> None:
    """It is named with the domain."""
    (outside / "relu.py").write_text(WRITTEN["relu"].problem)
    (outside / "mine.py").write_text(WRITTEN["relu"].kernel)
    case = "batch=99999,family=normal,seed=0,pin=0,programs=0,layout=contiguous,relation=none"
    report = kernelgate.judge("mine.py", problem="relu.py", replay=case, measure=False)
    assert (report.verdict, report.reason) == (Outcome.INVALID, Reason.NOTHING_TRIED)
    assert "batch is 99999" in report.detail


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_judgement_that_is_ended_leaves_no_folder(outside: Path, number: signal.Signals) -> None:
    """Whoever ends it asks first; the workers end with it, and a report says that it is not complete."""
    command = [sys.executable, "-m", "kernelgate", "judge", str(ROOT / "kernels" / "softmax.py")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.Popen(command, cwd=outside, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        folders = wait_for(lambda: folders_of(ended.pid))
        assert wait_for(lambda: [*folders[0].glob("worker-*")])
        ended.send_signal(number)
        _, said = ended.communicate(timeout=30)
    finally:
        ended.kill()
        ended.wait()
    assert said == f"kernelgate: ended by {number.name}\n"
    assert ended.returncode == 128 + number
    assert folders_of(ended.pid) == []
    assert not read_report(outside / "gate-report" / "report.json").passes


def test_the_package_has_nothing_else_to_give() -> None:
    """An attribute that is missing is said as usual."""
    with pytest.raises(AttributeError, match="no attribute 'judges'"):
        kernelgate.judges  # type: ignore[attr-defined]  # noqa: B018
    assert issubclass(AskedError, ValueError)
