"""Judges side by side: the same verdicts as one after the other, and none is lost with its judge."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

import kernelgate
from kernelgate.batch.order import Order
from kernelgate.batch.result import Result
from kernelgate.batch.side_by_side import processes
from kernelgate.batch.side_by_side import seats as seats_module
from kernelgate.batch.side_by_side.in_turn import ATTEMPTS
from kernelgate.batch.side_by_side.processes import JudgeProcesses
from kernelgate.batch.side_by_side.seats import list_seats
from kernelgate.cli.main import main
from kernelgate.errors import KernelgateError
from kernelgate.judging.watch import Silent
from kernelgate.sandbox import peers
from kernelgate.sandbox.scratch import PREFIX, roomy_folder
from kernelgate.verdict import Outcome, Reason
from tests.selftest.problems.written import WRITTEN
from tests.selftest.support.no_gpu import needs_no_gpu
from tests.selftest.test_pytest_plugin import wait_for

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of no project, with files that have not their form; two of them are the same."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "many").mkdir()
    for number in range(6):
        Path("many", f"c{number}.py").write_text(f"import torch\n# {number % 5}\n")
    return tmp_path


def judge_many(jobs: int, *files: str, **asked: Any) -> list[Result]:
    return list(kernelgate.judge_all(files or ["many"], jobs, **({"operation": "softmax"} | asked)))


def judge_processes() -> list[psutil.Process]:
    """Return the judges that this process has started."""
    return [each for each in psutil.Process().children() if _is_judge(each)]


def _is_judge(process: psutil.Process) -> bool:
    try:
        return "kernelgate.batch.side_by_side.judge_process" in process.cmdline()
    except psutil.Error:  # it has ended
        return False


@needs_no_gpu
def test_the_verdicts_are_those_of_one_after_the_other() -> None:
    """Of a right kernel, a wrong one, one without its form, a copy, and what is no file."""
    written = WRITTEN["relu"]
    Path("problem.py").write_text(written.problem)
    texts = {
        "right": written.kernel,
        "wrong": written.kernel.replace(*written.fault),
        "twice": written.kernel,
    }
    for name, text in texts.items():
        Path(f"{name}.py").write_text(text)
    files = [*(f"{name}.py" for name in texts), "many", "nowhere.py"]
    asked = {"operation": None, "problem": "problem.py"}
    two, one = (judge_many(jobs, *files, report_dir=f"by-{jobs}", **asked) for jobs in (2, 1))
    assert {each.file: (each.verdict, each.reason) for each in two} == {
        each.file: (each.verdict, each.reason) for each in one
    }
    same = {each.file: each.same_as for each in two if each.same_as}
    assert same == {"twice.py": "right.py", "many/c5.py": "many/c0.py"}
    reports = {each.file: each.report for each in two}
    assert Path(reports["right.py"] or "", "report.html").is_file()
    assert not judge_processes(), "none is left"


def test_what_was_judged_side_by_side_is_not_judged_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many judge the next time: no judge is started for what is known."""
    assert [each.reused for each in judge_many(3)] == [False] * 6
    monkeypatch.setattr(processes, "_start", None)
    for jobs in (1, 2):
        assert [each.reused for each in judge_many(jobs)] == [True] * 6


def test_the_command_says_how_many_are_judged_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    """Where that is more than one: their rows come late."""
    for jobs, first in (("2", "  6 candidates, 2 at a time"), ("1", "  FORBIDDEN")):
        main(["judge", "many", "--operation", "softmax", "--jobs", jobs, "--report-dir", f"by-{jobs}"])
        assert capsys.readouterr().out.startswith(first)


def test_a_judge_that_is_killed_is_replaced_and_its_candidate_judged() -> None:
    """Nothing is lost, and nobody else hears of it."""
    results = kernelgate.judge_all(["many"], 2, operation="softmax")
    killer = threading.Thread(target=_kill_first)
    killer.start()
    judged = list(results)
    killer.join()
    assert {each.verdict for each in judged} == {Outcome.FORBIDDEN}
    assert len(judged) == 6


def _kill_first() -> None:
    wait_for(lambda: bool(judge_processes()))
    judge_processes()[0].kill()


