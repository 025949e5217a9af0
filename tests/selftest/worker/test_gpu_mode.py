"""The worker's side of timing, on tensors that only look like a GPU's."""

import importlib
import inspect
import math
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn
from triton.runtime.autotuner import Autotuner
from triton.runtime.errors import OutOfResources

from kernelgate import protocol
from kernelgate.execution.cards import ADA
from kernelgate.operations import timing_inputs
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.recipe import Recipe
from kernelgate.operations.reference import truth_everywhere
from kernelgate.worker.failures import describe_failure
from kernelgate.worker.fake_cuda.tensors import PretendedGpu
from kernelgate.worker.gpu import mode as gpu_mode
from kernelgate.worker.gpu.mode import GpuMode
from kernelgate.worker.model.kernel_model import KernelModel
from kernelgate.worker.watch.launches import Launches

BATCH, LAUNCHES = 2, 3


class PretendedStream:
    """Takes note of the streams that it waits for, and when."""

    def __init__(self) -> None:
        self.waited: list[tuple[object, float]] = []

    def wait_stream(self, other: object) -> None:
        self.waited.append((other, PretendedEvent.now))


MAIN = PretendedStream()


class PretendedEvent:
    """Stands a millisecond after the one before it."""

    now = 0.0

    def record(self) -> None:
        PretendedEvent.now += 1.0
        self.at = PretendedEvent.now

    def elapsed_time(self, later: "PretendedEvent") -> float:
        return later.at - self.at


