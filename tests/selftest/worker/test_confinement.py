"""What the system forbids a worker: each door is shut, and stands open where nothing shuts it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from kernelgate.sandbox.confinement import (
    Confinement,
    NoSandboxError,
    Required,
    find_confinement,
    require_confinement,
)
from kernelgate.sandbox.worker_process import WorkerFault
from tests.selftest.support.recorders import Start
from tests.selftest.support.small_kernels import TWO_LAUNCHES

ROOT = Path(__file__).resolve().parents[3]
FOUND = find_confinement()
IN_CI = bool(os.environ.get("CI"))
needs_sandbox = pytest.mark.skipif(
    not FOUND.is_there and not IN_CI,
    reason=f"Nothing confines here: {'; '.join(FOUND.lacks)}. Where CI is set that is a failure",
)
HOSTILE = """
import ctypes, os, signal, socket, sys
from pathlib import Path
from kernelgate import protocol
from kernelgate.worker.confinement.confine import confine

folder, secret, judge, port, confined, attack = sys.argv[1:]
judge, libc = int(judge), ctypes.CDLL(None, use_errno=True)

def call(number, *arguments):
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")

def connect():
    socket.create_connection(("127.0.0.1", int(port)), timeout=2)

def abstract():
    with socket.socket(socket.AF_UNIX) as each:
        each.connect(f"\\0kernelgate-{port}")

ATTACKS = {
    "reads-a-secret": lambda: Path(secret).read_text(),
    "writes-outside": lambda: Path(secret).with_name("planted").write_text("planted"),
    "replaces-a-file": lambda: os.replace(Path(folder, "own"), secret),
    "lists-the-folder": lambda: os.listdir(Path(secret).parent),
    "reads-the-environment": lambda: Path(f"/proc/{judge}/environ").read_bytes(),
    "reads-the-memory": lambda: open(f"/proc/{judge}/mem", "rb").close(),
    "signals-the-judge": lambda: os.kill(judge, 0),
    "traces-the-judge": lambda: call(101, 16, judge, 0, 0),
    "reads-memory-across": lambda: call(310, judge, 0, 0, 0, 0, 0),
    "connects-by-tcp": connect,
    "makes-a-udp-socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close(),
    "connects-to-an-abstract-socket": abstract,
    "makes-a-user-namespace": lambda: call(272, 0x10000000),
    "loads-a-bpf-program": lambda: call(321, 0, 0, 0),
    "opens-an-io-uring": lambda: call(425, 0, 0),
    "reads-performance-counters": lambda: call(298, 0, 0, -1, -1, 0),
    "writes-a-setting-of-the-kernel": lambda: open("/proc/sys/kernel/core_pattern", "r+b").close(),
    "writes-its-own-folder": lambda: Path(folder, "answer").write_text("answer"),
    "starts-a-program": lambda: os.execv("/bin/true", ["true"]),
}
Path(folder, "own").write_text("own")
if confined == "yes":
    confine(protocol.Start(folder=folder, environment={}))
try:
    ATTACKS[attack]()
except (OSError, ValueError) as error:
    sys.exit(f"refused: {error}")
"""
REFUSED = (
    *("reads-a-secret", "writes-outside", "replaces-a-file", "lists-the-folder", "reads-the-environment"),
    *("reads-the-memory", "signals-the-judge", "traces-the-judge", "reads-memory-across", "connects-by-tcp"),
    *("makes-a-udp-socket", "connects-to-an-abstract-socket", "makes-a-user-namespace"),
    *("loads-a-bpf-program", "opens-an-io-uring", "reads-performance-counters"),
    "writes-a-setting-of-the-kernel",
)
OPEN_OTHERWISE = (
    *("reads-a-secret", "writes-outside", "replaces-a-file", "lists-the-folder", "reads-the-environment"),
    *("signals-the-judge", "connects-by-tcp", "makes-a-udp-socket", "connects-to-an-abstract-socket"),
)
"""What a process of the same user may do anywhere; the others may be closed by the system itself."""

SINCE = {"connects-by-tcp": 4, "signals-the-judge": 6, "connects-to-an-abstract-socket": 6}
"""The version of Landlock that shuts the door."""

Attack = Callable[[str, str], tuple[int, str]]


@pytest.fixture
def attack(tmp_path: Path) -> Iterator[Attack]:
    """Give what runs an attack in a process of its own, and returns its exit status and its words."""
    victim = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    folder, secret = tmp_path / "worker", tmp_path / "secret"
    folder.mkdir()
    secret.write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as abstract:
        port = server.getsockname()[1]
        abstract.bind(f"\0kernelgate-{port}")
        abstract.listen()

        def run(name: str, confined: str) -> tuple[int, str]:
            order = [str(folder), str(secret), str(victim.pid), str(port), confined, name]
            done = subprocess.run(
                [sys.executable, "-c", HOSTILE, *order],
                check=False,
                capture_output=True,
                text=True,
                timeout=60,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
            return done.returncode, done.stderr

        yield run
    victim.kill()
    victim.wait()


@needs_sandbox
@pytest.mark.parametrize("name", REFUSED)
def test_each_door_is_shut(attack: Attack, name: str) -> None:
    """What a hostile file tries is refused by the system, whatever it does to Python."""
    if SINCE.get(name, 1) > FOUND.landlock:
        pytest.skip(
            f"Landlock {FOUND.landlock} leaves it open, version {SINCE[name]} shuts it; reports say so"
        )
    status, said = attack(name, "yes")
    assert status == 1
    assert "refused:" in said


@pytest.mark.parametrize("name", OPEN_OTHERWISE)
def test_the_door_stands_open_where_nothing_shuts_it(attack: Attack, name: str) -> None:
    """So that the refusals above are the sandbox's, and not the system's."""
    status, said = attack(name, "no")
    assert (status, said) == (0, "")


@pytest.mark.parametrize("name", ["writes-its-own-folder", "starts-a-program"])
def test_what_a_worker_needs_is_left_to_it(attack: Attack, name: str) -> None:
    """It writes its answers, and starts the assembler."""
    assert attack(name, "yes") == (0, "")


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


@pytest.mark.skipif(
    FOUND.landlock < SINCE["signals-the-judge"],
    reason="Landlock before version 6 leaves signals open; reports say so",
)
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
    assert bool(found.lacks) == (not found.is_there or found.landlock < SINCE["signals-the-judge"])
