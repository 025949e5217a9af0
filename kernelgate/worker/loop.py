"""The worker's loop: read a request, do it in this process's mode, answer, until the judge hangs up."""

import ctypes
import os
import signal
import threading
import time
from typing import Protocol

from kernelgate import protocol
from kernelgate.protocol import FailureKind
from kernelgate.worker.failures import describe_failure

PR_SET_PDEATHSIG = 1


UNFORESEEN = {"interpret": FailureKind.NOT_INTERPRETED}
"""What an error of a mode comes to that nobody foresaw, where it is not the kernel file's own."""


class ModeProgram(Protocol):
    """One of the modes; each answers the requests that it knows."""

    kernel_file: str

    def answer(self, request: protocol.Request) -> protocol.Response:
        """Return the answer; whatever the kernel file raises passes through."""

    def is_crowded(self) -> bool:
        """Return whether others hold memory that this worker was promised."""


def serve(mode: str, request_fd: int, response_fd: int) -> None:
    """Answer requests until the pipe closes. The kernel file's own failures are answers, not crashes."""
    _end_with_judge(os.getppid())
    try:
        program = _start_mode(mode)
    except Exception as error:  # noqa: BLE001 - no kernel file has been seen yet: the fault is the gate's
        answer_in_place(FailureKind.GATE_FAULT, f"mode {mode}: {error!r:.300}", request_fd, response_fd)
        return
    with os.fdopen(request_fd, "rb") as requests, os.fdopen(response_fd, "wb") as responses:
        for line in requests:
            responses.write(_answer(program, mode, line) + b"\n")
            responses.flush()


def _answer(program: ModeProgram, mode: str, line: bytes) -> bytes:
    try:
        request = protocol.decode_request(line)
    except Exception as error:  # noqa: BLE001 - no kernel file has a hand in what the judge asks
        detail = f"mode {mode} was asked what it cannot read: {error!r:.300}"
        return protocol.encode(protocol.Failed(kind=FailureKind.GATE_FAULT, detail=detail, line=0))
    try:
        return protocol.encode(program.answer(request))
    except BaseException as error:  # noqa: BLE001 - SystemExit of a kernel file is a finding too
        unforeseen = UNFORESEEN.get(mode, FailureKind.RAISES)
        return protocol.encode(describe_failure(error, program.kernel_file, unforeseen, program.is_crowded))


def answer_in_place(kind: FailureKind, detail: str, request_fd: int, response_fd: int) -> None:
    """Say in place of the first answer why there will be none."""
    failed = protocol.Failed(kind=kind, detail=detail, line=0)
    with os.fdopen(request_fd, "rb") as requests, os.fdopen(response_fd, "wb") as responses:
        requests.readline()  # who is asked nothing yet and ends looks as if it had left
        responses.write(protocol.encode(failed) + b"\n")


def _end_with_judge(judge: int) -> None:
    """End this process once the judge is gone: a kernel may keep the main thread for ever.

    The kernel's signal comes even where native code holds the interpreter's lock (prctl(2)); the thread
    sees a judge that was gone before.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    threading.Thread(target=_watch_judge, args=(judge,), daemon=True).start()


def _watch_judge(judge: int) -> None:
    while os.getppid() == judge:
        time.sleep(1)
    os._exit(1)


def _start_mode(mode: str) -> ModeProgram:
    # None imports what another one needs: Triton and a GPU's libraries take seconds.
    if mode == "record":
        from kernelgate.worker.record.mode import RecordMode  # noqa: PLC0415

        return RecordMode()
    if mode == "interpret":
        from kernelgate.worker.interpret.mode import InterpretMode  # noqa: PLC0415

        return InterpretMode()
    if mode == "execute":
        from kernelgate.worker.execute.mode import ExecuteMode  # noqa: PLC0415

        return ExecuteMode()
    from kernelgate.worker.use.mode import UseMode  # noqa: PLC0415

    return UseMode()
