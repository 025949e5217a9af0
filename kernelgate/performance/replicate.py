"""One replicate: a fresh set of processes side by side, which the judge interleaves block by block.

Where code and tensors lie in device memory changes a kernel's time, and a process keeps its places: on an
H200 the first kernel, unrolled to over 100 KB of code, ran up to 1.2 % faster or slower each time its module
was loaded, and 0.7 % faster on tensors allocated elsewhere. One layout a process would make luck look like a
gain (Mytkowicz et al., "Producing Wrong Data Without Doing Anything Obviously Wrong!", ASPLOS 2009), so
layouts are drawn anew all the time (Curtsinger & Berger, "Stabilizer", ASPLOS 2013): code for every sample,
tensors for every block.
"""

import os
import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from kernelgate import protocol
from kernelgate.machine.gpu import Gpu, GpuError, read_health
from kernelgate.performance.samples import MeasuredReplicate, Reading, Sample, TimedAnswer
from kernelgate.performance.schedule import DUEL, Design, draw_orders, draw_places, timed_arms
from kernelgate.sandbox.arrays import read_words
from kernelgate.sandbox.faults import FaultKind
from kernelgate.sandbox.peers import peers
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.worker_process import Answer, Worker, WorkerFault, live_pids
from kernelgate.settings import PerformanceSettings
from kernelgate.verdict import Reason

MIN_TIME_MS = 1e-5
"""Ten nanoseconds, which no launch undercuts: less is a fault of the timer."""

MAX_PAD_BYTES = 64 * 2**20
SEED_BITS = 31


class Crew(NamedTuple):
    """A fresh process of each arm, and what the configurations that it may choose from are called."""

    workers: Mapping[str, Worker]
    names: Mapping[str, Sequence[str]]


