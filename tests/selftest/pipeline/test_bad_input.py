"""Bad input gets a verdict that names it, in bounded time, and leaves nothing running."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from kernelgate.correctness.case import Case
from kernelgate.kernel_file.reach import find_reaches
from kernelgate.kernel_file.source import read_kernel
from kernelgate.pipeline import format_step
from kernelgate.pipeline.pipeline import Gate
from kernelgate.pipeline.stage import Request
from kernelgate.reporting.report import make_report
from kernelgate.reporting.report_files import write_report
from kernelgate.reporting.terminal import render_summary
from kernelgate.settings import DrawBudget, Settings, load_settings
from kernelgate.verdict import Outcome
from tests.selftest.corpus.bad_kernels import FAULTS, HARMLESS, MISTAKES, UNJUDGED, BadKernel
from tests.selftest.support.left_running import nothing_left_running

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
BY_NAME = {bad.name: bad for bad in (*UNJUDGED, *FAULTS, *MISTAKES)}
HANGS = {bad.name for bad in FAULTS if "no-answer" in bad.reasons}
MAX_SECONDS = 120
ONE_EXAMPLE = DrawBudget(examples=1, draw_seconds=0.1, fixed=True, swept=0)
REACHING_OUT = [
    bad for bad in (*FAULTS, *HARMLESS) if b"torch.os" in bad.source or b"torch.sys" in bad.source
]
SMALL_CASE = Case(batch=2, family="normal", seed=1, pin=0, programs=4)


def small_settings(bad: BadKernel) -> Settings:
    """Return the gate's settings with limits that a test can wait for."""
    settings = load_settings(ROOT / "pyproject.toml")
    quick = bad.name in HANGS
    return msgspec.structs.replace(
        settings,
        limits=msgspec.structs.replace(
            settings.limits,
            load_timeout_s=8 if quick else 30,
            run_timeout_s=4 if quick and bad.name != "one-image-hangs" else 25,
            host_memory_bytes=3 * 2**29,
        ),
        correctness=msgspec.structs.replace(
            settings.correctness,
            shrink_seconds=0.1,
            sampled_programs=4,
            profiles=dict.fromkeys(settings.correctness.profiles, ONE_EXAMPLE),
        ),
    )


