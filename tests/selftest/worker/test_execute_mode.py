"""The worker's side of timing, on tensors that only look like a GPU's."""

import importlib
import math
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from kernelgate import protocol
from kernelgate.execution.cards import ADA
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.draws import timing_tensors
from kernelgate.operations.truth.truth import truth_everywhere
from kernelgate.protocol import FailureKind
from kernelgate.worker.execute import choice, timing
from kernelgate.worker.execute.arms import TimedArm
from kernelgate.worker.execute.mode import ExecuteMode
from kernelgate.worker.failures import describe_failure
from kernelgate.worker.fake_cuda.tensors import PretendedGpu

BATCH, LAUNCHES = 2, 3


class PretendedEvent:
    """Stands a millisecond after the one before it."""

    now = 0.0

    def record(self) -> None:
        PretendedEvent.now += 1.0
        self.at = PretendedEvent.now

    def elapsed_time(self, later: "PretendedEvent") -> float:
        return later.at - self.at


class Followed:
    """The vendor's arm, whose calls another function has the last word on."""

    def __init__(self, arm: TimedArm, last: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self.arm, self.last = arm, last

    def __getattr__(self, name: str) -> Any:
        return getattr(self.arm, name)

    def call(self, number: int) -> torch.Tensor:
        """Return what the other function makes of the answer."""
        return self.last(self.arm.call(number))


def follow(mode: ExecuteMode, last: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Let a function have the last word on every call from here on."""
    mode.answer(protocol.ReleaseTensors())
    mode.arm = mode.timing.arm = Followed(mode.arm, last)


@pytest.fixture
def mode(monkeypatch: pytest.MonkeyPatch) -> Iterator[ExecuteMode]:
    """Return mode `execute` with the vendor arm loaded, on the CPU."""
    importlib.import_module("torch._dynamo")  # whose imports would meet what is pretended here
    generator = torch.Generator
    monkeypatch.setattr(timing, "_event", PretendedEvent)
    monkeypatch.setattr(timing, "_hold_gpu", lambda _cycles: None)
    monkeypatch.setattr(choice, "FLUSH_BYTES", 64)
    monkeypatch.setattr(timing_tensors, "Generator", lambda *_: generator())
    properties = SimpleNamespace(total_memory=2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda *_: properties)
    for name in ("set_per_process_memory_fraction", "synchronize", "empty_cache"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: None)
    with PretendedGpu():
        mode = ExecuteMode()
        mode.answer(protocol.LoadPlans(operation="alexnet_conv1", gpu_memory_bytes=2**20))
        yield mode


def place(mode: ExecuteMode, seed: int) -> None:
    request = protocol.PlaceTensors(batch=BATCH, seed=seed, launches=LAUNCHES, flush_bytes=64, pad_bytes=8)
    assert isinstance(mode.answer(request), protocol.Done)


def test_a_replicate_of_requests_is_answered_in_order(mode: ExecuteMode) -> None:
    """Prepare, warm up, release, place, move the code, time: as the judge asks."""
    assert mode.answer(protocol.Prepare(batch=BATCH)) == protocol.Warm(chosen=0)
    assert mode.answer(protocol.WarmUp(batch=BATCH)) == protocol.Warm(chosen=0, times_ms=(1.0,))
    assert isinstance(mode.answer(protocol.ReleaseTensors()), protocol.Done)
    place(mode, seed=1)
    assert isinstance(mode.answer(protocol.MoveCode()), protocol.Done)
    timed = mode.answer(protocol.TimeLaunches(seed=0, launches=LAUNCHES))
    assert timed == protocol.Timed(times_ms=(1.0, 1.0, 1.0))


def test_every_call_is_made_on_noise_of_the_batch_asked_for(mode: ExecuteMode) -> None:
    """Timed or not: zeros draw less power, other batches run other programs."""
    seen: list[tuple[int, float]] = []

    def note(out: torch.Tensor) -> torch.Tensor:
        x = mode.arm.tensors["x"]  # type: ignore[attr-defined]
        seen.append((x.shape[0], float(x.std())))
        return out

    follow(mode, note)
    mode.answer(protocol.Prepare(batch=BATCH))
    mode.answer(protocol.WarmUp(batch=BATCH))
    place(mode, seed=1)
    mode.answer(protocol.MoveCode())
    mode.answer(protocol.TimeLaunches(seed=0, launches=LAUNCHES))
    assert len(seen) == 1 + 3 * choice.LAUNCHES + 1 + 1 + LAUNCHES
    for batch, deviation in seen:
        scale = math.log2(deviation)
        assert batch == BATCH
        assert scale == pytest.approx(round(scale), abs=0.02), "a normal one, by a power of two"


def test_events_stand_round_the_call_alone(mode: ExecuteMode, monkeypatch: pytest.MonkeyPatch) -> None:
    """The input is filled and then the cache flushed before the first of them, once for each call."""
    steps: list[str] = []
    fill = timing.fill_batches

    def note(step: str) -> Callable[..., None]:
        return lambda *_: steps.append(step)

    def fill_and_note(*given: Any) -> None:
        steps.append("fill")
        fill(*given)

    def call_and_note(out: torch.Tensor) -> torch.Tensor:
        steps.append("call")
        return out

    follow(mode, call_and_note)
    place(mode, seed=1)
    steps.clear()
    mode.timing.flush = cast("Any", SimpleNamespace(zero_=note("flush")))
    monkeypatch.setattr(timing, "fill_batches", fill_and_note)
    monkeypatch.setattr(timing, "_hold_gpu", note("hold"))
    monkeypatch.setattr(PretendedEvent, "record", note("event"))
    monkeypatch.setattr(PretendedEvent, "elapsed_time", lambda *_: steps.append("read"))
    monkeypatch.setattr(torch.cuda, "synchronize", note("wait"))
    mode.answer(protocol.TimeLaunches(seed=0, launches=2))
    calls = ["fill", "flush", "event", "call", "event"] * 2
    assert steps == ["hold", *calls, "wait", "read", "read"]


@pytest.mark.parametrize(
    "request_",
    [protocol.Prepare(batch=BATCH), protocol.WarmUp(batch=BATCH), protocol.ReleaseTensors()],
    ids=lambda request: type(request).__name__,
)
def test_memory_is_given_back_to_the_driver(
    mode: ExecuteMode, monkeypatch: pytest.MonkeyPatch, request_: protocol.Request
) -> None:
    """All of it, so that every arm finds the same GPU: also what choosing and warming took."""
    place(mode, seed=1)
    mode.answer(protocol.TimeLaunches(seed=0, launches=LAUNCHES))
    left: list[int] = []
    monkeypatch.setattr(
        torch.cuda,
        "empty_cache",
        lambda: left.append(sum(t.numel() for t in (*mode.timing.free.values(), mode.timing.flush))),
    )
    mode.answer(request_)
    assert left == [0]
    assert mode.timing.outputs == []


def test_the_pad_is_held_while_the_tensors_are_taken(
    mode: ExecuteMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or they would lie where they lay before; afterwards it is free."""
    taken: list[weakref.ref[torch.Tensor]] = []
    held: list[bool] = []
    empty = torch.empty

    def take(*shape: Any, **options: Any) -> torch.Tensor:
        held.append(bool(taken) and taken[0]() is not None)
        tensor = empty(*shape, **options)
        taken.append(weakref.ref(tensor))
        return tensor

    monkeypatch.setattr(torch, "empty", take)
    request = protocol.PlaceTensors(batch=BATCH, seed=1, launches=LAUNCHES, flush_bytes=64, pad_bytes=8)
    mode.answer(request)
    assert len(held) == 3, "pad, x, and what flushes the cache"
    assert held == [False, True, True]
    assert taken[0]() is None


def test_the_gpu_is_held_until_every_call_of_a_sample_is_queued(
    mode: ExecuteMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the first would be timed with the host's delay in launching it."""
    held_at: list[float] = []
    monkeypatch.setattr(timing, "_hold_gpu", lambda _cycles: held_at.append(PretendedEvent.now))
    place(mode, seed=1)
    held_at.clear()
    before = PretendedEvent.now
    mode.answer(protocol.TimeLaunches(seed=0, launches=LAUNCHES))
    assert held_at == [before]


def test_the_answer_to_each_call_is_sent_at_the_places_asked_for(mode: ExecuteMode, tmp_path: Path) -> None:
    """On contents that no call before it had, made from the seeds that the judge knows."""
    place(mode, seed=7)
    mode.answer(protocol.MoveCode())
    mode.answer(protocol.TimeLaunches(seed=40, launches=LAUNCHES))
    out = tmp_path / "answers.f32"
    mode.answer(protocol.SendAnswers(seed=5, count=16, out=str(out)))
    sent = np.fromfile(out, dtype=np.float32).reshape(3, 16)
    parameters = timing_tensors.make_timing_parameters(ALEXNET_CONV1, 7)
    elements = int(np.prod(ALEXNET_CONV1.output_shape(BATCH)))
    offsets = timing_tensors.draw_offsets(elements, 16, 5)
    assert len(set(offsets.tolist())) > 1
    for call in range(3):
        tensors = timing_tensors.make_timing_batches(ALEXNET_CONV1, BATCH, 40 + call) | parameters
        exact = truth_everywhere(ALEXNET_CONV1, tensors).exact.flatten().cpu().numpy()
        np.testing.assert_allclose(sent[call], exact[offsets], rtol=0, atol=1e-5 * abs(exact).max())


def test_no_timed_call_waits_for_memory(mode: ExecuteMode) -> None:
    """Nor for anything that a process does for the first time: a call is made beforehand, untimed."""
    kept: list[int] = []

    def note(out: torch.Tensor) -> torch.Tensor:
        kept.append(1)
        return out

    follow(mode, note)
    before = PretendedEvent.now
    place(mode, seed=1)
    assert PretendedEvent.now == before + 2, "events were recorded too"
    assert len(kept) == 1
    assert mode.timing.outputs == []
    for _ in range(2):
        mode.answer(protocol.TimeLaunches(seed=0, launches=LAUNCHES))
        assert len(mode.timing.outputs) == LAUNCHES, "of the calls timed last"
    mode.answer(protocol.MoveCode())
    assert mode.timing.outputs == [], "the next request finds the same memory free"


def test_the_vendors_answers_have_memory_before_they_are_timed(
    mode: ExecuteMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as are kept at once: PyTorch's allocator has it back, and need not ask the driver."""
    shapes: list[tuple[int, ...]] = []
    empty = torch.empty_like

    def note(*args: Any, **kwargs: Any) -> torch.Tensor:
        made = empty(*args, **kwargs)
        shapes.append(tuple(made.shape))
        return made

    monkeypatch.setattr(torch, "empty_like", note)
    place(mode, seed=1)
    assert shapes.count(ALEXNET_CONV1.output_shape(BATCH)) == LAUNCHES


@pytest.mark.usefixtures("mode")
def test_parameters_are_noise_that_a_seed_makes_again() -> None:
    """Weight and bias both: what is multiplied by zero, or left out, would not show."""
    made = [timing_tensors.make_timing_parameters(ALEXNET_CONV1, seed).values() for seed in (1, 1, 2)]
    for tensor, again, other in zip(*made, strict=True):
        assert torch.equal(tensor, again)
        assert not torch.equal(tensor, other)
        assert float(tensor.std()) == pytest.approx(1.0, abs=0.3)


def test_an_answer_is_looked_at_all_over() -> None:
    """From its first element to its last, at the same places for the same seed."""
    offsets = timing_tensors.draw_offsets(1000, 20_000, 3)
    assert set(offsets.tolist()) == set(range(1000))
    assert np.array_equal(offsets, timing_tensors.draw_offsets(1000, 20_000, 3))
    assert not np.array_equal(offsets, timing_tensors.draw_offsets(1000, 20_000, 4))


def test_the_scale_of_x_is_a_power_of_two_that_the_seed_tells(mode: ExecuteMode) -> None:
    """Up to 2^40: half precision has no room for that."""
    deviations = [
        float(timing_tensors.make_timing_batches(ALEXNET_CONV1, BATCH, seed)["x"].std())
        for seed in (0, 20, 40, 41)
    ]
    assert deviations == pytest.approx([1.0, 2.0**20, 2.0**40, 1.0], rel=0.1)
    assert mode.answer(protocol.ReleaseTensors()) == protocol.Done()


def test_loading_leaves_the_gpu_alone(monkeypatch: pytest.MonkeyPatch, mode: ExecuteMode) -> None:
    """Another replicate may be timed on it; the first call takes no more of it than it may."""
    taken: list[float] = []
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", taken.append)
    fresh = ExecuteMode()
    fresh.answer(protocol.LoadPlans(operation="alexnet_conv1", gpu_memory_bytes=2**29))
    assert taken == []
    fresh.answer(protocol.ReleaseTensors())
    fresh.answer(protocol.ReleaseTensors())
    assert taken == [0.5]
    mode.answer(protocol.ReleaseTensors())
    assert taken == [0.5, 2**20 / 2**30]


def test_a_request_of_another_mode_is_refused(mode: ExecuteMode) -> None:
    """Compiling is not this mode's work."""
    with pytest.raises(ValueError, match="does not answer Record"):
        mode.answer(protocol.Record(batch=1, pin=0, card=ADA, folder=""))


@pytest.mark.parametrize(("others", "crowded"), [(0, False), (2**30 - 2**20, False), (2**30 - 2**19, True)])
def test_memory_that_was_promised_and_others_hold_is_missed(
    mode: ExecuteMode, monkeypatch: pytest.MonkeyPatch, others: int, crowded: bool
) -> None:
    """What the worker itself has taken is not others'; before it reaches the GPU it misses nothing."""
    taken = 2**18
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (2**30 - others - taken, 2**30))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: taken)
    assert not mode.is_crowded()
    mode.answer(protocol.ReleaseTensors())
    assert mode.is_crowded() is crowded
    error = torch.OutOfMemoryError("tried to allocate 8 GiB")
    failed = describe_failure(error, "", FailureKind.RAISES, mode.is_crowded)
    assert failed.kind == ("crowded" if crowded else "out-of-memory")


class Choosable:
    """An arm of three configurations, of which calls take one, three and two milliseconds by turns."""

    choices = 3

    def __init__(self) -> None:
        self.number = 0
        self.did: list[tuple[str, int]] = []

    def choose(self, number: int) -> None:
        """Take a configuration."""
        self.number = number
        self.did.append(("choose", number))

    def place(self, _inputs: object, calls: int) -> None:
        """Take note of the calls that there is room for."""
        self.did.append(("place", calls))

    def call(self, _number: int) -> torch.Tensor:
        """Take the configuration's time: the first call of a round is slow, whatever it is."""
        slow = 50.0 if self.did[-1][0] == "place" else 0.0
        self.did.append(("call", self.number))
        PretendedEvent.now += slow + (5.0, 1.0, 3.0)[self.number]
        return torch.empty(1)

    def release(self) -> None:
        """Take note of it."""
        self.did.append(("release", self.number))


@pytest.mark.usefixtures("mode")
def test_the_fastest_configuration_is_chosen() -> None:
    """By its median: the first call after a switch is slow, and says nothing."""
    arm: Any = Choosable()
    assert choice.choose_fastest(ALEXNET_CONV1, arm, BATCH, rounds=4) == [6.0, 2.0, 4.0]
    assert arm.did[-1] == ("choose", 1)
    turns = [number for what, number in arm.did if what == "choose"]
    assert turns == [0, 1, 2] * 4 + [1]


@pytest.mark.usefixtures("mode")
def test_every_configuration_is_called_before_any_is_chosen() -> None:
    """What cannot run has failed by then, and its memory is given back before the next takes its own."""
    arm: Any = Choosable()
    choice.try_each(ALEXNET_CONV1, arm, BATCH)
    each = [("choose", 0), ("place", 1), ("call", 0), ("release", 0)]
    assert arm.did == [(what, 1 if what == "place" else n) for n in range(3) for what, _ in each]