class Followed(nn.Module):
    """A model whose output another function has the last word on."""

    def __init__(self, model: nn.Module, last: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.model, self.last = model, last

    def forward(self, x: torch.Tensor) -> Any:
        return self.last(self.model(x))


@pytest.fixture
def mode(monkeypatch: pytest.MonkeyPatch) -> Iterator[GpuMode]:
    """Return mode `gpu` with the vendor arm loaded, on the CPU."""
    importlib.import_module("torch._dynamo")  # whose imports would meet what is pretended here
    generator = torch.Generator
    monkeypatch.setattr(gpu_mode, "_event", PretendedEvent)
    monkeypatch.setattr(gpu_mode, "_current_stream", lambda: MAIN)
    monkeypatch.setattr(gpu_mode, "_hold_gpu", lambda _cycles: None)
    monkeypatch.setattr(timing_inputs.torch, "Generator", lambda *_: generator())
    properties = SimpleNamespace(total_memory=2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda *_: properties)
    for name in ("set_per_process_memory_fraction", "synchronize", "empty_cache"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: None)
    with PretendedGpu():
        mode = GpuMode()
        mode.answer(protocol.Load(operation="alexnet_conv1", file=None, gpu_memory_bytes=2**20))
        yield mode


def place(mode: GpuMode, seed: int) -> None:
    request = protocol.PlaceTensors(batch=BATCH, seed=seed, launches=LAUNCHES, flush_bytes=64, pad_bytes=8)
    assert isinstance(mode.answer(request), protocol.Done)


def test_a_replicate_of_requests_is_answered_in_order(mode: GpuMode) -> None:
    """Prepare, warm up, release, place, move the code, time: as the judge asks."""
    assert mode.answer(protocol.Prepare(batch=BATCH)) == protocol.Warm(chosen=("cuDNN, TF32 allowed",))
    assert mode.answer(protocol.WarmUp(batch=BATCH)) == protocol.Warm(chosen=("cuDNN, TF32 allowed",))
    assert isinstance(mode.answer(protocol.ReleaseTensors()), protocol.Done)
    place(mode, seed=1)
    assert isinstance(mode.answer(protocol.MoveCode()), protocol.Done)
    timed = mode.answer(protocol.TimeLaunches(seed=0, launches=LAUNCHES))
    assert timed == protocol.Timed(times_ms=(1.0, 1.0, 1.0))


class Watched(nn.Module):
    """A model that notes what it is called on."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.seen: list[tuple[int, float, bool]] = []

    def forward(self, x: torch.Tensor) -> Any:
        self.seen.append((x.shape[0], float(x.std()), torch.is_grad_enabled()))
        return self.model(x)


def test_every_call_is_made_on_noise_of_the_batch_asked_for(mode: GpuMode) -> None:
    """Timed or not: zeros draw less power, other batches run other programs, gradients take memory."""
    watched = mode.forward = Watched(mode.forward)
    mode.answer(protocol.Prepare(batch=BATCH))
    mode.answer(protocol.WarmUp(batch=BATCH))
    assert len(watched.seen) == 2
    place(mode, seed=1)
    mode.answer(protocol.MoveCode())
    mode.answer(protocol.TimeLaunches(seed=0, launches=LAUNCHES))
    assert len(watched.seen) == 2 + LAUNCHES + 1 + LAUNCHES
    for batch, deviation, differentiated in watched.seen:
        assert (batch, differentiated) == (BATCH, False)
        scale = math.log2(deviation)
        assert scale == pytest.approx(round(scale), abs=0.02), "a normal one, by a power of two"


def test_events_stand_round_the_call_alone(mode: GpuMode, monkeypatch: pytest.MonkeyPatch) -> None:
    """The input is filled and then the cache flushed before the first of them, once for each call."""
    steps: list[str] = []
    fill = gpu_mode.fill_timing_input

    def note(step: str) -> Callable[..., None]:
        return lambda *_: steps.append(step)

    def fill_and_note(x: torch.Tensor, seed: int) -> torch.Tensor:
        steps.append("fill")
        return fill(x, seed)

    def call_and_note(out: torch.Tensor) -> torch.Tensor:
        steps.append("call")
        return out

    place(mode, seed=1)
    mode.forward = Followed(mode.forward, call_and_note)
    mode.flush = cast("Any", SimpleNamespace(zero_=note("flush")))
    monkeypatch.setattr(gpu_mode, "fill_timing_input", fill_and_note)
    monkeypatch.setattr(gpu_mode, "_hold_gpu", note("hold"))
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
    mode: GpuMode, monkeypatch: pytest.MonkeyPatch, request_: protocol.Request
) -> None:
    """All of it, so that every arm finds the same GPU: also what choosing and warming took."""
    place(mode, seed=1)
    mode.answer(protocol.TimeLaunches(seed=0, launches=LAUNCHES))
    left: list[int] = []
    monkeypatch.setattr(
        torch.cuda, "empty_cache", lambda: left.append(sum(t.numel() for t in (mode.x, mode.flush)))
    )
    mode.answer(request_)
    assert left == [0]
    assert mode.outputs == []


def test_the_pad_is_held_while_the_tensors_are_taken(mode: GpuMode, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert len(held) == 3, "pad, x and what flushes the cache"
    assert held == [False, True, True]
    assert taken[0]() is None


def test_the_gpu_is_held_until_every_call_of_a_sample_is_queued(
    mode: GpuMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the first would be timed with the host's delay in launching it."""
    held_at: list[float] = []
    monkeypatch.setattr(gpu_mode, "_hold_gpu", lambda _cycles: held_at.append(PretendedEvent.now))
    place(mode, seed=1)
    held_at.clear()
    before = PretendedEvent.now
    mode.answer(protocol.TimeLaunches(seed=0, launches=LAUNCHES))
    assert held_at == [before]


def test_calls_that_are_watched_are_made_as_timed_ones_are(mode: GpuMode) -> None:
    """On contents of their own, at the same depth of the stack; the vendor's arm is never watched."""
    place(mode, seed=1)
    request = protocol.WatchLaunches(seed=40, launches=LAUNCHES)
    with pytest.raises(ValueError, match="vendor arm"):
        mode.answer(request)
    mode.launches = Launches(lambda: MAIN)
    depths: list[int] = []

    def note_depth(out: torch.Tensor) -> torch.Tensor:
        depths.append(len(inspect.stack()))
        return out

    mode.forward = Followed(mode.forward, note_depth)
    mode.answer(protocol.TimeLaunches(seed=40, launches=LAUNCHES))
    timed = mode.outputs
    watched = mode.answer(request)
    assert isinstance(watched, protocol.Watched)
    assert watched.delegated[0] == "PyTorch computed aten.convolution", "the vendor's arm is PyTorch's"
    assert len(watched.delegated) == len(set(watched.delegated)) < LAUNCHES * 2
    assert all(torch.equal(one, other) for one, other in zip(timed, mode.outputs, strict=True))
    assert len(depths) == 2 * LAUNCHES
    assert len(set(depths)) == 1


def test_moving_the_code_unloads_what_was_loaded(mode: GpuMode) -> None:
    """So that the call that follows loads it elsewhere."""
    place(mode, seed=1)
    order: list[str] = []
    launches: Any = SimpleNamespace(unload=lambda: order.append("unload"), streams=set())
    mode.launches = launches
    mode.forward = Followed(mode.forward, lambda out: order.append("call") or out)
    mode.answer(protocol.MoveCode())
    assert order == ["unload", "call"]


def test_the_answer_to_each_call_is_sent_at_the_places_asked_for(mode: GpuMode, tmp_path: Path) -> None:
    """On contents that no call before it had, made from the seeds that the judge knows."""
    place(mode, seed=7)
    mode.answer(protocol.MoveCode())
    mode.answer(protocol.TimeLaunches(seed=40, launches=LAUNCHES))
    out = tmp_path / "answers.f32"
    mode.answer(protocol.SendAnswers(seed=5, count=16, out=str(out)))
    sent = np.fromfile(out, dtype=np.float32).reshape(3, 16)
    weight, bias = timing_inputs.make_timing_parameters(ALEXNET_CONV1, 7)
    elements = int(np.prod(ALEXNET_CONV1.output_shape(BATCH)))
    offsets = timing_inputs.draw_offsets(elements, 16, 5)
    assert len(set(offsets.tolist())) > 1
    for call in range(3):
        x = timing_inputs.fill_timing_input(torch.empty(ALEXNET_CONV1.input_shape(BATCH)), 40 + call)
        inputs: Any = SimpleNamespace(x=x, weight=weight, bias=bias)
        exact = truth_everywhere(ALEXNET_CONV1, inputs).exact.flatten().cpu().numpy()
        np.testing.assert_allclose(sent[call], exact[offsets], rtol=0, atol=1e-5 * abs(exact).max())


@pytest.mark.parametrize("call", [0, 1])
@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda out: out.half(), "float16"),
        (lambda out: out[:1], r"\(1, 96, 55, 55\)"),
        (lambda out: out.contiguous(memory_format=torch.channels_last), "strides"),
        (lambda out: [out], "a list"),
    ],
)
def test_a_timed_answer_of_another_form_is_refused(
    mode: GpuMode, tmp_path: Path, spoil: Callable[[torch.Tensor], Any], what: str, call: int
) -> None:
    """It may have been faster to make; one of them is enough."""
    place(mode, seed=7)
    returned: list[Any] = []

    def spoil_one(out: torch.Tensor) -> Any:
        returned.append(spoil(out) if len(returned) == call else out)
        return returned[-1]

    mode.forward = Followed(mode.forward, spoil_one)
    mode.answer(protocol.TimeLaunches(seed=0, launches=2))
    with pytest.raises((TypeError, ValueError), match=what):
        mode.answer(protocol.SendAnswers(seed=5, count=16, out=str(tmp_path / "answers.f32")))


