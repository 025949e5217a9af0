"""Judges side by side: processes of one batch, each on one GPU, each with one order at a time.

They overlap: one compiles while another one holds the GPU. Who times has its GPU alone (machine/gpu_lock.py),
and what the others compile gives way to it (sandbox/peers.py).
"""

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from kernelgate.batch.judges import Judged, WatchOf
from kernelgate.batch.order import Order
from kernelgate.batch.result import Result, not_judged
from kernelgate.batch.side_by_side.seats import Seat
from kernelgate.judging.watch import Watch
from kernelgate.pipeline.stage import StageName, StageResult
from kernelgate.sandbox.fork_server import PACKAGE_PARENT
from kernelgate.sandbox.scratch import roomy_folder, sweep

JUDGE = "kernelgate.batch.side_by_side.judge_process"
ATTEMPTS = 2
DIED = f"the judge ended without a result, {ATTEMPTS} times; its last words are on standard error"
END_SECONDS = 20.0


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """What a judge process says when a stage of its order has ended; the stage's own record stays there."""

    stage: StageName
    result: StageResult


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """What a judge process says of an order in the end."""

    result: Result | None


class JudgeProcesses:
    """A judge for each seat. One that dies is replaced, and its order tried once more."""

    def __init__(self, seats: Sequence[Seat], watch_of: WatchOf) -> None:
        self.count, self._watch_of = len(seats), watch_of
        self._judges = [_JudgeProcess(seat) for seat in seats]

    def judge(self, orders: Iterable[Order]) -> Iterator[Judged]:
        """Yield each order with its result, as they come. A judge that is free asks for the next order."""
        waiting, judged = _InTurn(orders), queue.SimpleQueue[Judged | None]()
        for judge in self._judges:
            threading.Thread(target=self._serve, args=(judge, waiting, judged), daemon=True).start()
        for _ in self._judges:
            while (one := judged.get()) is not None:
                yield one
        waiting.require_success()

    def close(self) -> None:
        """End all judges, and what they started."""
        for judge in self._judges:
            judge.end()
        for judge in self._judges:
            judge.wait()
        sweep(roomy_folder())  # of what those had that were at work

    def _serve(
        self, judge: "_JudgeProcess", waiting: "_InTurn", judged: "queue.SimpleQueue[Judged | None]"
    ) -> None:
        try:
            while (order := waiting.next()) is not None:
                answer = self._try(judge, order)
                judged.put((order, not_judged(order.file, DIED) if answer is None else answer.result))
        except Exception as error:  # noqa: BLE001 - it is raised where the results are waited for
            waiting.end(error)
        finally:
            judged.put(None)

    def _try(self, judge: "_JudgeProcess", order: Order) -> Answer | None:
        for _ in range(ATTEMPTS):
            if (answer := judge.carry_out(order, self._watch_of(order))) is not None:
                return answer
        return None


class _InTurn:
    """Orders for many threads: each takes the next one, until an error ends them."""

    def __init__(self, orders: Iterable[Order]) -> None:
        self._orders, self._lock = iter(orders), threading.Lock()
        self._error: Exception | None = None

    def next(self) -> Order | None:
        """Return the next order, None if there is none, or none any more."""
        with self._lock:
            return None if self._error else next(self._orders, None)

    def end(self, error: Exception) -> None:
        """Give no order from now on; the first error counts."""
        self._error = self._error or error

    def require_success(self) -> None:
        """Raise the error that ended them."""
        if self._error is not None:
            raise self._error


class _JudgeProcess:
    """A process that judges one order at a time. It is started for its first order."""

    def __init__(self, seat: Seat) -> None:
        self._seat, self._is_at_work = seat, False
        self._is_over, self._changing = False, threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def carry_out(self, order: Order, watch: Watch) -> Answer | None:
        """Return the answer to an order; None if the process ends without one, or may not start any more."""
        process = self._started()
        if process is None:
            return None
        assert process.stdin is not None
        assert process.stdout is not None
        self._is_at_work = True
        with contextlib.suppress(BrokenPipeError):  # one that has ended has no answer either
            process.stdin.write(msgspec.json.encode(order) + b"\n")
            process.stdin.flush()
        for line in process.stdout:
            try:
                said = msgspec.json.decode(line, type=Ended | Answer)
            except msgspec.DecodeError:
                break
            if isinstance(said, Answer):
                self._is_at_work = False
                return said
            watch.ended(said.stage, said.result)
        self._drop()
        return None

    def end(self) -> None:
        """Have it end: at once what it is at work on, and what it started. No other takes its place."""
        with self._changing:
            self._is_over = True
            if self._process is not None and self._is_at_work:
                self._process.terminate()
            elif self._process is not None:
                assert self._process.stdin is not None
                self._process.stdin.close()

    def wait(self) -> None:
        """Wait until it has ended; one that does not is killed, and what it started ends with it."""
        process = self._process
        if process is None:
            return
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in filter(None, (process.stdin, process.stdout)):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def _started(self) -> "subprocess.Popen[bytes] | None":
        """Return the process, started if there is none; None once this is the end of all."""
        with self._changing:
            if self._process is None and not self._is_over:
                self._process = _start(self._seat)
            return self._process

    def _drop(self) -> None:
        """Let another process take the place of one that has ended, unless this is the end of all."""
        with self._changing:
            if not self._is_over and self._process is not None:
                self._process.terminate()
                self.wait()
                self._process = None


def _start(seat: Seat) -> "subprocess.Popen[bytes]":
    paths = os.pathsep.join(filter(None, [str(PACKAGE_PARENT), os.environ.get("PYTHONPATH")]))
    gpu = {} if seat is None else {"CUDA_VISIBLE_DEVICES": seat}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", JUDGE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": paths} | gpu,
        process_group=0,  # Ctrl-C is for the engine, which ends its judges in order
    )