@pytest.mark.parametrize("is_joined", [False, True])
def test_what_compiles_gives_way_in_a_batch_and_only_there(is_joined: bool) -> None:
    """To what times a kernel beside it."""
    code = """
import os
from kernelgate.sandbox.peers import join_batch
from kernelgate.sandbox import fork_server
if {is_joined}: join_batch()
for mode in ("record", "interpret", "execute", "use"):
    fork_server.prepare(mode)
    print(os.sched_getscheduler(fork_server._server(mode).pid))
"""
    command = [sys.executable, "-c", code.format(is_joined=is_joined)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    compiles = os.SCHED_IDLE if is_joined else os.SCHED_OTHER
    assert [int(each) for each in said.split()] == [compiles, compiles, os.SCHED_OTHER, os.SCHED_OTHER]


@pytest.fixture
def orders() -> list[Order]:
    """Orders that nobody carries out."""
    return [
        Order(options={"candidate": f"{name}.py"}, project=None, sha256=None, asked=name, report_dir=name)
        for name in ("a", "b", "c")
    ]


def test_a_candidate_whose_judge_dies_each_time_is_named(
    orders: list[Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried so often and no more, and the others go on."""
    started: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def start_one_that_dies(_: list[str], **how: Any) -> subprocess.Popen[bytes]:
        started.append(start([sys.executable, "-c", "input()"], **how))
        return started[-1]

    monkeypatch.setattr(processes.subprocess, "Popen", start_one_that_dies)
    with closing(JudgeProcesses([None, None], lambda _: Silent())) as judges:
        judged = [result for _, result in judges.judge(orders) if result is not None]
    assert sorted(each.file for each in judged) == ["a.py", "b.py", "c.py"]
    assert {each.reason for each in judged} == {Reason.NOT_JUDGED}
    assert all("ended without a result, 2 times" in each.detail for each in judged)
    assert len(started) == ATTEMPTS * len(orders)
    assert all(each.poll() is not None for each in started)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda n: n.name)
def test_no_judge_outlives_its_engine(folder: Path, number: signal.Signals) -> None:
    """However that ends."""
    (folder / "problem.py").write_text(WRITTEN["relu"].problem)
    for name in ("a", "b"):
        (folder / f"{name}.py").write_text(WRITTEN["relu"].kernel + f"# {name}\n")
    command = [sys.executable, "-m", "kernelgate", "judge", "a.py", "b.py", "--problem", "problem.py"]
    with _running([*command, "--jobs", "2", "--quiet"], folder) as engine:
        found: list[psutil.Process] = []

        def both_have_workers() -> bool:
            found[:] = psutil.Process(engine.pid).children(recursive=True)
            return len(found) > 4

        wait_for(both_have_workers)
        engine.send_signal(number)
        engine.wait(timeout=30)
        wait_for(lambda: not any(each.is_running() and each.status() != "zombie" for each in found))
    if number is not signal.SIGKILL:  # what that leaves the next judge sweeps
        pids = {str(each.pid) for each in found}
        left = [each.name for each in roomy_folder().glob(f"{PREFIX}*") if each.name.split("-")[1] in pids]
        assert not left


def _running(command: list[str], folder: Path) -> Any:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return _Ended(subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL))


class _Ended:
    """A process that is killed in the end."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def __enter__(self) -> subprocess.Popen[bytes]:
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give what sets the GPUs, their memory and the cores of the machine."""

    def pretend(gpus: int, gib: int, cores: int) -> None:
        monkeypatch.setattr(seats_module, "visible_gpus", lambda: tuple(map(str, range(gpus))))
        monkeypatch.setattr(seats_module, "least_memory_bytes", lambda: gib * 2**30)
        monkeypatch.setattr(seats_module, "usable_cores", lambda: cores)

    return pretend


@pytest.mark.parametrize(
    ("gpus", "gib", "cores", "seats"),
    [
        (0, 0, 2, [None]),
        (0, 0, 16, [None] * 4),
        (1, 24, 32, ["0"]),
        (1, 141, 16, ["0"] * 3),
        (1, 141, 4, ["0"]),
        (2, 141, 32, ["0", "1"] * 3),
        (4, 24, 8, ["0", "1", "2", "3"]),
    ],
)
def test_as_many_judge_as_there_is_room_for(
    machine: Any, gpus: int, gib: int, cores: int, seats: list[str | None]
) -> None:
    """Every GPU has one, and one with memory and cores to spare has more."""
    machine(gpus, gib, cores)
    assert list_seats(None) == seats


def test_a_number_that_is_asked_for_is_kept(machine: Any) -> None:
    """The GPUs come by turns."""
    machine(2, 24, 8)
    assert list_seats(3) == ["0", "1", "0"]
    with pytest.raises(KernelgateError, match="--jobs 0: allowed 1 or more"):
        list_seats(0)


def test_only_what_the_same_engine_started_is_a_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A judge by itself has none, nor one whose engine has gone."""
    monkeypatch.setattr(peers, "_ENGINES", set())
    assert peers.peers() == set()
    peers.join_batch()
    assert os.getpid() in peers.peers()
    monkeypatch.setattr(os, "getppid", lambda: 1)
    assert peers.peers() == set()


STAYS = "from kernelgate.sandbox.ending import end_with_engine; end_with_engine(); print(flush=True); input()"


def test_a_judge_outlives_the_thread_that_started_it() -> None:
    """Each phase of a batch has threads of its own: a judge that ended with one would lose its imports."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        words = [sys.executable, "-c", STAYS]
        started.append(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        assert started[0].stdout is not None
        started[0].stdout.readline()

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    with started[0] as judge:
        time.sleep(1)
        assert judge.poll() is None
        judge.terminate()
        assert judge.wait(10) == 128 + signal.SIGTERM