def test_no_timed_call_waits_for_memory(mode: GpuMode) -> None:
    """Nor for anything that a process does for the first time: the same calls are made beforehand."""
    kept: list[int] = []

    def note(out: torch.Tensor) -> torch.Tensor:
        kept.append(1)
        return out

    mode.forward = Followed(mode.forward, note)
    before = PretendedEvent.now
    place(mode, seed=1)
    assert PretendedEvent.now == before + 2 * LAUNCHES, "events were recorded too"
    assert len(kept) == LAUNCHES
    assert mode.outputs == []
    for _ in range(2):
        mode.answer(protocol.TimeLaunches(seed=0, launches=LAUNCHES))
        assert len(mode.outputs) == LAUNCHES, "of the calls timed last"
    mode.answer(protocol.MoveCode())
    assert mode.outputs == [], "the next request finds the same memory free"


class PretendedKernel:
    """A kernel file whose second of three configurations is too large for the GPU."""

    def __init__(self) -> None:
        self.pins, self.pin, self.called = 3, 0, [0, 0, 0]

    @contextmanager
    def pinned(self, pin: int) -> Iterator[None]:
        self.pin = pin
        yield

    def call(self, out: torch.Tensor) -> torch.Tensor:
        self.called[self.pin] += 1
        if self.pin == 1:
            raise OutOfResources(101_000, 99_000, "shared memory")
        return out

    def chosen(self) -> tuple[str, ...]:
        return (f"pin {self.pin}",)