class Replicate:
    """A fresh set of processes, and what is measured of them. `place` is the attempt and the number in it.

    `chosen` are the numbers of the configurations that are timed.
    """

    def __init__(
        self,
        place: tuple[int, int],
        sandbox: Sandbox,
        crew: Crew,
        gpu: Gpu,
        settings: PerformanceSettings,
        chance: random.Random,
        design: Design = DUEL,
    ) -> None:
        self.place, self.sandbox, self.design = place, sandbox, design
        self.crew, self.names = crew
        self.chosen: dict[str, int] = {}
        self.prepared: list[protocol.Warm] = []
        self.gpu, self.settings, self.chance = gpu, settings, chance
        self.parameters = 0
        self.samples: list[Sample] = []
        self.readings: list[Reading] = []
        self.answers: list[TimedAnswer] = []

    def prepare(self) -> None:
        """Have all arms make a call in each configuration, side by side."""
        self.prepared = _prepare(self.sandbox, self.crew)

    def measure(self) -> MeasuredReplicate:
        """Return the replicate, measured; its arms are prepared."""
        self.chosen = _choose(self.sandbox, self.crew, self.prepared)
        arms, blocks, together = tuple(self.crew), self.settings.blocks, self.settings.blocks_per_layout
        places: dict[tuple[str, ...], Iterator[tuple[str, ...]]] = {}
        for block, order in enumerate(draw_orders(arms, blocks, self.chance, self.design.balanced)):
            present = timed_arms(arms, block // together, self.settings.layouts_per_yardstick)
            if present not in places:
                places[present] = iter(draw_places(present, blocks // together, self.chance))
            if block % together == 0:
                self._place(next(places[present]))
            self._time_block(block, tuple(arm for arm in order if arm in present))
        return MeasuredReplicate(
            samples=tuple(self.samples),
            chosen={arm: (self.names[arm][number],) for arm, number in self.chosen.items()},
            readings=tuple(self.readings),
            answers=tuple(self.answers),
        )

    def _place(self, names: Sequence[str]) -> None:
        """Let every arm give its memory back, then those named take it anew, in their order."""
        self.parameters = self.chance.getrandbits(SEED_BITS)
        placing = _placing(self.sandbox, self.gpu, self.settings, self.parameters)
        timeout_s = self.sandbox.limits.run_timeout_s
        _ask_all(self.crew.values(), protocol.ReleaseTensors(), protocol.Done, timeout_s)
        for name in names:
            request = msgspec.structs.replace(placing, pad_bytes=self.chance.randrange(1, MAX_PAD_BYTES))
            self.crew[name].ask(request, protocol.Done, timeout_s)

    def _time_block(self, block: int, order: tuple[str, ...]) -> None:
        read_at = self.chance.randrange(len(order))
        for slot, arm in enumerate(order):
            request = protocol.TimeLaunches(seed=self._draw_seed(), launches=self.settings.launches)
            reading = partial(_read, self.readings, self.gpu, block, arm) if slot == read_at else None
            self.samples.append(_sample(self.crew[arm], request, (*self.place, block, slot, arm), reading))
            if arm in self.design.judged:
                self.answers += self._read_answers(arm, request, self._draw_seed())

    def _read_answers(self, arm: str, timed: protocol.TimeLaunches, places: int) -> Iterator[TimedAnswer]:
        """Yield the elements at places that were drawn after the calls, of the answer to each of them."""
        worker = self.crew[arm]
        out, count = worker.folder / "timed-answers.f32", self.settings.judged_elements
        request = protocol.SendAnswers(seed=places, count=count, out=str(out))
        worker.ask(request, protocol.Done, self.sandbox.limits.run_timeout_s)
        try:
            words = read_words(out, timed.launches * count)
        except OSError as error:
            raise WorkerFault(FaultKind.PROTOCOL, f"left no readable output: {error}", arm) from error
        for call in range(timed.launches):
            bits = None if words is None else words[call * count : (call + 1) * count]
            contents = timed.seed + call
            yield TimedAnswer(
                arm=arm, parameters=self.parameters, contents=contents, places=places, bits=bits
            )

    def _draw_seed(self) -> int:
        return self.chance.getrandbits(SEED_BITS)


def _placing(
    sandbox: Sandbox, gpu: Gpu, settings: PerformanceSettings, parameters: int
) -> protocol.PlaceTensors:
    return protocol.PlaceTensors(
        batch=sandbox.operation.measured_batch,
        seed=parameters,
        launches=settings.launches,
        flush_bytes=2 * gpu.l2_bytes,
        pad_bytes=0,
    )


def _prepare(sandbox: Sandbox, crew: Mapping[str, Worker]) -> list[protocol.Warm]:
    """Return what each arm says once all have prepared, side by side."""
    for worker in crew.values():
        sandbox.await_loaded(worker)
    request = protocol.Prepare(batch=sandbox.operation.measured_batch)
    return _ask_all(crew.values(), request, protocol.Warm, sandbox.limits.run_timeout_s)


def _choose(
    sandbox: Sandbox, crew: Mapping[str, Worker], prepared: Sequence[protocol.Warm]
) -> dict[str, int]:
    """Have each arm that has a choice choose in turn, with the GPU to itself."""
    batch, timeout_s = sandbox.operation.measured_batch, sandbox.limits.run_timeout_s
    chosen = {}
    for (name, worker), warm in zip(crew.items(), prepared, strict=True):
        has_choice = warm.chosen is None
        chose = worker.ask(protocol.WarmUp(batch=batch), protocol.Warm, timeout_s) if has_choice else warm
        chosen[name] = chose.chosen or 0
    return chosen


def _ask_all(
    crew: Collection[Worker], request: protocol.Request, answer: type[Answer], timeout_s: float
) -> list[Answer]:
    for worker in crew:
        worker.send(request)
    return [worker.receive(answer, timeout_s) for worker in crew]


def _read(readings: list[Reading], gpu: Gpu, block: int, arm: str) -> None:
    health = read_health(gpu, {os.getpid(), *live_pids(), *peers()})
    if health.foreign_processes:
        shared = f"while kernels were timed, {gpu.name} was shared with {health.foreign_processes} more"
        raise GpuError(f"{shared}: end the other programs, or judge on another GPU", Reason.GPU_SHARED)
    readings.append(Reading(block=block, arm=arm, health=health))


def _sample(
    worker: Worker,
    request: protocol.TimeLaunches,
    place: tuple[int, int, int, int, str],
    meanwhile: Callable[[], None] | None,
) -> Sample:
    """Return what the request came to; `meanwhile` is done while the kernels run."""
    attempt, replicate, block, slot, arm = place
    worker.ask(protocol.MoveCode(), protocol.Done, worker.limits.run_timeout_s)
    started = time.perf_counter()
    worker.send(request)
    if meanwhile is not None:
        meanwhile()
    timed = worker.receive(protocol.Timed, worker.limits.run_timeout_s)
    wall_ms = 1000 * (time.perf_counter() - started)
    if len(timed.times_ms) != request.launches or not all(
        MIN_TIME_MS < time_ms < wall_ms for time_ms in timed.times_ms
    ):
        raise WorkerFault(FaultKind.TIMER, f"sent the times {timed.times_ms} within {wall_ms:.3f} ms", arm)
    return Sample(
        attempt=attempt,
        replicate=replicate,
        block=block,
        slot=slot,
        arm=arm,
        seed=request.seed,
        times_ms=timed.times_ms,
        wall_ms=wall_ms,
    )
