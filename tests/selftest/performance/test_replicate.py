"""The judge's side of timing, with workers that only pretend to compute."""

import itertools
import os
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from kernelgate import protocol
from kernelgate.machine.gpu import Gpu, GpuError, Health
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.performance import replicate
from kernelgate.performance import replicates as timing
from kernelgate.performance.samples import Arm, MeasuredReplicate
from kernelgate.performance.schedule import Design
from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.settings import PerformanceSettings, load_settings

SETTINGS = load_settings(Path(__file__).parents[3] / "pyproject.toml")
PERFORMANCE = SETTINGS.performance
GPU = Gpu(name="NVIDIA Test", uuid="GPU-0", capability=89, driver="1", l2_bytes=1024)
KERNEL = SimpleNamespace(sha256="a" * 64, path="kernel.py")
KERNELS: dict[str, Any] = dict.fromkeys(Arm, KERNEL) | {Arm.VENDOR: None}


def make_timed(config: str | None) -> Any:
    """Return a plan that has no more than a configuration."""
    return SimpleNamespace(stored=SimpleNamespace(plan=SimpleNamespace(config=config)))


class PretendedWorker:
    """Answers every request at once; `log` is shared by all, in the order of the requests."""

    def __init__(
        self, log: list[tuple["PretendedWorker", protocol.Request]], folder: Path, time_ms: float
    ) -> None:
        self.log, self.folder, self.time_ms = log, folder, time_ms
        self.limits, self.name, self.closed = SETTINGS.limits, "", False
        self.pid, self.missing_words, self.waiting, self.choices = 0, 0, False, 1

    def __enter__(self) -> "PretendedWorker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, request: protocol.Request) -> None:
        assert not self.closed
        self.log.append((self, request))
        self.asked, self.waiting = request, True

    def receive(self, answer: type, _timeout_s: float) -> Any:
        assert not self.closed
        self.waiting = False
        if isinstance(self.asked, protocol.Prepare):
            return protocol.Warm(chosen=0 if self.choices == 1 else None)
        if isinstance(self.asked, protocol.WarmUp):
            return protocol.Warm(chosen=self.choices - 1)
        if isinstance(self.asked, protocol.TimeLaunches):
            return protocol.Timed(times_ms=self.times_ms(self.asked.launches))
        if isinstance(self.asked, protocol.SendAnswers):
            self.write_answers(Path(self.asked.out), self.asked.count * PERFORMANCE.launches)
        return answer()

    def times_ms(self, launches: int) -> tuple[float, ...]:
        return (self.time_ms,) * launches

    def write_answers(self, file: Path, words: int) -> None:
        np.arange(words - self.missing_words, dtype=np.uint32).tofile(file)

    def ask(self, request: protocol.Request, answer: type, timeout_s: float) -> Any:
        self.send(request)
        return self.receive(answer, timeout_s)

    def close(self) -> None:
        self.closed = True


class PretendedSandbox:
    """Starts pretended workers."""

    def __init__(self, folder: Path, time_ms: float) -> None:
        self.folder, self.time_ms, self.missing_words = folder, time_ms, 0
        self.operation, self.limits = ALEXNET_CONV1, SETTINGS.limits
        self.log: list[tuple[PretendedWorker, protocol.Request]] = []
        self.started: list[PretendedWorker] = []
        self.running: list[int] = []
        self.timed_plans = {KERNEL.sha256: (make_timed("config a"), make_timed("config b"))}

    def start_arm(self, plans: Sequence[Any] | None, name: str) -> PretendedWorker:
        assert (plans is None) == (name == Arm.VENDOR)
        self.running.append(sum(not worker.closed for worker in self.started))
        self.started.append(PretendedWorker(self.log, self.folder, self.time_ms))
        self.started[-1].name, self.started[-1].missing_words = name, self.missing_words
        self.started[-1].choices = len(plans or [None])
        return self.started[-1]

    def await_loaded(self, worker: PretendedWorker) -> None:
        assert not worker.closed


CONTESTANTS = (Arm.CANDIDATE, Arm.ACCEPTED, Arm.CONTROL)


