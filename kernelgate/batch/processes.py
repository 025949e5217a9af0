"""Judges side by side: processes of one batch, each on one GPU, each with one order at a time.

They overlap: one compiles while another one holds the GPU. Who times has its GPU alone (machine/gpu_lock.py),
and its own cores: beside others on the same cores, the clock and the events of a timing drift apart.
"""

import os
import selectors
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from kernelgate.batch.judges import Judged
from kernelgate.batch.order import Order
from kernelgate.batch.result import Result, not_judged
from kernelgate.judging.options import AskedError
from kernelgate.machine.cores import share_out, usable_cores
from kernelgate.machine.gpu import least_memory_bytes, visible_gpus
from kernelgate.sandbox.fork_server import PACKAGE_PARENT

CORES_EACH = 4
GPU_BYTES_EACH = 40 * 2**30
"""Of a GPU's memory: what a worker is promised, and what small cases beside it and the judge itself take."""

JUDGES_OF_A_GPU = 3
"""More would wait for it: compiling takes half as long as all that needs the GPU."""

ATTEMPTS = 2
DIED = f"the judge ended without a result, {ATTEMPTS} times; its last words are on standard error"
END_SECONDS = 20.0


class Seat(NamedTuple):
    """Where a judge works: the GPU that it sees, None if there is none, and its cores."""

    gpu: str | None
    cores: list[int]


class Answer(msgspec.Struct, frozen=True):
    """What a judge process says of an order."""

    result: Result | None


def list_seats(jobs: int | None) -> list[Seat]:
    """Return the places of so many judges, the GPUs by turns; None asks for as many as there is room for.

    Raises AskedError for fewer than one.
    """
    gpus, cores = visible_gpus(), usable_cores()
    if jobs is None:
        by_cores = max(1, len(cores) // CORES_EACH)
        jobs = max(len(gpus), min(by_cores, len(gpus) * _room_on_each())) if gpus else by_cores
    if jobs < 1:
        raise AskedError(f"--jobs {jobs}: allowed 1 or more")
    shares = share_out(cores, jobs)
    return [Seat(gpus[n % len(gpus)] if gpus else None, share) for n, share in enumerate(shares)]


def _room_on_each() -> int:
    return max(1, min(JUDGES_OF_A_GPU, least_memory_bytes() // GPU_BYTES_EACH))


class JudgeProcesses:
    """A judge for each seat. One that dies is replaced, and its order tried once more."""

    def __init__(self, seats: Sequence[Seat]) -> None:
        self._judges = [_JudgeProcess(seat) for seat in seats]

    def judge(self, orders: Iterable[Order]) -> Iterator[Judged]:
        """Yield each order with its result, as they come; the next order goes to whoever is free."""
        waiting = iter(orders)
        for judge in self._judges:
            judge.take(next(waiting, None))
        while at_work := [judge for judge in self._judges if judge.order is not None]:
            for judge in _answering(at_work):
                order, attempts, answer = judge.order, judge.attempts, judge.receive()
                assert order is not None
                if answer is None:
                    judge.start_anew()
                if answer is None and attempts < ATTEMPTS:
                    judge.take(order, attempts + 1)
                    continue
                judge.take(next(waiting, None))
                yield order, not_judged(order.file, DIED) if answer is None else answer.result

    def close(self) -> None:
        """End all judges, and what they started."""
        for judge in self._judges:
            judge.ask_to_end()
        for judge in self._judges:
            judge.wait()


class _JudgeProcess:
    """A process that judges one order at a time; `order` is the one at work, `attempts` how often it was."""

    def __init__(self, seat: Seat) -> None:
        self._seat, self.order, self.attempts = seat, None, 0
        self._start()

    order: Order | None

    def take(self, order: Order | None, attempts: int = 1) -> None:
        """Begin with an order; None leaves the judge without work."""
        self.order, self.attempts = order, attempts
        if order is not None:
            try:
                self._requests.write(msgspec.json.encode(order) + b"\n")
                self._requests.flush()
            except BrokenPipeError:
                pass  # it has ended, which its answers say too

    def receive(self) -> Answer | None:
        """Return the answer to the order; None from a judge that has ended without one."""
        line = self.answers.readline()
        try:
            return msgspec.json.decode(line, type=Answer)
        except msgspec.DecodeError:
            return None

    def start_anew(self) -> None:
        """Put another process in the place of one that has ended."""
        self.ask_to_end()
        self.wait()
        self._start()

    def ask_to_end(self) -> None:
        """Have it end: at once what it is at work on, and what it started."""
        if self.order is None:
            self._requests.close()
        else:
            self._process.terminate()

    def wait(self) -> None:
        """Wait until it has ended; one that does not is killed, and what it started ends with it."""
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._requests.close()
        self.answers.close()

    def _start(self) -> None:
        paths = os.pathsep.join(filter(None, [str(PACKAGE_PARENT), os.environ.get("PYTHONPATH")]))
        seat = {} if self._seat.gpu is None else {"CUDA_VISIBLE_DEVICES": self._seat.gpu}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "kernelgate.batch.judge_process", *map(str, self._seat.cores)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": paths} | seat,
            process_group=0,  # Ctrl-C is for the engine, which ends its judges in order
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self.answers = self._process.stdin, self._process.stdout


def _answering(judges: Sequence[_JudgeProcess]) -> list[_JudgeProcess]:
    """Return those of the judges that have something to say, once there are any."""
    with selectors.DefaultSelector() as ready:
        for judge in judges:
            ready.register(judge.answers, selectors.EVENT_READ, judge)
        return [key.data for key, _ in ready.select()]
