"""What a run of act leaves when it ends, or is ended at any moment: no process and no folder."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from kernelgate.sandbox.scratch import PREFIX, SHARED_MEMORY
from tests.selftest.support.made_up_repository import commit, make_repository
from tests.selftest.support.script_module import load_script

ROOT = Path(__file__).resolve().parents[3]
KEEPER = ROOT / ".github/act/keeper.py"
PATIENCE_S = 60
LEAVES_A_DAEMON = 'setsid sleep 600 </dev/null >/dev/null 2>&1 & echo "daemon $!"'


def wait_until(true: Callable[[], bool]) -> bool:
    """Return whether it came true before the patience was at its end."""
    until = time.monotonic() + PATIENCE_S
    while not true() and time.monotonic() < until:
        time.sleep(0.05)
    return true()


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """Give the folder that the tests' processes take for /tmp."""
    (tmp_path / "tmp").mkdir()
    return tmp_path / "tmp"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Give a repository of all that the wrapper of act reads."""
    folder = tmp_path / "project"
    for name in (".github/act", ".github/scripts"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("pyproject.toml", "constraints.txt", "Makefile", "kernels/alexnet_conv1.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    make_repository(folder)
    commit(folder, {})
    return folder


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """Give an interpreter like this one, beside which an act lies that never comes to its end."""
    environment = tmp_path / "environment"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin/python").symlink_to(sys.executable)
    (environment / "lib").symlink_to(Path(sys.prefix) / "lib")
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", environment)
    act = environment / "bin/act"
    act.write_text(f"#!/bin/sh\n{LEAVES_A_DAEMON}\necho full >left\nsleep 600\n", encoding="utf-8")
    act.chmod(0o755)
    return environment / "bin/python"


@pytest.fixture
def running(project: Path, python: Path, temporary: Path) -> Iterator[subprocess.Popen[str]]:
    """Give a run of the wrapper whose act has started a daemon.

    It ends by every signal, also where these tests run in a shell's background and ignore SIGINT.
    """
    command = [
        "env",
        "--default-signal",
        python,
        project / ".github/act/run.py",
        "--candidate",
        ROOT / "kernels/alexnet_conv1.py",
    ]
    wrapper = subprocess.Popen(
        [str(word) for word in command],
        env=os.environ | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with wrapper:
        yield wrapper
        wrapper.kill()


def daemon_of(running: subprocess.Popen[str]) -> psutil.Process:
    assert running.stdout is not None
    said = running.stdout.readline()
    assert said.startswith("daemon ")
    return psutil.Process(int(said.split()[1]))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_ended_leaves_nothing(
    running: subprocess.Popen[str], temporary: Path, number: signal.Signals
) -> None:
    """Its exit code says what ended it."""
    daemon = daemon_of(running)
    assert [left.name.startswith(f"kernelgate-act-{running.pid}-") for left in temporary.iterdir()] == [True]
    running.send_signal(number)
    assert running.wait(PATIENCE_S) == 128 + number
    assert not daemon.is_running()
    assert list(temporary.iterdir()) == []


def test_a_run_that_is_killed_leaves_nothing(running: subprocess.Popen[str], temporary: Path) -> None:
    """Its keeper sees that it is gone."""
    daemon = daemon_of(running)
    running.kill()
    assert wait_until(lambda: not daemon.is_running() and not list(temporary.iterdir()))


def keep(folder: Path, temporary: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Return how the keeper ended that ran a shell's script, with its owner there all the time."""
    owned, owning = os.pipe()
    try:
        return subprocess.run(
            [sys.executable, str(KEEPER), str(folder), "sh", "-c", script],
            stdin=owned,
            env=os.environ | {"TMPDIR": str(temporary)},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
    finally:
        os.close(owned)
        os.close(owning)


@pytest.mark.parametrize("code", [0, 7])
def test_what_a_command_leaves_running_ends_with_it(tmp_path: Path, temporary: Path, code: int) -> None:
    """Its exit code is handed on, and the folder is its owner's."""
    ended = keep(tmp_path, temporary, f"{LEAVES_A_DAEMON}; exit {code}")
    assert ended.returncode == code, ended.stderr
    assert not psutil.pid_exists(int(ended.stdout.split()[1]))
    assert tmp_path.is_dir()


def test_folders_of_what_is_gone_are_removed_and_no_others(tmp_path: Path, temporary: Path) -> None:
    """Of runs and of gates, as each names its own."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = [f"kernelgate-act-{gone.pid}-x", f"{PREFIX}{gone.pid}-x"]
    others = [
        f"kernelgate-act-{os.getpid()}-x",
        f"{PREFIX}{os.getpid()}-x",
        "kernelgate-envs",
        f"x-{gone.pid}-x",
    ]
    for name in (*left, *others):
        (temporary / name).mkdir()
    assert keep(tmp_path, temporary, "exit 0").returncode == 0
    assert {folder.name for folder in temporary.iterdir()} == set(others)


def test_the_keeper_looks_where_gates_put_their_folders() -> None:
    """In shared memory; elsewhere is the usual place."""
    assert load_script(KEEPER).SHARED_MEMORY == SHARED_MEMORY
