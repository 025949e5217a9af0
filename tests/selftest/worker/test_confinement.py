"""What the system forbids a worker: each door is shut, and stands open where nothing shuts it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path

import msgspec
import pytest

from kernelgate.sandbox.confinement import (
    LANDLOCK_WITH_TRUNCATE,
    Confinement,
    NoSandboxError,
    Required,
    find_confinement,
    require_confinement,
)
from kernelgate.sandbox.worker_process import WorkerFault
from tests.selftest.support import hostile_process
from tests.selftest.support.hostile_process import Kind, Targets
from tests.selftest.support.recorders import Start
from tests.selftest.support.small_kernels import TWO_LAUNCHES

ROOT = Path(__file__).resolve().parents[3]
FOUND = find_confinement()
IN_CI = bool(os.environ.get("CI"))
needs_sandbox = pytest.mark.skipif(
    not FOUND.is_there and not IN_CI,
    reason=f"Nothing confines here: {'; '.join(FOUND.lacks)}. Where CI is set that is a failure",
)
OPEN_TO_ITS_USER = (
    *("reads-a-secret", "writes-outside", "replaces-a-file", "lists-the-folder"),
    *("changes-a-mode", "changes-a-mode-by-descriptor", "changes-an-owner", "changes-times"),
    *("reads-the-environment", "writes-what-it-may-be-ended-for", "limits-the-judge", "slows-the-judge"),
    *("slows-the-judges-group", "pins-the-judge", "reschedules-the-judge"),
    *("signals-the-judge", "signals-all-of-its-user", "signals-a-thread", "signals-a-thread-of-a-process"),
    *("queues-a-signal", "queues-a-signal-for-a-thread", "signals-by-a-descriptor", "signals-by-a-file"),
    *("connects-by-tcp", "makes-a-udp-socket", "connects-to-an-abstract-socket", "connects-to-a-path"),
    *("sends-to-a-path", "sends-a-message-to-a-path"),
    *("shares-memory", "shares-a-semaphore", "shares-messages"),
)
"""What a process of the same user may do anywhere."""

EMPTIES = "empties-a-file"
REFUSED = (
    *OPEN_TO_ITS_USER,
    *("changes-an-attribute", "reads-the-memory", "traces-the-judge", "reads-memory-across"),
    *("makes-a-user-namespace", "loads-a-bpf-program", "opens-an-io-uring", "reads-performance-counters"),
    *("writes-a-setting-of-the-kernel", "attaches-memory"),
)
"""Of those beside OPEN_TO_ITS_USER each may be closed by the system itself."""

NEEDED = (
    *("writes-its-own-folder", "exchanges-a-file-of-its-own", "starts-a-program"),
    *("signals-itself", "limits-itself", "pins-itself"),
)
NEEDED_BY_CUDA = ("names-its-thread", "keeps-its-part-of-proc")

Attack = Callable[[Kind, str], tuple[int, str]]


@pytest.fixture
def attack(tmp_path: Path) -> Iterator[Attack]:
    """Give what runs an attack in a process of its own, and returns its exit status and its words."""
    victim = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"], start_new_session=True)
    folder, secret = tmp_path / "worker", tmp_path / "secret"
    folder.mkdir()
    secret.write_text("secret")
    with ExitStack() as opened:
        server = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = server.getsockname()[1]
        stream, datagram = (str(tmp_path / name) for name in ("stream", "datagram"))
        for kind, address in (
            (socket.SOCK_STREAM, f"\0kernelgate-{port}"),
            (socket.SOCK_STREAM, stream),
            (socket.SOCK_DGRAM, datagram),
        ):
            listener = opened.enter_context(socket.socket(socket.AF_UNIX, kind))
            listener.bind(address)
            if kind == socket.SOCK_STREAM:
                listener.listen()
        targets = Targets(str(folder), str(secret), victim.pid, port, stream, datagram)

        def run(kind: Kind, name: str) -> tuple[int, str]:
            done = subprocess.run(
                [sys.executable, hostile_process.__file__, msgspec.json.encode(targets).decode(), kind, name],
                check=False,
                capture_output=True,
                text=True,
                timeout=60,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
            return done.returncode, done.stderr.strip()

        yield run
    victim.kill()
    victim.wait()


@needs_sandbox
@pytest.mark.parametrize("name", REFUSED)
def test_each_door_is_shut(attack: Attack, name: str) -> None:
    """What a hostile file tries is refused by the system, whatever it does to Python.

    Also to a worker on a GPU, which may do all that another may, and more.
    """
    status, said = attack("gpu-worker", name)
    assert status == 1
    assert said in ("EPERM", "EACCES", "EXDEV")


@pytest.mark.skipif(
    FOUND.landlock < LANDLOCK_WITH_TRUNCATE,
    reason=f"Landlock {FOUND.landlock} leaves it open, {LANDLOCK_WITH_TRUNCATE} shuts it; reports say so",
)
def test_no_file_outside_is_emptied(attack: Attack) -> None:
    """Without the sandbox it is."""
    assert attack("gpu-worker", EMPTIES) == (1, "EACCES")
    assert attack("open", EMPTIES) == (0, "")


@pytest.mark.parametrize("name", OPEN_TO_ITS_USER)
def test_the_door_stands_open_where_nothing_shuts_it(attack: Attack, name: str) -> None:
    """So that the refusals above are the sandbox's, and not the system's."""
    assert attack("open", name) == (0, "")


@pytest.mark.skipif(
    os.geteuid() != 0 or not os.access("/proc/sys/kernel/core_pattern", os.W_OK),
    reason="Only root may write it, and not in every container",
)
def test_root_may_set_the_kernel_where_nothing_shuts_that(attack: Attack) -> None:
    """What is written there is started by the kernel, as root, outside of every sandbox."""
    assert attack("open", "writes-a-setting-of-the-kernel") == (0, "")


@needs_sandbox
def test_each_listed_call_is_refused(attack: Attack) -> None:
    """Whatever its arguments: a call that gets through fails for them, by another error."""
    assert attack("gpu-worker", "is-refused-each-listed-call") == (0, "")
    assert attack("open", "is-refused-each-listed-call")[0] == 1


@needs_sandbox
@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("kind", ["worker", "gpu-worker"])
def test_what_a_worker_needs_is_left_to_it(attack: Attack, kind: Kind, name: str) -> None:
    """It writes its answers, keeps compiled programs, and starts the assembler."""
    assert attack(kind, name) == (0, "")


@needs_sandbox
@pytest.mark.parametrize("name", NEEDED_BY_CUDA)
def test_a_worker_on_a_gpu_names_its_threads_and_no_other_worker_does(attack: Attack, name: str) -> None:
    """Also where memory is short, and the system forgets folders of /proc that nobody holds."""
    assert attack("gpu-worker", name) == (0, "")
    status, said = attack("worker", name)
    assert (status, said) == (1, "EACCES" if name == "names-its-thread" else "ENOENT")


READS_THE_PROJECT = f"""
from pathlib import Path
Path({str(ROOT / "pyproject.toml")!r}).read_text()
{TWO_LAUNCHES}
"""


@needs_sandbox
def test_a_kernel_file_is_confined_before_it_is_imported(start: Start) -> None:
    """The project's own folder is closed to it, but for the package that its process runs."""
    with pytest.raises(WorkerFault, match="Permission denied"):
        start(READS_THE_PROJECT)


