"""Timing the arms against each other: contestants side by side, the judge interleaves them block by block.

Where code and tensors lie in device memory changes a kernel's time, and a process keeps its places: on an
H200 the first kernel, unrolled to over 100 KB of code, ran up to 1.2 % faster or slower each time its module
was loaded, and 0.7 % faster on tensors allocated elsewhere. One layout a process would make luck look like a
gain (Mytkowicz et al., "Producing Wrong Data Without Doing Anything Obviously Wrong!", ASPLOS 2009), so
layouts are drawn anew all the time (Curtsinger & Berger, "Stabilizer", ASPLOS 2013): code for every sample,
tensors every other block.
"""

import math
import os
import random
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack

import msgspec
import numpy as np
from numpy.typing import NDArray

from kernelgate import wire
from kernelgate.candidate import KernelFile
from kernelgate.contestant import Contestant, ContestantFault, live_pids
from kernelgate.gpu import Gpu, Health, read_health
from kernelgate.runners import read_words
from kernelgate.settings import PerformanceSettings
from kernelgate.slowdown import Replicate
from kernelgate.timing_inputs import CONTENTS
from kernelgate.workplace import Workplace

CANDIDATE, ACCEPTED, CONTROL, ORIGINAL, VENDOR = "candidate", "accepted", "control", "original", "vendor"
BLOCKS_A_PLACE = 2
MIN_TIME_MS = 1e-5
"""Ten nanoseconds, which no launch undercuts: less is a fault of the timer."""