def layouts() -> list[tuple[Arm, ...]]:
    """Return the arms of each layout of a replicate: all in one of three."""
    count = PERFORMANCE.blocks // PERFORMANCE.blocks_per_layout
    assert (count, PERFORMANCE.layouts_per_yardstick) == (6, 3)
    return [tuple(Arm), CONTESTANTS, CONTESTANTS] * 2


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PretendedSandbox:
    healthy = Health(sm_clock_mhz=1, temperature_c=1, throttled=(), foreign_processes=0)
    monkeypatch.setattr(replicate, "read_health", lambda *_: healthy)
    return PretendedSandbox(tmp_path, time_ms=1e-4)


def requests(sandbox: PretendedSandbox, *kinds: type) -> list[tuple[str, Any]]:
    """Return the requests of these kinds, each with the arm that it went to."""
    return [(worker.name, request) for worker, request in sandbox.log if type(request) in kinds]


def measure(
    sandbox: Any,
    settings: PerformanceSettings = PERFORMANCE,
    is_decided: Callable[[Sequence[MeasuredReplicate]], bool] = lambda _: True,
    settle: Callable[[MeasuredReplicate], MeasuredReplicate] = lambda one: one,
) -> list[MeasuredReplicate]:
    return timing.measure_replicates(sandbox, KERNELS, GPU, settings, is_decided, settle)


def test_every_arm_of_a_block_is_sampled_twice_in_every_replicate(sandbox: PretendedSandbox) -> None:
    """The samples are complete and balanced."""
    arms = [each for each in layouts() for _ in range(PERFORMANCE.blocks_per_layout)]
    for index, measured in enumerate(measure(sandbox)):
        places = [(sample.block, sample.arm) for sample in measured.samples]
        assert sorted(places) == sorted(
            (block, arm) for block in range(PERFORMANCE.blocks) for arm in arms[block] for _ in range(2)
        )
        assert {sample.replicate for sample in measured.samples} == {index}
        assert [reading.block for reading in measured.readings] == list(range(PERFORMANCE.blocks))


def test_the_first_replicate_chooses_for_all(sandbox: PretendedSandbox) -> None:
    """Whose arms of one file keep to the choice of the first of them; later ones are not asked again."""
    replicates = measure(sandbox)
    assert [worker.choices for worker in sandbox.started[: len(Arm)]].count(2) == len(Arm) - 1
    assert {worker.choices for worker in sandbox.started[len(Arm) :]} == {1}
    assert len(requests(sandbox, protocol.WarmUp)) == len(Arm) - 1
    assert all(each.chosen == replicates[0].chosen for each in replicates)


def test_each_replicate_has_fresh_processes_and_none_is_left(sandbox: PretendedSandbox) -> None:
    """A process serves one replicate and is closed after it, as is a crew that was not needed."""
    replicates = measure(sandbox)
    timed = {worker for worker, request in sandbox.log if isinstance(request, protocol.TimeLaunches)}
    assert len(timed) == len(Arm) * len(replicates)
    assert all(worker.closed for worker in sandbox.started)


def test_a_crew_is_closed_before_the_next_is_on_the_gpu(sandbox: PretendedSandbox) -> None:
    """Its memory is given back, and none of its processes runs beside those that are timed."""
    measure(sandbox)
    assert sandbox.running == list(range(len(Arm))) * PERFORMANCE.looks[0]


def test_a_replicate_is_settled_before_the_next_is_timed(sandbox: PretendedSandbox) -> None:
    """While the next processes get ready: what is settled stands for what was measured."""
    settled: list[tuple[int, int]] = []

    def settle(one: MeasuredReplicate) -> MeasuredReplicate:
        before = len(requests(sandbox, protocol.PlaceTensors))
        while len(sandbox.started) <= len(Arm) * (len(settled) + 1) and len(settled) + 1 < last:
            time.sleep(0.001)  # the next crew starts meanwhile
        time.sleep(0.05)
        settled.append((before, len(requests(sandbox, protocol.PlaceTensors))))
        return msgspec.structs.replace(one, chosen={"settled": (str(len(settled)),)})

    last = PERFORMANCE.looks[0]
    measured = measure(sandbox, settle=settle)
    assert [one.chosen["settled"] for one in measured] == [(str(count),) for count in range(1, last + 1)]
    assert all(before == after for before, after in settled), "nothing was placed, nor timed, meanwhile"


def test_what_settling_raises_ends_the_timing(sandbox: PretendedSandbox) -> None:
    """Before more is timed; no process is left."""

    def settle(_: MeasuredReplicate) -> MeasuredReplicate:
        raise GpuError("no memory is left")

    with pytest.raises(GpuError, match="no memory is left"):
        measure(sandbox, settle=settle)
    assert len(sandbox.started) == 2 * len(Arm)
    assert all(worker.closed for worker in sandbox.started)


