"""The judge's handle on a worker: it starts it, asks it, bounds it, and leaves nothing of it running."""

import contextlib
import os
import select
import shutil
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from kernelgate import protocol
from kernelgate.errors import KernelgateError
from kernelgate.sandbox.confinement import hide_memory
from kernelgate.sandbox.faults import FaultKind
from kernelgate.sandbox.fork_server import passed_on, start_copy
from kernelgate.sandbox.patience import Patience
from kernelgate.sandbox.process_tree import (
    Child,
    adopt_orphans,
    cpu_seconds,
    descendants,
    end_orphans,
    is_alive,
    kill,
    recent_descendants,
    resident_bytes,
)
from kernelgate.settings import Limits

WATCH_SECONDS = 0.1
END_SECONDS = 2.0
SHOWN_OUTPUT_BYTES = 2000
NO_PROOF = "That is no proof of an endless loop: a slow kernel looks the same"


ON_GPU: tuple[protocol.Mode, ...] = ("execute", "use")

Answer = TypeVar("Answer", bound=msgspec.Struct)

_LIVE: set[int] = set()
"""Process ids of workers that are not closed yet."""

_CHILDREN = threading.Lock()
"""Held while a worker starts and while orphans are ended: one that is half started is no orphan."""


class WorkerFault(KernelgateError):  # noqa: N818 - the design's word: what a worker did, not an error of ours
    """A worker failed: `kind` says how, `detail` what it was seen doing."""

    def __init__(self, kind: FaultKind, detail: str, worker: str = "") -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind, self.detail, self.worker = kind, detail, worker


def end_strays() -> None:
    """End what kernel files started and left behind, wherever that has gone."""
    with _CHILDREN:
        end_orphans(_LIVE)