MAX_PAD_BYTES = 64 * 2**20
ARMS = (CANDIDATE, ACCEPTED, CONTROL, ORIGINAL, VENDOR)


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One request for timed calls, as asked and as answered."""

    replicate: int
    block: int
    slot: int
    arm: str
    content: int
    times_ms: tuple[float, ...]
    wall_ms: float

    @property
    def ln_time(self) -> float:
        """Mean ln of the call times."""
        return statistics.fmean(math.log(time_ms) for time_ms in self.times_ms)

    @property
    def overhead_ms(self) -> float:
        """Wall-clock time of the request that the events do not explain: flushes, refills, the pipe."""
        return self.wall_ms - sum(self.times_ms)


class TimedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The output of one timed call of the candidate, to be judged as any other."""

    seed: int
    content: int
    bits: NDArray[np.uint32] | None


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One replicate: a fresh set of processes."""

    samples: tuple[Sample, ...]
    chosen: dict[str, tuple[str, ...]]
    health: tuple[Health, ...]
    answer: TimedAnswer

    def replicate(self) -> Replicate:
        """Return the mean ln time of each arm in each block."""
        blocks: dict[int, dict[str, list[float]]] = {}
        for sample in self.samples:
            blocks.setdefault(sample.block, {}).setdefault(sample.arm, []).append(sample.ln_time)
        return Replicate(
            blocks=tuple({arm: statistics.fmean(v) for arm, v in block.items()} for block in blocks.values())
        )


def measure_replicates(
    workplace: Workplace,
    arms: Mapping[str, KernelFile | None],
    gpu: Gpu,
    settings: PerformanceSettings,
    is_decided: Callable[[Sequence[Measured]], bool],
    tick: Callable[[], None],
) -> list[Measured]:
    """Return the replicates up to the look at which they decide, or to the last; None is the vendor's arm.

    Raises ContestantFault with the arm's name in it.

    The processes of the next replicate import torch and the kernel file, on the CPU only, while this one is
    measured; they touch the GPU when their turn comes.
    """
    chance = random.Random()  # noqa: S311 - the order of arms, not a secret
    replicates: list[Measured] = []
    with ExitStack() as stack:
        following = _start_crew(workplace, arms, stack)
        for index in range(settings.looks[-1]):
            crew = following
            if index + 1 < settings.looks[-1]:
                following = _start_crew(workplace, arms, stack)
            replicates.append(_measure_replicate(index, workplace, crew, gpu, settings, chance))
            for contestant in crew.values():
                contestant.close()
            tick()
            if len(replicates) in settings.looks and is_decided(replicates):
                break
    return replicates


def draw_orders(arms: tuple[str, ...], blocks: int, chance: random.Random) -> list[tuple[str, ...]]:
    """Return a palindrome of the arms for each block: ABBA or BAAB for every pair, so linear drift cancels.

    Candidate comes before accepted in exactly half of the blocks.
    """
    first = [True, False] * (blocks // 2)
    chance.shuffle(first)
    orders = []
    for candidate_first in first:
        order = list(arms)
        chance.shuffle(order)
        here, there = order.index(CANDIDATE), order.index(ACCEPTED)
        if (here < there) != candidate_first:
            order[here], order[there] = order[there], order[here]
        orders.append((*order, *reversed(order)))
    return orders


def draw_places(arms: tuple[str, ...], times: int, chance: random.Random) -> list[tuple[str, ...]]:
    """Return the orders in which the arms take their GPU memory: every arm in every place, by turns."""
    places: list[tuple[str, ...]] = []
    while len(places) < times:
        order = list(arms)
        chance.shuffle(order)
        places += [(*order[shift:], *order[:shift]) for shift in range(len(order))]
    return places[:times]


def _start_crew(
    workplace: Workplace, arms: Mapping[str, KernelFile | None], stack: ExitStack
) -> dict[str, Contestant]:
    crew = {}
    for name, kernel in arms.items():
        crew[name] = stack.enter_context(workplace.start("gpu", kernel, name))
    return crew


def _measure_replicate(
    index: int,
    workplace: Workplace,
    crew: Mapping[str, Contestant],
    gpu: Gpu,
    settings: PerformanceSettings,
    chance: random.Random,
) -> Measured:
    chosen, seed = _warm_up(workplace, crew), 0
    judged_block = chance.randrange(settings.blocks)
    samples: list[Sample] = []
    health: list[Health] = []
    answer = TimedAnswer(seed=0, content=0, bits=None)
    orders = draw_orders(tuple(crew), settings.blocks, chance)
    places = iter(draw_places(tuple(crew), settings.blocks // BLOCKS_A_PLACE, chance))
    for block, order in enumerate(orders):
        if block % BLOCKS_A_PLACE == 0:
            seed = chance.getrandbits(31)
            _place_tensors(workplace, [crew[arm] for arm in next(places)], gpu, seed, chance)
        for slot, arm in enumerate(order):
            content = chance.randrange(CONTENTS)
            samples.append(_sample(crew[arm], settings, (index, block, slot, arm, content)))
        health.append(read_health(gpu, {os.getpid(), *live_pids()}))
        if block == judged_block:
            last = next(sample for sample in reversed(samples) if sample.arm == CANDIDATE)
            content = (last.content + settings.launches - 1) % CONTENTS
            answer = _fetch_answer(workplace, crew[CANDIDATE], seed, content)
    return Measured(samples=tuple(samples), chosen=chosen, health=tuple(health), answer=answer)


def _warm_up(workplace: Workplace, crew: Mapping[str, Contestant]) -> dict[str, tuple[str, ...]]:
    """Warm the arms one after the other: an autotuner that shares the GPU chooses badly."""
    for contestant in crew.values():
        workplace.await_loaded(contestant)
    _release_tensors(workplace, crew.values())
    chosen = {}
    request = wire.WarmUp(batch=workplace.operation.measured_batch)
    for name, contestant in crew.items():
        chosen[name] = contestant.ask(request, wire.Warm, workplace.limits.run_timeout_s).chosen
    return chosen


def _release_tensors(workplace: Workplace, crew: Iterable[Contestant]) -> None:
    """Let the arms give their memory back, all at once; the first time, each makes its CUDA context."""
    crew = tuple(crew)
    for contestant in crew:
        contestant.send(wire.ReleaseTensors())
    for contestant in crew:
        contestant.receive(wire.Done, workplace.limits.run_timeout_s)


def _place_tensors(
    workplace: Workplace, crew: Sequence[Contestant], gpu: Gpu, seed: int, chance: random.Random
) -> None:
    """Let every arm give its memory back, then take it anew in the order of the list."""
    _release_tensors(workplace, crew)
    for contestant in crew:
        request = wire.PlaceTensors(
            batch=workplace.operation.measured_batch,
            seed=seed,
            flush_bytes=2 * gpu.l2_bytes,
            pad_bytes=chance.randrange(1, MAX_PAD_BYTES),
        )
        contestant.ask(request, wire.Done, workplace.limits.run_timeout_s)


def _sample(
    contestant: Contestant, settings: PerformanceSettings, place: tuple[int, int, int, str, int]
) -> Sample:
    replicate, block, slot, arm, content = place
    contestant.ask(wire.MoveCode(), wire.Done, contestant.limits.run_timeout_s)
    request = wire.TimeLaunches(content=content, launches=settings.launches)
    started = time.perf_counter()
    timed = contestant.ask(request, wire.Timed, contestant.limits.run_timeout_s)
    wall_ms = 1000 * (time.perf_counter() - started)
    if len(timed.times_ms) != settings.launches or not all(
        MIN_TIME_MS < time_ms < wall_ms for time_ms in timed.times_ms
    ):
        raise ContestantFault("timer", f"sent the times {timed.times_ms} within {wall_ms:.3f} ms", arm)
    return Sample(
        replicate=replicate,
        block=block,
        slot=slot,
        arm=arm,
        content=content,
        times_ms=timed.times_ms,
        wall_ms=wall_ms,
    )


def _fetch_answer(workplace: Workplace, contestant: Contestant, seed: int, content: int) -> TimedAnswer:
    out = contestant.folder / "timed-answer.f32"
    contestant.ask(wire.SendAnswer(out=str(out)), wire.Done, workplace.limits.run_timeout_s)
    shape = workplace.operation.output_shape(workplace.operation.measured_batch)
    try:
        bits = read_words(out, math.prod(shape))
    except OSError as error:
        raise ContestantFault("protocol", f"left no readable output: {error}", CANDIDATE) from error
    return TimedAnswer(seed=seed, content=content, bits=bits)
