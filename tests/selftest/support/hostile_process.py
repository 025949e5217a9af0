"""What a hostile kernel file would try, one attack a process: `hostile_process.py TARGETS KIND ATTACK`.

TARGETS are those of `Targets`, as JSON; KIND is `open`, or the kind of worker that it is confined as. It ends
with status 0 where the attack went through, else with 1 and the name of the system's error.
"""

import ctypes
import errno
import fcntl
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from kernelgate import protocol
from kernelgate.worker.confinement.confine import confine
from kernelgate.worker.confinement.refused_calls import REFUSED

Kind = Literal["open", "worker", "gpu-worker"]

LIBC = ctypes.CDLL(None, use_errno=True)
IPC_REMOVE = 0


class Targets(msgspec.Struct, frozen=True):
    """A folder of its own, a file beside it, another process, and sockets that somebody listens on."""

    folder: str
    secret: str
    judge: int
    port: int
    stream: str
    datagram: str


def call(number: int, *arguments: object) -> int:
    """Return what a system call returned; raises OSError."""
    result = LIBC.syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return int(result)


def attacks_on(it: Targets) -> dict[str, Callable[[], object]]:
    """Return every attack by its name."""
    return (
        _on_files(it) | _on_the_judge(it) | _by_signals(it) | _by_sockets(it) | _on_the_kernel() | _honest(it)
    )


def _on_files(it: Targets) -> dict[str, Callable[[], object]]:
    secret = Path(it.secret)
    return {
        "reads-a-secret": secret.read_text,
        "writes-outside": lambda: secret.with_name("planted").write_text("planted"),
        "replaces-a-file": lambda: Path(it.folder, "own").replace(secret),
        "lists-the-folder": lambda: list(secret.parent.iterdir()),
        "empties-a-file": lambda: os.truncate(secret, 0),
        "changes-a-mode": lambda: secret.chmod(0o644),
        "changes-a-mode-by-descriptor": lambda: _own_file(it, lambda own: os.fchmod(own, 0o600)),
        "changes-an-owner": lambda: os.chown(secret, os.getuid(), os.getgid()),
        "changes-times": lambda: os.utime(secret),
        "changes-an-attribute": lambda: os.setxattr(secret, "user.kernelgate", b"planted"),
    }


def _on_the_judge(it: Targets) -> dict[str, Callable[[], object]]:
    judge = it.judge
    return {
        "reads-the-environment": lambda: Path(f"/proc/{judge}/environ").read_bytes(),
        "reads-the-memory": lambda: Path(f"/proc/{judge}/mem").open("rb").close(),
        "writes-what-it-may-be-ended-for": lambda: Path(f"/proc/{judge}/oom_score_adj").open("r+b").close(),
        "traces-the-judge": lambda: call(101, 16, judge, 0, 0),
        "reads-memory-across": lambda: call(310, judge, 0, 0, 0, 0, 0),
        "limits-the-judge": lambda: resource.prlimit(judge, resource.RLIMIT_CORE, (0, 0)),
        "slows-the-judge": lambda: os.setpriority(os.PRIO_PROCESS, judge, 19),
        "slows-the-judges-group": lambda: os.setpriority(os.PRIO_PGRP, os.getpgid(judge), 19),
        "pins-the-judge": lambda: os.sched_setaffinity(judge, os.sched_getaffinity(0)),
        "reschedules-the-judge": lambda: os.sched_setscheduler(judge, os.SCHED_BATCH, os.sched_param(0)),
    }


def _by_signals(it: Targets) -> dict[str, Callable[[], object]]:
    judge = it.judge
    queued = ctypes.create_string_buffer(128)
    ctypes.c_int.from_buffer(queued, 8).value = -1  # SI_QUEUE: only the kernel may say that it sent it
    return {
        "signals-the-judge": lambda: os.kill(judge, 0),
        "signals-all-of-its-user": lambda: os.kill(-1, 0),
        "signals-a-thread": lambda: call(200, judge, 0),
        "signals-a-thread-of-a-process": lambda: call(234, judge, judge, 0),
        "queues-a-signal": lambda: call(129, judge, 0, queued),
        "queues-a-signal-for-a-thread": lambda: call(297, judge, judge, 0, queued),
        "signals-by-a-descriptor": lambda: signal.pidfd_send_signal(os.pidfd_open(judge), 0),
        "signals-by-a-file": lambda: fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, judge),
    }