class Worker:
    """One child process in one mode, with a private folder, that answers one request at a time."""

    def __init__(
        self,
        mode: protocol.Mode,
        folder: Path,
        limits: Limits,
        cache: Path,
        name: str = "",
        gpu: str = "",
        reads: Sequence[Path] = (),
    ) -> None:
        self.mode, self.folder, self.limits = mode, folder, limits
        self.name = name
        folder.mkdir(parents=True, exist_ok=True)
        adopt_orphans()
        hide_memory()
        child_requests, self._requests = os.pipe()
        self._responses, child_responses = os.pipe()
        printed, child_output = os.pipe()
        descriptors = (child_requests, child_responses, child_output)
        cache.mkdir(parents=True, exist_ok=True)
        start = protocol.Start(
            folder=str(folder),
            environment=_environment(mode, folder, cache, gpu),
            reads=tuple(map(str, reads)),
            writes=(str(cache),),
            uses_gpu=mode in ON_GPU,
        )
        try:
            with _CHILDREN:
                self._process = Child(start_copy(mode, start, descriptors))
                _LIVE.add(self._process.pid)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        self._pending = bytearray()
        self._printed = _PrintedOutput(printed)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ask(self, request: protocol.Request, answer: type[Answer], timeout_s: float) -> Answer:
        """Return the answer to a request; raises WorkerFault, after which the worker is gone."""
        self.send(request)
        return self.receive(answer, timeout_s)

    def send(self, request: protocol.Request) -> None:
        """Send a request without waiting, so that workers can work side by side."""
        try:
            os.write(self._requests, protocol.encode(request) + b"\n")
        except BrokenPipeError:
            raise self._ended() from None

    def receive(self, answer: type[Answer], timeout_s: float) -> Answer:
        """Return the answer to the request sent last, within that time."""
        line = self._read_line(Patience(timeout_s))
        self._check_printed()
        try:
            response = protocol.decode_response(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._fault(FaultKind.PROTOCOL, f"answered what is no message ({error})") from error
        if isinstance(response, protocol.Failed):
            where = f" (line {response.line} of the kernel file)" if response.line else ""
            # The process may be in any state now; the next request gets a fresh one.
            raise self._fault(FaultKind(response.kind), shown(response.detail) + where)
        if not isinstance(response, answer):
            said = f"answered {type(response).__name__}, not {answer.__name__}"
            raise self._fault(FaultKind.PROTOCOL, said)
        return response

    def has_descendants(self) -> bool:
        """Whether a process that it started is running."""
        return any(map(is_alive, descendants(self._process.pid)))

    def cpu_seconds(self) -> float:
        """Return how long processors have worked for it."""
        return cpu_seconds(self._process.pid)

    def close(self) -> None:
        """End the worker and everything it started, wherever that has gone."""
        if self._process.poll() is None:
            # Stopped first, so that it cannot fork while its descendants are counted.
            self._process.send(signal.SIGSTOP)
            for descendant in descendants(self._process.pid):
                kill(descendant)
            self._process.send(signal.SIGKILL)
        self._process.wait()
        _LIVE.discard(self._process.pid)
        end_strays()
        self._printed.finish()
        for descriptor in (self._requests, self._responses):
            if descriptor >= 0:
                os.close(descriptor)
        self._requests = self._responses = -1
        shutil.rmtree(self.folder, ignore_errors=True)

    def _read_line(self, patience: Patience) -> bytes:
        watched = time.monotonic()
        while b"\n" not in self._pending:
            readable, _, _ = select.select([self._responses], [], [], WATCH_SECONDS)
            if readable:
                chunk = os.read(self._responses, 65536)
                if not chunk:
                    raise self._ended()
                self._pending += chunk
                if len(self._pending) > protocol.MAX_MESSAGE_BYTES:
                    raise self._fault(
                        FaultKind.PROTOCOL, f"sent a message of over {protocol.MAX_MESSAGE_BYTES} bytes"
                    )
            elif self._process.poll() is not None:
                raise self._ended()  # what it started may still hold the pipe
            # Not only when nothing comes: a message that drips in must not outlast the deadline.
            if time.monotonic() - watched >= WATCH_SECONDS:
                self._watch(patience)
                watched = time.monotonic()
        line, _, rest = self._pending.partition(b"\n")
        self._pending = bytearray(rest)
        return bytes(line)

    def _watch(self, patience: Patience) -> None:
        self._check_printed()
        pids = [self._process.pid, *recent_descendants(self._process.pid)]
        used = sum(map(resident_bytes, pids))
        if used > self.limits.host_memory_bytes:
            limit_gib = self.limits.host_memory_bytes / 2**30
            took = f"used {used / 2**30:.1f} GiB of host memory, allowed {limit_gib:.1f}"
            raise self._fault(FaultKind.OUT_OF_MEMORY, took)
        patience.note(pids)
        if patience.is_over:
            raise self._fault(FaultKind.NO_ANSWER, f"gave no answer in {patience.limit_s:.0f} s. {NO_PROOF}")
        if patience.is_starved:
            waited = f"waited {patience.waited_s:.0f} s for a core, its limit is {patience.limit_s:.0f} s"
            raise self._fault(FaultKind.STARVED, waited)

    def _check_printed(self) -> None:
        if self._printed.count > self.limits.output_bytes:
            raise self._fault(FaultKind.PRINTS, f"printed over {self.limits.output_bytes} bytes")

    def _fault(self, kind: FaultKind, detail: str) -> WorkerFault:
        said = "" if kind is FaultKind.PRINTS else self._printed.tail()
        self.close()
        printed = f"; it printed: {said}" if said and kind is not FaultKind.RAISES else ""
        return WorkerFault(kind, detail + printed, self.name)

    def _ended(self) -> WorkerFault:
        status = self._process.wait(END_SECONDS)  # None if it closed the pipe and lives on; close() ends it
        self._check_printed()
        if status is not None and status < 0:
            return self._fault(FaultKind.CRASHES, f"ended by {_signal_name(-status)}")
        if status is None:
            return self._fault(FaultKind.EXITS, "closed the pipe that answers go to")
        return self._fault(FaultKind.EXITS, f"left the process with status {status}")


class _PrintedOutput:
    """Drains what a worker prints: the count is kept, and the end of the text."""

    def __init__(self, descriptor: int) -> None:
        self.count = 0
        self._tail = b""
        self._descriptor = descriptor
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def tail(self) -> str:
        """Return the end of the text, in printable characters."""
        return shown(self._tail.decode("utf-8", errors="replace").strip())

    def finish(self) -> None:
        """Wait for the drain to end; the pipe is at its end once every holder is dead."""
        self._thread.join(timeout=2)

    def _drain(self) -> None:
        while chunk := os.read(self._descriptor, 65536):
            self.count += len(chunk)
            self._tail = (self._tail + chunk)[-SHOWN_OUTPUT_BYTES:]
        os.close(self._descriptor)


def shown(text: str) -> str:
    """Return the text, or its end, as a log may show it: a line of it cannot pass for a line of the log."""
    characters = (c if c.isprintable() or c == "\n" else "?" for c in text[-SHOWN_OUTPUT_BYTES:])
    return "".join(characters).replace("\n", "\n  | ")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most real-time signals have none
        return f"signal {number}"


def end_live_workers() -> None:
    """Kill every worker: whoever waits for its answer gets a fault."""
    for pid in live_pids():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def live_pids() -> set[int]:
    """Return the process ids of all workers that are not closed yet."""
    return set(_LIVE)


def _environment(mode: protocol.Mode, folder: Path, cache: Path, gpu: str) -> dict[str, str]:
    environment = passed_on()
    environment |= {
        "HOME": str(folder),
        "TMPDIR": str(folder),
        # A cache that workers shared could be poisoned by one of them.
        "TRITON_CACHE_DIR": str(cache),
    }
    if mode == "execute":
        # A plan has one stream. A context of one connection is made and ended in half the time.
        environment["CUDA_DEVICE_MAX_CONNECTIONS"] = "1"
    if mode not in ON_GPU or gpu:
        environment["CUDA_VISIBLE_DEVICES"] = gpu if mode in ON_GPU else ""
    return environment
