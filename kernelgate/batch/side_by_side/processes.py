"""Judges side by side: processes of one batch, each on one GPU, each with one order at a time.

They overlap: one compiles while another one holds the GPU. Who times has its GPU alone (machine/gpu_lock.py),
and what the others compile gives way to it (sandbox/peers.py).
"""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Sequence

import msgspec

from kernelgate.batch.judges import WatchOf
from kernelgate.batch.order import Order
from kernelgate.batch.side_by_side.in_turn import InTurn
from kernelgate.batch.side_by_side.messages import Answer, Said
from kernelgate.batch.side_by_side.seats import Seat
from kernelgate.judging.watch import Watch
from kernelgate.machine.gpu import visible_gpus
from kernelgate.sandbox.fork_server import PACKAGE_PARENT
from kernelgate.sandbox.scratch import roomy_folder, sweep

JUDGE = "kernelgate.batch.side_by_side.judge_process"
END_SECONDS = 20.0


class JudgeProcesses(InTurn):
    """A judge for each seat. One that dies is replaced."""

    def __init__(self, seats: Sequence[Seat], watch_of: WatchOf) -> None:
        super().__init__([JudgeProcess(seat) for seat in seats], watch_of, "on standard error")
        self.gpus = visible_gpus()

    def close(self) -> None:
        """End all judges, and what they started."""
        super().close()
        sweep(roomy_folder())  # of what those had that were at work


class JudgeProcess:
    """A process that judges one order at a time. It is started for its first order."""

    def __init__(self, seat: Seat) -> None:
        self._seat, self._is_at_work = seat, False
        self._is_over, self._changing = False, threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def carry_out(self, order: Order, watch: Watch) -> Answer | None:
        """Return the answer to an order; None if the process ends without one, or may not start any more."""
        self.begin(order)
        while (said := self.hear()) is not None:
            if isinstance(said, Answer):
                return said
            watch.ended(said.stage, said.result)
        return None

    def begin(self, order: Order) -> None:
        """Have the process begin with an order; it is heard from then on."""
        process = self._started()
        if process is None:
            return
        assert process.stdin is not None
        self._is_at_work = True
        with contextlib.suppress(BrokenPipeError):  # one that has ended is not heard either
            process.stdin.write(msgspec.json.encode(order) + b"\n")
            process.stdin.flush()

    def hear(self) -> Said | None:
        """Return what the process says next; None if it has ended, and another one may take its place."""
        process = self._process
        if process is None:
            return None
        assert process.stdout is not None
        with contextlib.suppress(msgspec.DecodeError):
            said: Said = msgspec.json.decode(process.stdout.readline(), type=Said)
            self._is_at_work = not isinstance(said, Answer)
            return said
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