def test_arms_are_prepared_side_by_side_and_warmed_one_after_the_other(sandbox: PretendedSandbox) -> None:
    """Before any is timed: an autotuner has the GPU to itself, compiled code is loaded by all at once."""
    measure(sandbox)
    first_crew = sandbox.started[: len(Arm)]
    kinds = [type(request) for worker, request in sandbox.log if worker in first_crew]
    assert kinds[: 2 * len(Arm) - 1] == [protocol.Prepare] * len(Arm) + [protocol.WarmUp] * (len(Arm) - 1)
    assert not {protocol.Prepare, protocol.WarmUp} & set(kinds[2 * len(Arm) - 1 :])
    batches = {request.batch for _, request in requests(sandbox, protocol.Prepare, protocol.WarmUp)}
    assert batches == {ALEXNET_CONV1.measured_batch}


def test_every_arm_is_asked_to_prepare_before_any_answer_is_awaited(
    sandbox: PretendedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or they would load their configurations one after the other."""
    asked: list[int] = []
    receive = PretendedWorker.receive

    def note(worker: PretendedWorker, answer: type, timeout_s: float) -> Any:
        if isinstance(worker.asked, protocol.Prepare):
            asked.append(len(requests(sandbox, protocol.Prepare)))
        return receive(worker, answer, timeout_s)

    monkeypatch.setattr(PretendedWorker, "receive", note)
    measure(sandbox)
    assert asked[: len(Arm)] == [len(Arm)] * len(Arm)


def test_an_arm_without_a_choice_is_not_warmed_again(sandbox: PretendedSandbox) -> None:
    """Of the others it is noted what they chose."""
    chosen = measure(sandbox)[0].chosen
    assert chosen == {arm: ("cuDNN, TF32 allowed" if arm == Arm.VENDOR else "config b",) for arm in Arm}
    warmed = {worker.name for worker, request in sandbox.log if isinstance(request, protocol.WarmUp)}
    assert warmed == set(Arm) - {Arm.VENDOR}


@pytest.mark.parametrize("strangers", [1, 2])
def test_a_stranger_on_the_gpu_ends_the_timing_at_once(
    sandbox: PretendedSandbox, monkeypatch: pytest.MonkeyPatch, strangers: int
) -> None:
    """What was timed beside it says nothing; all processes are ended."""
    crowd = Health(sm_clock_mhz=1, temperature_c=1, throttled=(), foreign_processes=strangers)
    monkeypatch.setattr(replicate, "read_health", lambda *_: crowd)
    with pytest.raises(GpuError, match=f"NVIDIA Test was shared with {strangers} more: end") as caught:
        measure(sandbox)
    assert caught.value.reason == "gpu-shared"
    assert len(requests(sandbox, protocol.TimeLaunches)) <= 2 * len(Arm), "in the first block"
    assert all(worker.closed for worker in sandbox.started)


def test_other_judges_of_a_batch_are_no_strangers(
    sandbox: PretendedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the judge itself: their contexts are idle while this one holds the GPU."""
    known: list[set[int]] = []

    def read(_: object, own: set[int]) -> Health:
        known.append(own)
        return Health(sm_clock_mhz=1, temperature_c=1, throttled=(), foreign_processes=0)

    monkeypatch.setattr(replicate, "read_health", read)
    monkeypatch.setattr(replicate, "peers", lambda: {-7})
    measure(sandbox)
    assert known
    assert all(own >= {-7, os.getpid()} for own in known)


def test_tensors_are_released_by_all_arms_before_any_takes_its_own_anew(
    sandbox: PretendedSandbox,
) -> None:
    """A new layout is drawn every other block, out of memory that all have given back."""
    measure(sandbox)
    kinds = [type(request) for _, request in sandbox.log]
    places = [index for index, kind in enumerate(kinds) if kind is protocol.PlaceTensors]
    counts = [len(arms) for arms in layouts()] * PERFORMANCE.looks[0]
    assert len(places) == sum(counts)
    for count in counts:
        first, *_ = together = places[:count]
        assert together == list(range(first, first + count))
        assert kinds[first - len(Arm) : first] == [protocol.ReleaseTensors] * len(Arm)
        del places[:count]


def test_tensors_of_all_arms_are_placed_alike_but_for_where_they_lie(sandbox: PretendedSandbox) -> None:
    """The same parameters for all, the size that is judged, and a flush of twice the L2 cache."""
    measure(sandbox)
    placed = requests(sandbox, protocol.PlaceTensors)
    waiting = list(placed)
    for arms in layouts() * PERFORMANCE.looks[0]:
        assert {name for name, _ in waiting[: len(arms)]} == set(arms)
        assert len({request.seed for _, request in waiting[: len(arms)]}) == 1
        del waiting[: len(arms)]
    assert not waiting
    for _, request in placed:
        assert (request.batch, request.launches) == (ALEXNET_CONV1.measured_batch, PERFORMANCE.launches)
        assert request.flush_bytes == 2 * GPU.l2_bytes
        assert 0 < request.pad_bytes < replicate.MAX_PAD_BYTES
    assert len({request.pad_bytes for _, request in placed}) > len(placed) / 2


def test_every_arm_is_placed_first_and_last_by_turns(sandbox: PretendedSandbox) -> None:
    """In as many rounds as there are contestants each has had every place among them."""
    measure(sandbox)
    names = [name for name, _ in requests(sandbox, protocol.PlaceTensors)]
    lean: list[list[str]] = []
    for arms in layouts():
        lean += [names[: len(arms)]] if arms == CONTESTANTS else []
        del names[: len(arms)]
    for place in range(len(CONTESTANTS)):
        assert sorted(order[place] for order in lean[: len(CONTESTANTS)]) == sorted(CONTESTANTS)


def test_yardsticks_are_timed_in_the_first_layout_and_seldom_after(sandbox: PretendedSandbox) -> None:
    """They decide nothing on the candidate; where they are timed, each arm is sampled twice as ever."""
    measure(sandbox)
    names = [name for name, _ in requests(sandbox, protocol.TimeLaunches)]
    for arms in layouts() * PERFORMANCE.looks[0]:
        for _ in range(PERFORMANCE.blocks_per_layout):
            block = names[: 2 * len(arms)]
            assert sorted(block) == sorted(2 * arms)
            assert block == block[::-1]
            del names[: 2 * len(arms)]
    assert not names


@pytest.fixture
def replayable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw the same seeds in every run: two of 31 bits may be alike by chance."""
    chance = SimpleNamespace(Random=lambda: random.Random(1))  # noqa: S311 - as in the module itself
    monkeypatch.setattr(replicate, "random", chance)


@pytest.mark.usefixtures("replayable")
def test_no_timed_call_sees_contents_that_another_has_seen(sandbox: PretendedSandbox) -> None:
    """Of any arm, nor those of the calls that are made once before."""
    for measured in measure(sandbox):
        seeds = [sample.seed + call for sample in measured.samples for call in range(PERFORMANCE.launches)]
        placed = {request.seed for _, request in requests(sandbox, protocol.PlaceTensors)}
        assert len(set(seeds)) == len(seeds)
        assert not placed & set(seeds)


def test_every_timed_answer_of_the_candidate_is_fetched(sandbox: PretendedSandbox) -> None:
    """Right after each of its samples, at other places each time; no other arm's is."""
    replicates = measure(sandbox)
    asked_for = [
        request.seed for name, request in requests(sandbox, protocol.TimeLaunches) if name == Arm.CANDIDATE
    ]
    contents = [answer.contents for measured in replicates for answer in measured.answers]
    assert contents == [seed + call for seed in asked_for for call in range(PERFORMANCE.launches)]
    for measured in replicates:
        samples = [sample for sample in measured.samples if sample.arm == Arm.CANDIDATE]
        assert {sample.seed for sample in samples} <= {answer.contents for answer in measured.answers}
        for index, answer in enumerate(measured.answers):
            assert answer.bits is not None
            first = index % PERFORMANCE.launches * PERFORMANCE.judged_elements
            assert answer.bits.tolist() == list(range(first, first + PERFORMANCE.judged_elements))
        assert len({answer.places for answer in measured.answers}) == len(samples)
    log = sandbox.log
    for (before, asked), (worker, request) in itertools.pairwise(log):
        timed = isinstance(asked, protocol.TimeLaunches) and before.name == Arm.CANDIDATE
        assert isinstance(request, protocol.SendAnswers) == timed
        assert not timed or worker is before


def test_the_answers_of_every_judged_arm_are_fetched(sandbox: PretendedSandbox) -> None:
    """Each says whose it is; a fault of reading them is that arm's. No other arm's are."""
    arms: Any = {"one": (make_timed("a"),), "two": (make_timed("b"),), Arm.ACCEPTED: (make_timed("c"),)}
    design = Design(judged=frozenset({"one", "two"}))
    fakes: Any = sandbox
    with timing.open_crew(fakes, arms) as crew:
        chance = random.Random(1)  # noqa: S311 - replayable
        one = replicate.Replicate((1, 0), fakes, crew, GPU, PERFORMANCE, chance, design)
        one.prepare()
        answers = one.measure().answers
    timed = [name for name, _ in requests(sandbox, protocol.TimeLaunches) if name in design.judged]
    assert [answer.arm for answer in answers] == [name for name in timed for _ in range(PERFORMANCE.launches)]
    assert {name for name, _ in requests(sandbox, protocol.SendAnswers)} == design.judged


@pytest.mark.usefixtures("replayable")
def test_what_is_looked_at_of_an_answer_cannot_be_known_beforehand(sandbox: PretendedSandbox) -> None:
    """Places are drawn by themselves each time, and are so many that a hundredth left out shows."""
    answers = [answer for measured in measure(sandbox) for answer in measured.answers]
    places, known = {answer.places for answer in answers}, {answer.contents for answer in answers}
    assert len(places) * PERFORMANCE.launches == len(answers), "in no replicate the same"
    assert not places & (known | {answer.parameters for answer in answers})
    assert (1 - 0.01) ** PERFORMANCE.judged_elements < 1e-4


def test_the_parameters_of_an_answer_are_those_it_was_timed_with(sandbox: PretendedSandbox) -> None:
    """They are drawn anew with each place in memory."""
    replicates = measure(sandbox)
    used = [answer.parameters for measured in replicates for answer in measured.answers]
    placed = [
        request.seed for name, request in requests(sandbox, protocol.PlaceTensors) if name == Arm.CANDIDATE
    ]
    assert list(dict.fromkeys(used)) == placed
    for measured in replicates:
        by_place: dict[int, int] = {}
        for answer in measured.answers:
            by_place[answer.parameters] = by_place.get(answer.parameters, 0) + 1
        assert len(by_place) == PERFORMANCE.blocks // PERFORMANCE.blocks_per_layout
        calls = PERFORMANCE.blocks_per_layout * 2
        assert set(by_place.values()) == {calls * PERFORMANCE.launches}


def test_answers_that_are_cut_short_are_no_answers(sandbox: PretendedSandbox) -> None:
    """A file with a word too few is not read at all."""
    sandbox.missing_words = 1
    assert all(answer.bits is None for measured in measure(sandbox) for answer in measured.answers)


def test_an_answer_that_was_not_written_is_a_fault_of_the_candidate(
    sandbox: PretendedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is judged in its place."""
    monkeypatch.setattr(PretendedWorker, "write_answers", lambda *_: None)
    with pytest.raises(WorkerFault, match="left no readable output") as caught:
        measure(sandbox)
    assert (caught.value.kind, caught.value.worker) == ("protocol", Arm.CANDIDATE)


GOOD = 1e-4


@pytest.mark.parametrize(
    "times_ms",
    [
        *[(time_ms,) * PERFORMANCE.launches for time_ms in (0.0, -1.0, float("nan"), float("inf"), 1e9)],
        (*[GOOD] * (PERFORMANCE.launches - 1), 0.0),
        (*[GOOD] * (PERFORMANCE.launches - 1), 1e9),
        (GOOD,) * (PERFORMANCE.launches - 1),
        (GOOD,) * (PERFORMANCE.launches + 1),
        (),
    ],
)
def test_times_that_cannot_be_are_a_fault_of_the_arm_that_sent_them(
    sandbox: PretendedSandbox, monkeypatch: pytest.MonkeyPatch, times_ms: tuple[float, ...]
) -> None:
    """Zero, negative, not a number, or longer than the judge waited: one is enough; too few, too many."""
    monkeypatch.setattr(PretendedWorker, "times_ms", lambda *_: times_ms)
    with pytest.raises(WorkerFault) as caught:
        measure(sandbox)
    assert caught.value.kind == "timer"
    assert caught.value.worker in Arm
    assert all(worker.closed for worker in sandbox.started)


def test_the_judge_itself_is_not_counted_as_a_stranger_on_the_gpu(
    sandbox: PretendedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds a context of its own since the correctness stage."""
    seen: list[set[int]] = []

    def note(_gpu: Gpu, own_pids: set[int]) -> Health:
        seen.append(own_pids)
        return Health(sm_clock_mhz=None, temperature_c=None, throttled=(), foreign_processes=None)

    monkeypatch.setattr(replicate, "read_health", note)
    monkeypatch.setattr(replicate, "live_pids", lambda: {-1, -2})
    measure(sandbox)
    assert seen
    assert all(own_pids == {os.getpid(), -1, -2} for own_pids in seen), "nor are the workers"


def test_the_gpu_is_read_while_the_kernels_of_an_arm_run(
    sandbox: PretendedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a block, between a request and its answer, and under every arm."""
    idle = Health(sm_clock_mhz=1, temperature_c=1, throttled=(), foreign_processes=0)
    under: list[str] = []

    def note(_gpu: Gpu, _own: set[int]) -> Health:
        worker, request = sandbox.log[-1]
        assert isinstance(request, protocol.TimeLaunches)
        assert worker.waiting
        under.append(worker.name)
        return idle

    monkeypatch.setattr(replicate, "read_health", note)
    # Which arm of a block it is, is drawn; once in 35 times one arm is not among those of a single timing.
    timings = [measured for _ in range(8) for measured in measure(sandbox)]
    read = [reading.arm for measured in timings for reading in measured.readings]
    assert read == under
    assert set(read) == set(Arm)


def test_the_clock_covers_the_whole_request_and_nothing_else(
    sandbox: PretendedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sending, reading the GPU, and waiting; moving the code before it is no part of the sample."""
    now = [0.0]
    costs: dict[type, tuple[float, float]] = {
        protocol.MoveCode: (4.0, 4.0),
        protocol.TimeLaunches: (1.0, 2.0),
    }
    send, receive, read = PretendedWorker.send, PretendedWorker.receive, replicate._read

    def send_slowly(worker: PretendedWorker, request: protocol.Request) -> None:
        send(worker, request)
        now[0] += costs.get(type(request), (0.0, 0.0))[0]

    def receive_slowly(worker: PretendedWorker, answer: type, timeout_s: float) -> Any:
        now[0] += costs.get(type(worker.asked), (0.0, 0.0))[1]
        return receive(worker, answer, timeout_s)

    def read_slowly(*args: Any) -> None:
        now[0] += 0.5
        read(*args)

    monkeypatch.setattr(PretendedWorker, "send", send_slowly)
    monkeypatch.setattr(PretendedWorker, "receive", receive_slowly)
    monkeypatch.setattr(replicate, "_read", read_slowly)
    monkeypatch.setattr(replicate.time, "perf_counter", lambda: now[0])
    samples = [sample for measured in measure(sandbox) for sample in measured.samples]
    walls = [round(sample.wall_ms) for sample in samples]
    assert set(walls) == {3000, 3500}
    assert walls.count(3500) == PERFORMANCE.blocks * PERFORMANCE.looks[0]


def test_code_is_moved_right_before_every_sample(sandbox: PretendedSandbox) -> None:
    """The call that loads it is not among those that are timed."""
    measure(sandbox)
    log = sandbox.log
    timed = [index for index, (_, request) in enumerate(log) if isinstance(request, protocol.TimeLaunches)]
    assert timed
    for index in timed:
        assert isinstance(log[index - 1][1], protocol.MoveCode)
        assert log[index - 1][0] is log[index][0]


def test_replicates_are_added_until_a_look_decides(sandbox: PretendedSandbox) -> None:
    """The question is asked at the looks alone; after the last there are no more."""
    settings = msgspec.structs.replace(PERFORMANCE, looks=(4, 6, 7))
    for decides_at, asked_at in ((4, [4]), (6, [4, 6]), (None, [4, 6, 7])):
        asked: list[int] = []

        def is_decided(so_far: Sequence[MeasuredReplicate], at: int | None = decides_at) -> bool:
            asked.append(len(so_far))  # noqa: B023 - called before the next turn
            return len(so_far) == at

        measured = measure(sandbox, settings, is_decided)
        assert asked == asked_at
        assert len(measured) == asked_at[-1]
        assert all(worker.closed for worker in sandbox.started)
