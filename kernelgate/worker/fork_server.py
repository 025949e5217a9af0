"""Copies of a process that has imported what workers need: each becomes one."""

import gc
import importlib
import os
import signal
import socket
import tempfile
import time
import warnings
from contextlib import suppress

import msgspec

from kernelgate import protocol
from kernelgate.worker.confinement.confine import confine
from kernelgate.worker.loop import answer_in_place, serve

NEEDED = {
    "record": ("kernelgate.worker.record.mode", "triton.compiler.code_generator", "numpy.random"),
    "interpret": ("kernelgate.worker.interpret.mode", "numpy.random", "numpy.ma"),
    "execute": ("kernelgate.worker.execute.mode", "numpy.random"),
    "use": ("kernelgate.worker.use.mode", "torch._dynamo", "triton.compiler.code_generator", "numpy.random"),
}
COMPILING = ("record", "use")
DESCRIPTORS = 3


def make_copies(mode: str, descriptor: int) -> None:
    """Answer each `protocol.Start` with the process id of a copy, until the judge hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is the judge's to say when this ends
    _import_what_is_needed(mode)
    judge = socket.socket(fileno=descriptor)
    while True:
        message, received, _, _ = socket.recv_fds(judge, protocol.MAX_MESSAGE_BYTES, DESCRIPTORS)
        if not message:
            return
        pid = _fork_orphan()
        if pid:
            for each in received:
                os.close(each)
            judge.send(str(pid).encode())
            continue
        judge.close()
        start = msgspec.json.decode(message, type=protocol.Start)
        requests, responses = _become(start, received)
        try:
            confine(start)
        except OSError as error:
            detail = f"cannot be confined: {error}"
            answer_in_place(protocol.FailureKind.NO_SANDBOX, detail, requests, responses)
        else:
            serve(mode, requests, responses)
        return


def _import_what_is_needed(mode: str) -> None:
    for module in NEEDED[mode]:
        # One that cannot be imported fails in the worker, which says so, or that does without it.
        try:
            importlib.import_module(module)
        except ImportError:
            continue
    if mode in COMPILING:
        with suppress(Exception):  # what cannot be found out fails in the worker too, which says so
            importlib.import_module("kernelgate.worker.warm_up").warm_up()
    gc.collect()
    gc.freeze()  # no collection looks at these again, nor copies the pages that they lie in


def _fork_orphan() -> int:
    """Return the process id of a copy, 0 in the copy itself, whose parent has ended by then."""
    told, tell = os.pipe()
    if between := _fork():
        os.close(tell)
        os.waitpid(between, 0)
        with os.fdopen(told, "rb") as pid:
            return int(pid.read())
    between = os.getpid()
    if copy := _fork():
        os.write(tell, str(copy).encode())
        os._exit(0)
    os.close(told)
    os.close(tell)
    while os.getppid() == between:
        time.sleep(0.001)
    return 0


def _fork() -> int:
    with warnings.catch_warnings():
        # The imports leave no thread of Python behind; those of a library for linear algebra sleep.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _become(start: protocol.Start, descriptors: list[int]) -> tuple[int, int]:
    """Turn a copy into the worker that was asked for; return where requests and responses go."""
    requests, responses, output = descriptors
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    for printed in (1, 2):
        os.dup2(output, printed)
    os.close(output)
    os.chdir(start.folder)
    os.environ.clear()
    os.environ.update(start.environment)
    tempfile.tempdir = None  # it keeps what the old environment said
    return requests, responses