def _by_sockets(it: Targets) -> dict[str, Callable[[], object]]:
    abstract = f"\0kernelgate-{it.port}"
    return {
        "connects-by-tcp": lambda: _socket(socket.AF_INET).connect(("127.0.0.1", it.port)),
        "makes-a-udp-socket": lambda: _socket(socket.AF_INET, socket.SOCK_DGRAM),
        "connects-to-an-abstract-socket": lambda: _socket().connect(abstract),
        "connects-to-a-path": lambda: _socket().connect(it.stream),
        "sends-to-a-path": lambda: _socket(kind=socket.SOCK_DGRAM).sendto(b"x", it.datagram),
        "sends-a-message-to-a-path": lambda: _socket(kind=socket.SOCK_DGRAM).sendmsg(
            [b"x"], [], 0, it.datagram
        ),
    }


def _on_the_kernel() -> dict[str, Callable[[], object]]:
    return {
        "makes-a-user-namespace": lambda: call(272, 0x10000000),
        "loads-a-bpf-program": lambda: call(321, 0, 0, 0),
        "opens-an-io-uring": lambda: call(425, 0, 0),
        "reads-performance-counters": lambda: call(298, 0, 0, -1, -1, 0),
        "writes-a-setting-of-the-kernel": lambda: Path("/proc/sys/kernel/core_pattern").open("r+b").close(),
        "shares-memory": lambda: call(31, call(29, 0, 4096, 0o600), IPC_REMOVE, 0),
        "shares-a-semaphore": lambda: call(66, call(64, 0, 1, 0o600), 0, IPC_REMOVE, 0),
        "shares-messages": lambda: call(71, call(68, 0, 0o600), IPC_REMOVE, 0),
        "attaches-memory": lambda: call(30, 0, 0, 0),
    }


def _honest(it: Targets) -> dict[str, Callable[[], object]]:
    return {
        "writes-its-own-folder": lambda: Path(it.folder, "answer").write_text("answer"),
        "exchanges-a-file-of-its-own": lambda: Path(it.folder, "own").replace(Path(it.folder, "kept")),
        "starts-a-program": lambda: subprocess.run(["true"], check=True),
        "signals-itself": lambda: os.kill(os.getpid(), 0),
        "limits-itself": lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
        "pins-itself": lambda: os.sched_setaffinity(0, os.sched_getaffinity(0)),
        "names-its-thread": lambda: Path(f"/proc/self/task/{os.getpid()}/comm").write_text("named"),
        "keeps-its-part-of-proc": _find_descriptor_of_proc,
        "is-refused-each-listed-call": _make_listed_calls,
    }


def _own_file(it: Targets, change: Callable[[int], object]) -> None:
    with Path(it.folder, "own").open("r+b") as own:
        change(own.fileno())


def _socket(family: int = socket.AF_UNIX, kind: int = socket.SOCK_STREAM) -> socket.socket:
    made = socket.socket(family, kind)
    made.settimeout(2)
    return made


def _find_descriptor_of_proc() -> None:
    mine = Path(f"/proc/{os.getpid()}").stat()
    if not any(os.path.samestat(mine, os.fstat(each)) for each in range(3, 64) if _is_open(each)):
        raise FileNotFoundError(errno.ENOENT, "no descriptor keeps it")


def _make_listed_calls() -> None:
    """Make each call that no worker may make; raises OSError if one is not known to be refused."""
    for name, number in REFUSED.items():
        if LIBC.syscall(number, *[-1] * 6) >= 0 or ctypes.get_errno() != errno.EPERM:
            raise OSError(f"{name}: {os.strerror(ctypes.get_errno())}")


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def main(targets: str, kind: Kind, attack: str) -> None:
    """Confine this process, and try the attack; exits with the name of the error that refuses it."""
    it = msgspec.json.decode(targets, type=Targets)
    Path(it.folder, "own").write_text("own")
    if kind != "open":
        confine(protocol.Start(folder=it.folder, environment={}, uses_gpu=kind == "gpu-worker"))
    try:
        attacks_on(it)[attack]()
    except OSError as error:
        sys.exit(errno.errorcode.get(error.errno or 0, str(error)))


if __name__ == "__main__":
    main(*sys.argv[1:])  # type: ignore[arg-type]