@needs_sandbox
def test_a_kernel_file_cannot_signal_the_judge(start: Start) -> None:
    """The judge is its worker's parent."""
    source = f"{TWO_LAUNCHES}\nimport os, signal\nos.kill(os.getppid(), signal.SIGTERM)\n"
    reached: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: reached.append(number))
    try:
        with pytest.raises(WorkerFault, match="not permitted"):
            start(source)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert reached == []


IN_A_CONTAINER = """
import ctypes, struct, sys
from pathlib import Path
from kernelgate.sandbox.worker_process import WorkerFault
from tests.selftest.support.recorders import starting_recorders
from tests.selftest.support.small_kernels import TWO_LAUNCHES

load, refuse, allow = (0x20, 0, 0, 0), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)
steps = [load, (0x15, 0, 1, 446), refuse, allow]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)), 0, 0) == 0
with starting_recorders(Path(sys.argv[1])) as start:
    sandbox, worker = start(TWO_LAUNCHES)
    try:
        sandbox.await_loaded(worker)
    except WorkerFault as fault:
        print(fault.kind, fault.detail)
"""


@needs_sandbox
def test_a_worker_that_cannot_be_confined_says_so_and_imports_nothing(tmp_path: Path) -> None:
    """Here by a filter round the judge, as containers have one, which refuses landlock_restrict_self."""
    done = subprocess.run(
        [sys.executable, "-c", IN_A_CONTAINER, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.startswith("no-sandbox cannot be confined: ")
    assert "landlock_restrict_self: Operation not permitted" in done.stdout


@pytest.mark.parametrize(
    ("required", "found", "environment", "is_refused"),
    [
        ("always", Confinement(landlock=0, seccomp=True), {}, True),
        ("always", Confinement(landlock=7, seccomp=False), {}, True),
        ("always", Confinement(landlock=1, seccomp=True), {}, False),
        ("ci", Confinement(landlock=0, seccomp=False), {"CI": "true"}, True),
        ("ci", Confinement(landlock=0, seccomp=False), {"CI": ""}, False),
        ("ci", Confinement(landlock=7, seccomp=True), {"CI": "true"}, False),
        ("never", Confinement(landlock=0, seccomp=False), {"CI": "true"}, False),
    ],
)
def test_a_system_without_a_sandbox_is_refused_where_one_is_required(
    required: Required, found: Confinement, environment: dict[str, str], is_refused: bool
) -> None:
    """What it lacks is named."""
    with pytest.raises(NoSandboxError, match="not") if is_refused else nullcontext():
        require_confinement(required, found, environment)
    assert bool(found.lacks) == (not found.is_there or found.landlock < LANDLOCK_WITH_TRUNCATE)
