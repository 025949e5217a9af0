"""The judge's handle on a worker: what a child does is a fault with a name, and then it is gone."""

import contextlib
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from kernelgate import protocol
from kernelgate.sandbox import worker_process
from kernelgate.sandbox.worker_process import Worker, WorkerFault
from kernelgate.settings import load_settings
from tests.selftest.support.left_running import nothing_left_running

ROOT = Path(__file__).resolve().parents[3]
LIMITS = msgspec.structs.replace(
    load_settings(ROOT / "pyproject.toml").limits, host_memory_bytes=3 * 2**29, output_bytes=100_000
)
LOAD_SECONDS = 40
START_SECONDS = 12
GOOD = """
    from torch import nn
    class ModelNew(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, 96, 11)
"""

Load = Callable[..., tuple[Worker, protocol.Load]]


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    """Give a function that starts a worker; after the test each is ended and nothing of it is left."""
    started: list[Worker] = []

    def start(code: str, mode: protocol.Mode = "record", gpu: str = "") -> tuple[Worker, protocol.Load]:
        number = len(started)
        file = tmp_path / f"kernel-{number}.py"
        file.write_text(textwrap.dedent(code), encoding="utf-8")
        folder = tmp_path / f"worker-{number}"
        started.append(Worker(mode, folder, LIMITS, tmp_path / "cache", gpu=gpu, reads=[file]))
        return started[-1], protocol.Load(operation="alexnet_conv1", file=str(file), gpu_memory_bytes=2**30)

    with nothing_left_running():
        yield start
        for worker in started:
            worker.close()
            assert not psutil.pid_exists(worker.pid)
            assert not worker.folder.exists()


def fault_of(loaded: tuple[Worker, protocol.Load], seconds: float = LOAD_SECONDS) -> WorkerFault:
    """Return the fault that the load ends in; the worker is gone by then."""
    worker, request = loaded
    with pytest.raises(WorkerFault) as caught:
        worker.ask(request, protocol.Loaded, seconds)
    assert not psutil.pid_exists(worker.pid)
    assert caught.value.worker == worker.name
    return caught.value


def test_a_good_file_loads_and_close_may_be_called_again(load: Load) -> None:
    """The answer arrives, and closing twice is closing once."""
    worker, request = load(GOOD)
    assert worker.ask(request, protocol.Loaded, LOAD_SECONDS) == protocol.Loaded(autotuned=())
    worker.close()
    worker.close()
    assert not psutil.pid_exists(worker.pid)


def test_a_fresh_worker_works_after_a_fault(load: Load) -> None:
    """A fault ends one worker, not the next."""
    fault = fault_of(load("raise OSError('no disk today')"))
    assert (fault.kind, "no disk today (line 1" in fault.detail) == ("raises", True)
    worker, request = load(GOOD)
    assert worker.ask(request, protocol.Loaded, LOAD_SECONDS) == protocol.Loaded(autotuned=())


def test_no_answer_in_time_is_a_fault(load: Load) -> None:
    """The deadline holds, whatever the child is at."""
    loaded = load("while True: pass")  # before the clock: the worker's first waits for the imports
    started = time.monotonic()
    assert fault_of(loaded, 3).kind == "no-answer"
    assert time.monotonic() - started < 8


def test_a_message_that_drips_in_does_not_outlast_the_deadline(load: Load) -> None:
    """Bytes that keep coming are no answer."""
    code = """
        import os, time
        while True:
            time.sleep(0.01)
            for descriptor in range(3, 32):
                try: os.write(descriptor, b" ")
                except OSError: pass
    """
    started = time.monotonic()
    assert fault_of(load(code), START_SECONDS).kind == "no-answer"
    assert time.monotonic() - started < START_SECONDS + 5


@pytest.mark.parametrize("then", ["while True: pass", GOOD], ids=["hangs", "answers"])
def test_printing_over_the_cap_is_a_fault(load: Load, then: str) -> None:
    """It makes no difference whether an answer follows at once."""
    code = "import os\nos.write(1, b'x' * 300_000)\n" + textwrap.dedent(then)
    assert fault_of(load(code)).kind == "prints"