def running(belongs: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
    """Return the other processes of which that is so."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and belongs(process):
                found.append(process)
    return found


def scratch_of(gate: Gate) -> str:
    """Return the folder of its workers, or one that nobody has where `format` was the end."""
    return str(gate.open_sandbox.root) if gate.open_sandbox else str(ROOT / "no-scratch-folder")


def judge(file: Path, folder: Path, settings: Settings, replay: Case | None = None) -> Gate:
    """Return the gate after all stages that need no GPU; it is closed, its report is written."""
    request = Request(
        root=ROOT,
        candidate=file,
        operation="alexnet_conv1",
        accepted=None,
        stage="open",
        rule=None,
        report_dir=folder / "report",
        gpu=None,
        measure=False,
        replay=replay,
        workers=1,
    )
    gate = Gate(request, settings, lambda _stage: None)
    try:
        gate.stage("correctness")
        report = make_report(gate)
        write_report(report, request.report_dir)
        assert render_summary(report).isprintable() or "\n" in render_summary(report)
        scratch = scratch_of(gate)
        assert not running(lambda process: scratch in process.cwd())
    finally:
        gate.close()
    return gate


def assert_named(gate: Gate, bad: BadKernel) -> None:
    """Fail unless the verdict is the one that names what the file breaks."""
    verdict = gate.verdict()
    assert (verdict.outcome, verdict.reason in bad.reasons) == (bad.verdict, True), str(verdict)
    assert bad.says in verdict.detail
    assert len(verdict.detail) < 10_000


@pytest.fixture(autouse=True)
def nothing_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail if a test leaves a child process or takes minutes; one worker at a time will do.

    What a file names is not asked: the judge must hold whatever gets past that question.
    """
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    monkeypatch.setattr(format_step, "find_reaches", lambda _kernel: ())
    started = time.monotonic()
    with nothing_left_running():
        yield
    assert time.monotonic() - started < MAX_SECONDS


@pytest.mark.parametrize("bad", [*UNJUDGED, *FAULTS, *MISTAKES], ids=lambda bad: bad.name)
def test_a_bad_kernel_gets_the_verdict_that_names_it(bad: BadKernel, tmp_path: Path) -> None:
    """Whatever a file breaks, the verdict says so, and nothing of it stays."""
    gate = judge(bad.write(tmp_path), tmp_path, small_settings(bad))
    assert_named(gate, bad)
    assert not os.path.lexists(scratch_of(gate))


@pytest.mark.parametrize("bad", REACHING_OUT, ids=lambda bad: bad.name)
def test_what_reaches_out_of_its_libraries_is_refused_by_name_as_well(bad: BadKernel, tmp_path: Path) -> None:
    """The gate does not even start it."""
    assert find_reaches(read_kernel(bad.write(tmp_path), 400_000))


@pytest.mark.parametrize("bad", HARMLESS, ids=lambda bad: bad.name)
def test_a_harmless_oddity_is_no_fault(bad: BadKernel, tmp_path: Path) -> None:
    """A right kernel that prints a line or takes stdout away is still right."""
    gate = judge(bad.write(tmp_path), tmp_path, small_settings(bad), SMALL_CASE)
    assert gate.results["correctness"].result.finding is None
    assert (gate.verdict().outcome, gate.verdict().reason) == (Outcome.INVALID, "replay-only")


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo", "device", "dangling-link"])
def test_what_is_no_file_is_named(kind: str, tmp_path: Path) -> None:
    """A path that leads to no regular file is turned down before it is opened."""
    file = tmp_path / "candidate.py"
    if kind == "folder":
        file.mkdir()
    elif kind == "fifo":
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    elif kind == "dangling-link":
        file.symlink_to(tmp_path / "nowhere")
    gate = judge(file, tmp_path, small_settings(UNJUDGED[0]))
    assert gate.verdict().outcome is Outcome.FORBIDDEN
    assert gate.verdict().reason in {"format-file-missing", "format-not-a-file"}


def copy_gate(folder: Path) -> Path:
    """Return a copy of the gate whose limits a test can wait for."""
    root = folder / "gate"
    for name in ("kernelgate", "kernels", "baselines", "tests/gate"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    settings = root / "kernelgate" / "settings.toml"
    settings.write_text(re.sub(r"run_timeout_s = .*", "run_timeout_s = 4.0", settings.read_text("utf-8")))
    return root


COMMAND_LINE = ("missing", "not-python", "class-body", "forward-hangs", "system-exit", "daemon")


@pytest.mark.parametrize("name", COMMAND_LINE)
def test_the_command_line_names_a_bad_kernel(name: str, tmp_path: Path) -> None:
    """The run of tests/gate ends with status 1, a report that names the fault, and no traceback."""
    file = tmp_path / "nowhere.py" if name == "missing" else BY_NAME[name].write(tmp_path)
    expected = ("FORBIDDEN", ("format-file-missing",))
    if name == "daemon":
        expected = ("FORBIDDEN", ("format-reaches-out",))
    elif name != "missing":
        expected = BY_NAME[name].verdict, BY_NAME[name].reasons
    token = f"/nowhere/{uuid.uuid4().hex}"
    command = [sys.executable, "-m", "pytest", "tests/gate", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    command += ["--candidate", str(file), "--stage", "open", "--report-dir", str(tmp_path / "report")]
    environment = os.environ | {"PATH": f"{os.environ['PATH']}:{token}"}
    environment.pop("PYTEST_XDIST_WORKER", None)
    ended = subprocess.run(
        command,
        cwd=copy_gate(tmp_path),
        env=environment,
        capture_output=True,
        text=True,
        timeout=MAX_SECONDS,
        check=False,
    )
    said = ended.stdout + ended.stderr
    assert ended.returncode == 1, said
    assert "Traceback" not in said
    report = msgspec.json.decode((tmp_path / "report" / "report.json").read_bytes())
    assert report["verdict"] == expected[0]
    assert report["reason"] in expected[1]
    assert ended.stdout.count("\nFAILED ") == 1, "one cause is one red test"
    last = ended.stdout.rstrip().splitlines()
    assert last[-1] == f"  report: {tmp_path / 'report' / 'report.md'}"
    assert any(line.startswith(f"{report['verdict']}  ({report['reason']})") for line in last[-25:])
    assert ended.stdout.rindex("short test summary") < ended.stdout.rindex(f"{report['verdict']}  (")
    assert not running(lambda process: token in process.environ().get("PATH", ""))
