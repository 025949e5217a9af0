"""Help from outside the process is heard: programs, forks, sockets and libraries."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LISTEN = """
    import ctypes, os, socket, subprocess
    from kernelgate.worker.watch.audit_events import listen, outside_help
    listen()
"""


def heard(code: str, path: Path | None = None) -> list[str]:
    """Return what is heard in a process that does this."""
    script = f"{textwrap.dedent(LISTEN)}\n{textwrap.dedent(code)}\nprint(*outside_help(), sep='\\n', end='')"
    environment = dict(os.environ) if path is None else os.environ | {"PATH": f"{path}:{os.environ['PATH']}"}
    command = [sys.executable, "-P", "-c", script]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("if os.fork() == 0: os._exit(0)", "os.fork"),
        ("subprocess.run(['true'])", "true"),
        ("subprocess.run([b'/bin/true'])", "true"),
        ("subprocess.run('ptxas --version; true', shell=True)", "sh"),
        ("os.system('true')", "os.system"),
        ("os.system('gcc --version; true')", "os.system"),
        ("os.posix_spawn('/bin/true', ['true'], {})", "os.posix_spawn"),
        ("os.spawnv(os.P_WAIT, '/bin/true', ['true'])", "os."),
        ("socket.create_connection(('127.0.0.1', 9), 1)", "socket"),
        ("socket.socket().connect_ex(('127.0.0.1', 9))", "socket.connect"),
        ("socket.socket().bind(('127.0.0.1', 0))", "socket.bind"),
        ("socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))", "socket.sendto"),
        ("socket.getaddrinfo('localhost', 80)", "socket.getaddrinfo"),
        ("ctypes.CDLL('libm.so.6')", "libm.so.6"),
        ("ctypes.CDLL('/nowhere/libcublas.so')", "libcublas.so"),
    ],
)
def test_help_from_outside_is_heard(code: str, says: str) -> None:
    """Whether or not it succeeds."""
    attempt = f"try:\n{textwrap.indent(code, '    ')}\nexcept OSError: pass"
    assert any(says in line for line in heard(attempt)), heard(attempt)


@pytest.mark.parametrize("tool", ["ptxas", "ptxas-blackwell", "gcc", "gcc-13", "ldconfig"])
def test_the_tools_of_the_libraries_are_not_heard(tool: str, tmp_path: Path) -> None:
    """Triton assembles its kernels and builds its launcher with them."""
    program = tmp_path / tool
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o700)
    assert heard(f"subprocess.run(['{tool}', '--version'], check=True)", tmp_path) == []
    assert heard(f"subprocess.run(['{program}'], check=True)") == []


@pytest.mark.parametrize("library", ["None", "'/nowhere/libcuda.so.1'", "'/nowhere/cuda_utils.so'"])
def test_the_libraries_of_a_launch_are_not_heard(library: str) -> None:
    """The driver's, and what Triton has built for it; None is Python itself."""
    assert heard(f"try: ctypes.CDLL({library})\nexcept OSError: pass") == []


def test_each_kind_is_told_once() -> None:
    """However often it happens."""
    assert heard("for _ in range(3): subprocess.run(['true'])") == ["the process started true"]


def test_nothing_is_heard_where_nothing_happens() -> None:
    """Reading files and computing is no help from outside."""
    assert heard("import json, struct; open('pyproject.toml').read(); sum(range(100))") == []
