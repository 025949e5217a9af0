"""The worker's loop: read a request, do it in this process's mode, answer, until the judge hangs up."""

import ctypes
import gc
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from typing import Protocol

import torch

from kernelgate import protocol
from kernelgate.protocol import FailureKind
from kernelgate.worker.untried import UntriedError
from kernelgate.worker.watch.audit_events import listen

PR_SET_PDEATHSIG = 1


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
    program = _start_mode(mode)
    listen()
    with os.fdopen(request_fd, "rb") as requests, os.fdopen(response_fd, "wb") as responses:
        for line in requests:
            timing = False
            try:
                request = protocol.decode_request(line)
                timing = isinstance(request, protocol.MoveCode | protocol.TimeLaunches)
                answer = protocol.encode(program.answer(request))
            except BaseException as error:  # noqa: BLE001 - SystemExit of a kernel file is a finding too
                answer = protocol.encode(_failure(error, program))
            if not timing:
                gc.collect()  # before the answer, not while the judge's clock runs for the next request
            responses.write(answer + b"\n")
            responses.flush()


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
    # Each mode imports Triton in its own way: the interpreter must be chosen before triton is imported.
    if mode == "record":
        from kernelgate.worker.record.mode import RecordMode  # noqa: PLC0415

        return RecordMode()
    if mode == "interpret":
        from kernelgate.worker.interpret.mode import InterpretMode  # noqa: PLC0415

        return InterpretMode()
    if mode == "execute":
        from kernelgate.worker.execute.mode import ExecuteMode  # noqa: PLC0415

        return ExecuteMode()
    from kernelgate.worker.gpu.mode import GpuMode  # noqa: PLC0415

    return GpuMode()


def _failure(error: BaseException, program: ModeProgram) -> protocol.Failed:
    frames = traceback.extract_tb(error.__traceback__)
    own = (frame.lineno or 0 for frame in reversed(frames) if frame.filename == program.kernel_file)
    line = next(own, 0)
    if isinstance(error, SystemExit):
        return protocol.Failed(
            kind=FailureKind.EXITS, detail=f"left with status {_text(error, _status)}", line=line
        )
    detail = f"{type(error).__name__}: {_text(error)}"
    if isinstance(error, UntriedError):
        return protocol.Failed(kind=FailureKind.UNTRIED, detail=detail, line=line)
    exhausted = isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate" in _text(error)
    if exhausted and program.is_crowded():
        held = f"others hold the GPU's memory: {detail}"
        return protocol.Failed(kind=FailureKind.CROWDED, detail=held, line=line)
    kind = FailureKind.OUT_OF_MEMORY if exhausted else FailureKind.RAISES
    return protocol.Failed(kind=kind, detail=detail, line=line)


def _status(error: BaseException) -> str:
    return f"{getattr(error, 'code', None)!r:.40}"


def _text(error: BaseException, show: Callable[[BaseException], str] = str) -> str:
    """Return the text of an error whose class may be the kernel file's own, as it can be sent."""
    try:
        text = show(error).encode("utf-8", "replace").decode()
    except BaseException:  # noqa: BLE001 - the text of an error may raise anything
        return "(its text cannot be shown)"
    return text if len(text) <= 600 else f"{text[:300]} ... {text[-300:]}"
