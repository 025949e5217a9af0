"""The judge's side of timing, with contestants that only pretend to compute."""

import itertools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from kernelgate import timing, wire
from kernelgate.contestant import ContestantFault
from kernelgate.gpu import Gpu, GpuError, Health
from kernelgate.measured import ARMS, CANDIDATE, VENDOR, Measured
from kernelgate.operations import ALEXNET_CONV1
from kernelgate.settings import PerformanceSettings, load_settings

SETTINGS = load_settings(Path(__file__).parents[2] / "pyproject.toml")
PERFORMANCE = SETTINGS.performance
GPU = Gpu(name="NVIDIA Test", uuid="GPU-0", capability=89, driver="1", l2_bytes=1024)
KERNELS = dict.fromkeys(ARMS)


class PretendedContestant:
    """Answers every request at once; `log` is shared by all, in the order of the requests."""

    def __init__(
        self, log: list[tuple["PretendedContestant", wire.Request]], folder: Path, time_ms: float
    ) -> None:
        self.log, self.folder, self.time_ms = log, folder, time_ms
        self.limits, self.name, self.closed = SETTINGS.limits, "", False
        self.pid, self.missing_words = 0, 0

    def __enter__(self) -> "PretendedContestant":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, request: wire.Request) -> None:
        assert not self.closed
        self.log.append((self, request))
        self.asked = request

    def receive(self, answer: type, _timeout_s: float) -> Any:
        assert not self.closed
        if isinstance(self.asked, wire.Prepare):
            return wire.Warm(chosen=("the only one",) if self.name == VENDOR else ())
        if isinstance(self.asked, wire.WarmUp):
            return wire.Warm(chosen=(f"config of {self.name}",))
        if isinstance(self.asked, wire.TimeLaunches):
            return wire.Timed(times_ms=(self.time_ms,) * self.asked.launches)
        if isinstance(self.asked, wire.SendAnswers):
            words = self.asked.count * PERFORMANCE.launches - self.missing_words
            np.zeros(words, dtype=np.uint32).tofile(self.asked.out)
        return answer()

    def ask(self, request: wire.Request, answer: type, timeout_s: float) -> Any:
        self.send(request)
        return self.receive(answer, timeout_s)

    def close(self) -> None:
        self.closed = True


class PretendedWorkplace:
    """Starts pretended contestants."""

    def __init__(self, folder: Path, time_ms: float) -> None:
        self.folder, self.time_ms, self.missing_words = folder, time_ms, 0
        self.operation, self.limits = ALEXNET_CONV1, SETTINGS.limits
        self.log: list[tuple[PretendedContestant, wire.Request]] = []
        self.started: list[PretendedContestant] = []

    def start(self, mode: wire.Mode, _kernel: object, name: str) -> PretendedContestant:
        assert mode == "gpu"
        self.started.append(PretendedContestant(self.log, self.folder, self.time_ms))
        self.started[-1].name, self.started[-1].missing_words = name, self.missing_words
        return self.started[-1]

    def await_loaded(self, contestant: PretendedContestant) -> None:
        assert not contestant.closed


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PretendedWorkplace:
    healthy = Health(sm_clock_mhz=1, temperature_c=1, throttled=(), foreign_processes=0)
    monkeypatch.setattr(timing, "read_health", lambda *_: healthy)
    return PretendedWorkplace(tmp_path, time_ms=1e-4)


def measure(
    workplace: Any,
    settings: PerformanceSettings = PERFORMANCE,
    is_decided: Callable[[Sequence[Measured]], bool] = lambda _: True,
) -> list[Measured]:
    return timing.measure_replicates(workplace, KERNELS, GPU, settings, is_decided, lambda: None)