def test_every_configuration_is_loaded_before_any_is_chosen(mode: GpuMode) -> None:
    """One that is too large for this GPU is passed over, as by the autotuner; another error is not."""
    kernel = PretendedKernel()
    mode.forward, mode.kernel = Followed(mode.forward, kernel.call), cast("Any", kernel)
    assert mode.answer(protocol.Prepare(batch=BATCH)) == protocol.Warm(chosen=())
    assert kernel.called == [1, 1, 1]
    mode.forward = Followed(mode.forward, lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        mode.answer(protocol.Prepare(batch=BATCH))


def test_a_kernel_without_a_choice_is_warm_once_it_is_prepared(mode: GpuMode) -> None:
    """What it runs is told at once."""
    kernel = PretendedKernel()
    kernel.pins = 1
    mode.forward, mode.kernel = Followed(mode.forward, kernel.call), cast("Any", kernel)
    assert mode.answer(protocol.Prepare(batch=BATCH)) == protocol.Warm(chosen=("pin 0",))


@pytest.mark.parametrize(("choices", "pins"), [((), 1), ((1,), 1), ((2, 3), 3), ((3, 1), 3)])
def test_every_configuration_of_every_autotuner_has_a_pin(choices: tuple[int, ...], pins: int) -> None:
    """A file of several autotuners is loaded whole; one of none is called once."""
    kernel = KernelModel.__new__(KernelModel)
    kernel.autotuners = [SimpleNamespace(configs=list(range(count)), cache={}) for count in choices]
    assert kernel.pins == pins
    seen: list[set[int]] = [set() for _ in choices]
    for pin in range(kernel.pins):
        with kernel.pinned(pin):
            for tuner, fastest in zip(kernel.autotuners, seen, strict=True):
                fastest.add(min(tuner.configs, key=lambda each: Autotuner._bench(tuner, config=each)))
    assert seen == [set(range(count)) for count in choices]


@pytest.mark.usefixtures("mode")
def test_parameters_are_noise_that_a_seed_makes_again() -> None:
    """Weight and bias both: what is multiplied by zero, or left out, would not show."""
    made = [timing_inputs.make_timing_parameters(ALEXNET_CONV1, seed) for seed in (1, 1, 2)]
    for tensor, again, other in zip(*made, strict=True):
        assert torch.equal(tensor, again)
        assert not torch.equal(tensor, other)
        assert float(tensor.std()) == pytest.approx(1.0, abs=0.3)


def test_an_answer_is_looked_at_all_over() -> None:
    """From its first element to its last, at the same places for the same seed."""
    offsets = timing_inputs.draw_offsets(1000, 20_000, 3)
    assert set(offsets.tolist()) == set(range(1000))
    assert np.array_equal(offsets, timing_inputs.draw_offsets(1000, 20_000, 3))
    assert not np.array_equal(offsets, timing_inputs.draw_offsets(1000, 20_000, 4))


def test_work_on_other_streams_is_within_the_events(mode: GpuMode) -> None:
    """Each stream that a launch was seen on is waited for between the two events of a call."""
    aside = PretendedStream()
    place(mode, seed=1)
    assert MAIN.waited == []
    mode.launches = Launches(lambda: MAIN)
    mode.launches.streams = {MAIN, aside}
    before = PretendedEvent.now
    mode.answer(protocol.TimeLaunches(seed=0, launches=LAUNCHES))
    ours = [(aside, before + 2 * call + 1) for call in range(LAUNCHES)]
    assert MAIN.waited == ours


def test_the_scale_of_x_is_a_power_of_two_that_the_seed_tells(mode: GpuMode) -> None:
    """Up to 2^40: half precision has no room for that."""
    x = torch.empty(1000)
    deviations = [float(timing_inputs.fill_timing_input(x, seed).std()) for seed in (0, 20, 40, 41)]
    assert deviations == pytest.approx([1.0, 2.0**20, 2.0**40, 1.0], rel=0.1)
    assert mode.x is not x


def test_loading_leaves_the_gpu_alone(monkeypatch: pytest.MonkeyPatch, mode: GpuMode) -> None:
    """Another replicate may be timed on it; the first call takes no more of it than it may."""
    taken: list[float] = []
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", taken.append)
    fresh = GpuMode()
    fresh.answer(protocol.Load(operation="alexnet_conv1", file=None, gpu_memory_bytes=2**29))
    assert taken == []
    fresh.answer(protocol.ReleaseTensors())
    fresh.answer(protocol.ReleaseTensors())
    assert taken == [0.5]
    mode.answer(protocol.ReleaseTensors())
    assert taken == [0.5, 2**20 / 2**30]


def test_the_vendor_arm_is_timed_and_not_judged(mode: GpuMode) -> None:
    """It is what answers are compared with."""
    recipe = Recipe(family="normal", seed=1, batch=1)
    with pytest.raises(ValueError, match="not judged"):
        mode.answer(protocol.RunOne(recipe=recipe, layout="contiguous", pin=0, poison_bits=0))


def test_a_request_of_another_mode_is_refused(mode: GpuMode) -> None:
    """Compiling is not this mode's work."""
    with pytest.raises(ValueError, match="does not answer Record"):
        mode.answer(protocol.Record(batch=1, pin=0, card=ADA, folder=""))


@pytest.mark.parametrize(("others", "crowded"), [(0, False), (2**30 - 2**20, False), (2**30 - 2**19, True)])
def test_memory_that_was_promised_and_others_hold_is_missed(
    mode: GpuMode, monkeypatch: pytest.MonkeyPatch, others: int, crowded: bool
) -> None:
    """What the worker itself has taken is not others'; before it reaches the GPU it misses nothing."""
    taken = 2**18
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (2**30 - others - taken, 2**30))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: taken)
    assert not mode.is_crowded()
    mode.answer(protocol.ReleaseTensors())
    assert mode.is_crowded() is crowded
    error = torch.OutOfMemoryError("tried to allocate 8 GiB")
    failed = describe_failure(error, "", protocol.FailureKind.RAISES, mode.is_crowded)
    assert failed.kind == ("crowded" if crowded else "out-of-memory")
