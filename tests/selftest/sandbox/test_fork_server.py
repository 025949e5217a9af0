"""Workers are copies of a process that never ran a kernel file, and share nothing that they change."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from kernelgate import protocol
from kernelgate.sandbox import fork_server as starter
from kernelgate.sandbox.fork_server import (
    ForkServerError,
    end_fork_servers,
    fork_server_pids,
    passed_on,
    start_copy,
)
from kernelgate.sandbox.worker_process import Worker
from kernelgate.settings import load_settings

ROOT = Path(__file__).resolve().parents[3]
LIMITS = load_settings(ROOT / "pyproject.toml").limits
LOAD_SECONDS = 40
GOOD = """
    from torch import nn
    class ModelNew(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, 96, 11)
"""

Load = Callable[[str], Worker]


def has_ended(pid: int) -> bool:
    """Whether the process is gone, or waits for a parent that does not ask."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """Give a function that returns a worker which has loaded a file of this text."""
    started: list[Worker] = []

    def load(code: str) -> Worker:
        file = tmp_path / f"kernel-{len(started)}.py"
        file.write_text(textwrap.dedent(code) + textwrap.dedent(GOOD), encoding="utf-8")
        folder = tmp_path / f"worker-{len(started)}"
        started.append(Worker("record", folder, LIMITS, tmp_path / "cache", reads=[file]))
        request = protocol.Load(operation="alexnet_conv1", file=str(file), gpu_memory_bytes=1)
        started[-1].ask(request, protocol.Loaded, LOAD_SECONDS)
        return started[-1]

    yield load
    for worker in started:
        worker.close()


def test_a_worker_is_a_child_of_the_judge_in_a_session_of_its_own(load: Load) -> None:
    """So that the judge can wait for it, and a signal to the judge's group does not reach it."""
    worker = load("")
    process = psutil.Process(worker.pid)
    assert process.ppid() == os.getpid()
    assert os.getsid(worker.pid) == worker.pid
    assert Path(process.cwd()) == worker.folder


def test_what_one_worker_changes_no_other_sees(load: Load) -> None:
    """Modules, environment and what it left at the collector's door are its own."""
    load("import os, torch\ntorch.spoiled = 1\nos.environ['SPOILED'] = '1'\n")
    load("import os, torch\nassert not hasattr(torch, 'spoiled') and 'SPOILED' not in os.environ\n")


def test_a_worker_holds_no_way_to_its_starter(load: Load) -> None:
    """The socket on which copies are asked for is closed in each of them."""
    code = """
        import os, stat
        held = [os.stat(f"/proc/self/fd/{d}").st_mode for d in os.listdir("/proc/self/fd")[:-1]]
        assert len(held) >= 5 and not any(map(stat.S_ISSOCK, held)), held
    """
    load(textwrap.dedent(code))


def test_only_the_first_worker_waits_for_the_imports(load: Load) -> None:
    """The next is there in a fraction of a second."""
    load("")
    began = time.monotonic()
    load("")
    assert time.monotonic() - began < 1


def test_a_starter_that_was_ended_is_replaced(load: Load) -> None:
    """A kernel file that kills it harms nobody but itself."""
    load("")
    before = starter._SERVERS["record"].pid
    os.kill(before, signal.SIGKILL)
    load("")
    assert starter._SERVERS["record"].pid != before


def test_a_starter_that_never_starts_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried twice, and says so."""
    monkeypatch.setattr(starter, "_SERVERS", {})  # those that run stay, for other tests
    monkeypatch.setattr(starter, "PACKAGE_PARENT", tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ForkServerError, match="gave no copy"), Path(os.devnull).open("wb") as nowhere:
        start_copy("record", protocol.Start(folder="/", environment={}), [nowhere.fileno()] * 3)
    end_fork_servers()


def test_starters_end_when_they_are_told_to(load: Load) -> None:
    """And workers that they made live on."""
    worker = load("")
    pids = fork_server_pids()
    assert pids
    end_fork_servers()
    assert not fork_server_pids()
    assert not any(map(psutil.pid_exists, pids))
    assert psutil.pid_exists(worker.pid)


def test_starters_end_with_a_judge_that_was_killed(tmp_path: Path) -> None:
    """None is left to hold memory."""
    script = f"""
        import os, signal
        from pathlib import Path
        from kernelgate.sandbox.worker_process import Worker
        from kernelgate.settings import load_settings
        from kernelgate.sandbox.fork_server import fork_server_pids
        limits = load_settings(Path({str(ROOT)!r}) / "pyproject.toml").limits
        Worker("record", Path({str(tmp_path)!r}) / "folder", limits, Path({str(tmp_path)!r}))
        print(*fork_server_pids(), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    judge = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        check=False,
        cwd=ROOT,
        capture_output=True,
        timeout=LOAD_SECONDS,
    )
    (pid,) = map(int, judge.stdout.split())
    deadline = time.monotonic() + LOAD_SECONDS
    while not has_ended(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert has_ended(pid)


def test_secrets_of_the_judge_are_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even to the process that workers are copied from."""
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    assert "GITHUB_TOKEN" not in passed_on()


def test_a_worker_that_cannot_enter_its_folder_is_a_fault(tmp_path: Path) -> None:
    """It ends before it answers, and the starter lives on."""
    worker = Worker("record", tmp_path / "folder", LIMITS, tmp_path)
    before = fork_server_pids()
    worker.close()
    gone = protocol.Start(folder=str(tmp_path / "gone"), environment={})
    with Path(os.devnull).open("wb") as nowhere:
        pid = start_copy("record", gone, [nowhere.fileno()] * 3)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    assert fork_server_pids() == before