def test_every_arm_is_sampled_twice_in_every_block_of_every_replicate(workplace: PretendedWorkplace) -> None:
    """The samples are complete and balanced."""
    for index, measured in enumerate(measure(workplace)):
        places = [(sample.block, sample.arm) for sample in measured.samples]
        assert sorted(places) == sorted(
            (block, arm) for block in range(PERFORMANCE.blocks) for arm in ARMS for _ in range(2)
        )
        assert {sample.replicate for sample in measured.samples} == {index}
        assert [reading.block for reading in measured.readings] == list(range(PERFORMANCE.blocks))


def test_each_replicate_has_fresh_processes_and_none_is_left(workplace: PretendedWorkplace) -> None:
    """A process serves one replicate and is closed after it, as is a crew that was not needed."""
    replicates = measure(workplace)
    timed = {contestant for contestant, request in workplace.log if isinstance(request, wire.TimeLaunches)}
    assert len(timed) == len(ARMS) * len(replicates)
    assert all(contestant.closed for contestant in workplace.started)


def test_arms_are_prepared_side_by_side_and_warmed_one_after_the_other(workplace: PretendedWorkplace) -> None:
    """Before any is timed: an autotuner has the GPU to itself, compiled code is loaded by all at once."""
    measure(workplace)
    first_crew = workplace.started[: len(ARMS)]
    kinds = [type(request) for contestant, request in workplace.log if contestant in first_crew]
    assert kinds[: 2 * len(ARMS) - 1] == [wire.Prepare] * len(ARMS) + [wire.WarmUp] * (len(ARMS) - 1)
    assert not {wire.Prepare, wire.WarmUp} & set(kinds[2 * len(ARMS) - 1 :])


def test_an_arm_without_a_choice_is_not_warmed_again(workplace: PretendedWorkplace) -> None:
    """Of the others it is noted what they chose."""
    chosen = measure(workplace)[0].chosen
    assert chosen == {arm: ("the only one",) if arm == VENDOR else (f"config of {arm}",) for arm in ARMS}
    warmed = {contestant.name for contestant, request in workplace.log if isinstance(request, wire.WarmUp)}
    assert warmed == set(ARMS) - {VENDOR}