def test_memory_over_the_cap_is_a_fault(load: Load) -> None:
    """Resident memory is watched, children's included."""
    fault = fault_of(load("hoard = []\nwhile True: hoard.append(bytearray(b'1') * 2**24)"))
    assert (fault.kind, "GiB" in fault.detail) == ("out-of-memory", True)


def test_a_secret_of_the_judge_does_not_reach_the_child(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the allowed variables are passed on."""
    monkeypatch.setenv("GITHUB_TOKEN", "the-secret-of-the-runner")
    fault = fault_of(load("import os\nraise ValueError(' '.join(os.environ))"))
    assert "PATH" in fault.detail
    assert "GITHUB_TOKEN" not in fault.detail
    assert "secret" not in fault.detail


@pytest.mark.parametrize(
    ("mode", "gpu", "sees"), [("use", "3", "3"), ("use", "", "0,1,2,3"), ("record", "3", "")]
)
def test_a_child_sees_the_gpu_that_it_was_given(
    load: Load, monkeypatch: pytest.MonkeyPatch, mode: protocol.Mode, gpu: str, sees: str
) -> None:
    """Those of the judge where none is named, and none at all where it needs none.

    As CUDA's library is told, which asks C: Python may be shown another environment.
    """
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    told = "import ctypes\nof = ctypes.CDLL(None).getenv\nof.restype = ctypes.c_char_p\n"
    fault = fault_of(load(f"{told}raise ValueError(b'<%s>' % of(b'CUDA_VISIBLE_DEVICES'))", mode, gpu))
    assert f"<{sees}>" in fault.detail


@pytest.mark.parametrize(("mode", "connections"), [("execute", "1"), ("use", None)])
def test_only_what_runs_plans_has_one_connection_to_the_gpu(
    tmp_path: Path, mode: protocol.Mode, connections: str | None
) -> None:
    """A kernel file has as many as it would have anywhere: its streams may work side by side."""
    environment = worker_process._environment(mode, tmp_path, tmp_path, "0")
    assert environment.get("CUDA_DEVICE_MAX_CONNECTIONS") == connections


def test_the_processor_s_time_is_told_apart_from_waiting(load: Load) -> None:
    """A worker that sleeps takes none, one that computes takes what it computes."""
    sleeps, request = load("import time\ntime.sleep(1.0)\n" + textwrap.dedent(GOOD))
    sleeps.ask(request, protocol.Loaded, LOAD_SECONDS)
    slept = sleeps.cpu_seconds()
    busy = "import time\nwhile time.process_time() - BEGAN < 1.0: pass\n"
    works, request = load("import time\nBEGAN = time.process_time()\n" + busy + textwrap.dedent(GOOD))
    works.ask(request, protocol.Loaded, LOAD_SECONDS)
    assert works.cpu_seconds() > slept + 0.7
    works.close()
    assert works.cpu_seconds() == 0.0


def test_a_process_that_a_child_started_is_seen_while_it_runs(load: Load) -> None:
    """One that has ended, waited for or not, is none."""
    ended = "import os, subprocess, time\nif os.fork() == 0: os._exit(0)\ntime.sleep(0.5)\n"
    worker, request = load(ended + textwrap.dedent(GOOD))
    worker.ask(request, protocol.Loaded, LOAD_SECONDS)
    assert not worker.has_descendants()
    worker, request = load("import subprocess\nsubprocess.Popen(['sleep', '600'])\n" + textwrap.dedent(GOOD))
    worker.ask(request, protocol.Loaded, LOAD_SECONDS)
    assert worker.has_descendants()


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (rb"garbage", "no message"),
        (rb"{}", "no message"),
        (rb'{"type": "Warm", "chosen": 0}', "Warm, not Loaded"),
        (rb'{"type": "Loaded", "autotuned": [], "more": 1}', "no message"),
        (b'{"type": "Loaded\xff"}', "no message"),
        (b'{"type": "Failed", "kind": "raises", "line": 1, "detail": "\xff\xfe"}', "no message"),
        (rb'{"type": "Failed", "kind": "raises", "line": ' + b"9" * 5000 + b"}", "no message"),
        (b'{"a":' + b"[" * 60_000, "no message"),
    ],
    ids=["garbage", "empty", "other", "unknown-field", "tag", "encoding", "integer", "nested"],
)
def test_garbage_on_the_pipe_is_a_protocol_fault(load: Load, message: bytes, says: str) -> None:
    """Nothing that a child can write raises anything else in the judge."""
    code = f"""
        import os
        for descriptor in range(3, 32):
            try: os.write(descriptor, {message!r} + b"\\n")
            except OSError: pass
    """
    fault = fault_of(load(code))
    assert (fault.kind, says in fault.detail) == ("protocol", True), fault


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        ("os._exit(7)", "exits", "status 7"),
        ("os.kill(os.getpid(), 11)", "crashes", "SIGSEGV"),
        ("os.kill(os.getpid(), 50)", "crashes", "signal 50"),
        ("os.closerange(3, 64); time.sleep(60)", "exits", "closed the pipe"),
        ("os._exit(5) if os.fork() else time.sleep(600)", "exits", "status 5"),
    ],
    ids=["status", "signal", "unnamed-signal", "closed-pipe", "child-holds-pipe"],
)
def test_an_end_of_the_process_is_named(load: Load, code: str, kind: str, says: str) -> None:
    """The fault says how it ended, at once."""
    started = time.monotonic()
    fault = fault_of(load(f"import os, time\n{code}"))
    assert (fault.kind, says in fault.detail) == (kind, True), fault
    assert time.monotonic() - started < START_SECONDS + 5


def test_what_a_child_prints_cannot_pass_for_a_line_of_the_log(load: Load) -> None:
    """Control characters are replaced and lines are marked."""
    code = r"import os; os.write(2, b'hello\n::error::\x1b[2J\r\n##[x'); os._exit(1)"
    detail = fault_of(load(code)).detail
    assert "it printed: hello" in detail
    assert "\x1b" not in detail
    assert not [line for line in detail.splitlines() if line.startswith("::")]


def test_a_process_that_flees_by_forking_is_ended(load: Load) -> None:
    """A chain of processes, each of which starts a session, forks and ends, does not outrun the judge."""
    code = """
        import os
        while True:
            if os.fork(): os._exit(0)
            os.setsid()
    """
    assert fault_of(load(code)).kind == "exits"


JUDGE = """
    import sys, time
    from pathlib import Path
    from kernelgate import protocol
    from kernelgate.sandbox.worker_process import Worker
    from kernelgate.settings import load_settings
    root, folder, file = map(Path, sys.argv[1:])
    worker = Worker("record", folder, load_settings(root / "pyproject.toml").limits, folder, reads=[file])
    worker.send(protocol.Load(operation="alexnet_conv1", file=str(file), gpu_memory_bytes=1))
    print(worker.pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize(
    "hang", ["while True: pass", "list(map(int, iter(int, 1)))"], ids=["in-python", "in-c-with-the-lock"]
)
def test_a_worker_does_not_outlive_a_judge_that_was_killed(tmp_path: Path, hang: str) -> None:
    """Even if the kernel file never lets another thread of its process run."""
    file, reached = tmp_path / "kernel.py", tmp_path / "folder" / "reached"  # its own, to write
    file.write_text(f"open({str(reached)!r}, 'w').close()\n{hang}\n", encoding="utf-8")
    judge = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(JUDGE), str(ROOT), str(tmp_path / "folder"), str(file)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    with judge:
        assert judge.stdout is not None
        worker = psutil.Process(int(judge.stdout.readline()))
        try:
            assert holds_within(LOAD_SECONDS, reached.exists)
            judge.kill()
            judge.wait()
            assert holds_within(5, lambda: has_ended(worker))
        finally:
            with contextlib.suppress(psutil.Error):
                worker.kill()


def has_ended(process: psutil.Process) -> bool:
    """Whether the process is gone; it is reaped if an earlier test has made this process adopt it."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)
    return not process.is_running()


def holds_within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Return whether it comes to hold in that time."""
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()