def test_a_stranger_on_the_gpu_ends_the_timing_at_once(
    workplace: PretendedWorkplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was timed beside it says nothing; all processes are ended."""
    crowd = Health(sm_clock_mhz=1, temperature_c=1, throttled=(), foreign_processes=2)
    monkeypatch.setattr(timing, "read_health", lambda *_: crowd)
    with pytest.raises(GpuError, match="2 other processes were on NVIDIA Test") as caught:
        measure(workplace)
    assert caught.value.reason == "gpu-shared"
    assert all(contestant.closed for contestant in workplace.started)


def test_tensors_are_released_by_all_arms_before_any_takes_its_own_anew(
    workplace: PretendedWorkplace,
) -> None:
    """A new layout is drawn every other block, out of memory that all have given back."""
    measure(workplace)
    kinds = [type(request) for _, request in workplace.log]
    places = [index for index, kind in enumerate(kinds) if kind is wire.PlaceTensors]
    arms, rounds = len(ARMS), PERFORMANCE.blocks // timing.BLOCKS_A_PLACE
    assert len(places) == arms * rounds * PERFORMANCE.looks[0]
    for first in places[::arms]:
        assert kinds[first - arms : first] == [wire.ReleaseTensors] * arms


def test_every_timed_answer_of_the_candidate_is_fetched(workplace: PretendedWorkplace) -> None:
    """Right after each of its samples, at other places each time; no other arm's is."""
    for measured in measure(workplace):
        samples = [sample for sample in measured.samples if sample.arm == CANDIDATE]
        assert [answer.contents for answer in measured.answers] == [
            sample.seed + call for sample in samples for call in range(PERFORMANCE.launches)
        ]
        assert all(answer.bits is not None for answer in measured.answers)
        assert len({answer.places for answer in measured.answers}) == len(samples)
    log = workplace.log
    for (before, asked), (contestant, request) in itertools.pairwise(log):
        timed = isinstance(asked, wire.TimeLaunches) and before.name == CANDIDATE
        assert isinstance(request, wire.SendAnswers) == timed
        assert not timed or contestant is before


def test_the_parameters_of_an_answer_are_those_it_was_timed_with(workplace: PretendedWorkplace) -> None:
    """They are drawn anew with each place in memory."""
    for measured in measure(workplace):
        by_place: dict[int, int] = {}
        for answer in measured.answers:
            by_place[answer.parameters] = by_place.get(answer.parameters, 0) + 1
        assert len(by_place) == PERFORMANCE.blocks // timing.BLOCKS_A_PLACE
        assert set(by_place.values()) == {timing.BLOCKS_A_PLACE * 2 * PERFORMANCE.launches}


def test_answers_that_are_cut_short_are_no_answers(workplace: PretendedWorkplace) -> None:
    """A file with a word too few is not read at all."""
    workplace.missing_words = 1
    assert all(answer.bits is None for measured in measure(workplace) for answer in measured.answers)


@pytest.mark.parametrize("time_ms", [0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_times_that_cannot_be_are_a_fault_of_the_arm_that_sent_them(
    workplace: PretendedWorkplace, time_ms: float
) -> None:
    """Zero, negative, not a number, or longer than the judge waited."""
    workplace.time_ms = time_ms
    with pytest.raises(ContestantFault) as caught:
        measure(workplace)
    assert caught.value.kind == "timer"
    assert caught.value.contestant in ARMS
    assert all(contestant.closed for contestant in workplace.started)


def test_the_judge_itself_is_not_counted_as_a_stranger_on_the_gpu(
    workplace: PretendedWorkplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds a context of its own since the correctness stage."""
    seen: list[set[int]] = []

    def note(_gpu: Gpu, own_pids: set[int]) -> Health:
        seen.append(own_pids)
        return Health(sm_clock_mhz=None, temperature_c=None, throttled=(), foreign_processes=None)

    monkeypatch.setattr(timing, "read_health", note)
    measure(workplace)
    assert all(os.getpid() in own_pids for own_pids in seen)


def test_the_gpu_is_read_while_the_kernels_of_an_arm_run(
    workplace: PretendedWorkplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a block, between a request and its answer, and under every arm."""
    idle = Health(sm_clock_mhz=1, temperature_c=1, throttled=(), foreign_processes=0)
    under: list[str] = []

    def note(_gpu: Gpu, _own: set[int]) -> Health:
        contestant, request = workplace.log[-1]
        assert isinstance(request, wire.TimeLaunches)
        under.append(contestant.name)
        return idle

    monkeypatch.setattr(timing, "read_health", note)
    read = [reading.arm for measured in measure(workplace) for reading in measured.readings]
    assert read == under
    assert set(read) == set(ARMS)


def test_code_is_moved_right_before_every_sample(workplace: PretendedWorkplace) -> None:
    """The call that loads it is not among those that are timed."""
    measure(workplace)
    log = workplace.log
    timed = [index for index, (_, request) in enumerate(log) if isinstance(request, wire.TimeLaunches)]
    assert timed
    for index in timed:
        assert isinstance(log[index - 1][1], wire.MoveCode)
        assert log[index - 1][0] is log[index][0]


def test_replicates_are_added_until_a_look_decides(workplace: PretendedWorkplace) -> None:
    """The question is asked at the looks alone; after the last there are no more."""
    settings = msgspec.structs.replace(PERFORMANCE, looks=(4, 6, 7))
    for decides_at, asked_at in ((4, [4]), (6, [4, 6]), (None, [4, 6, 7])):
        asked: list[int] = []

        def is_decided(so_far: Sequence[Measured], at: int | None = decides_at) -> bool:
            asked.append(len(so_far))  # noqa: B023 - called before the next turn
            return len(so_far) == at

        measured = measure(workplace, settings, is_decided)
        assert asked == asked_at
        assert len(measured) == asked_at[-1]
        assert all(contestant.closed for contestant in workplace.started)
