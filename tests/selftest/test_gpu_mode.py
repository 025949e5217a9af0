"""The contestant's side of timing, on tensors that only look like a GPU's."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from kernelgate import timing_inputs, wire
from kernelgate.child import gpu_mode
from kernelgate.child.gpu_mode import GpuMode
from kernelgate.child.lookalike import PretendedGpu
from kernelgate.child.program import _failure
from kernelgate.inputs import Recipe
from kernelgate.operations import ALEXNET_CONV1
from kernelgate.reference import truth_everywhere

BATCH = 2


class PretendedEvent:
    """Stands a millisecond after the one before it."""

    now = 0.0

    def record(self) -> None:
        PretendedEvent.now += 1.0
        self.at = PretendedEvent.now

    def elapsed_time(self, later: "PretendedEvent") -> float:
        return later.at - self.at


@pytest.fixture
def mode(monkeypatch: pytest.MonkeyPatch) -> Iterator[GpuMode]:
    """Return mode `gpu` with the vendor arm loaded, on the CPU."""
    generator = torch.Generator
    monkeypatch.setattr(gpu_mode, "_event", PretendedEvent)
    monkeypatch.setattr(gpu_mode, "_hold_gpu", lambda _cycles: None)
    monkeypatch.setattr(timing_inputs.torch, "Generator", lambda *_: generator())
    properties = SimpleNamespace(total_memory=2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda *_: properties)
    for name in ("set_per_process_memory_fraction", "synchronize", "empty_cache"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: None)
    with PretendedGpu():
        mode = GpuMode()
        mode.answer(wire.Load(operation="alexnet_conv1", file=None, gpu_memory_bytes=2**20))
        yield mode


def place(mode: GpuMode, seed: int) -> None:
    request = wire.PlaceTensors(batch=BATCH, seed=seed, flush_bytes=64, pad_bytes=8)
    assert isinstance(mode.answer(request), wire.Done)


def test_a_replicate_of_requests_is_answered_in_order(mode: GpuMode) -> None:
    """Release, warm up, place, move the code, time: as the judge asks."""
    assert isinstance(mode.answer(wire.ReleaseTensors()), wire.Done)
    assert mode.answer(wire.WarmUp(batch=BATCH)) == wire.Warm(chosen=("cuDNN, TF32 allowed",))
    place(mode, seed=1)
    assert isinstance(mode.answer(wire.MoveCode()), wire.Done)
    timed = mode.answer(wire.TimeLaunches(content=0, launches=3))
    assert timed == wire.Timed(times_ms=(1.0, 1.0, 1.0))


def test_the_gpu_is_held_until_every_call_of_a_sample_is_queued(
    mode: GpuMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the first would be timed with the host's delay in launching it."""
    held_at: list[float] = []
    monkeypatch.setattr(gpu_mode, "_hold_gpu", lambda _cycles: held_at.append(PretendedEvent.now))
    place(mode, seed=1)
    before = PretendedEvent.now
    mode.answer(wire.TimeLaunches(content=0, launches=3))
    assert held_at == [before]


@pytest.mark.parametrize(("content", "launches", "last"), [(0, 6, 1), (1, 6, 0), (1, 1, 1), (0, 3, 0)])
def test_the_answer_sent_is_that_of_the_call_timed_last(
    mode: GpuMode, tmp_path: Path, content: int, launches: int, last: int
) -> None:
    """On the contents that the judge works out, made from the seed that it knows."""
    place(mode, seed=7)
    mode.answer(wire.MoveCode())
    mode.answer(wire.TimeLaunches(content=content, launches=launches))
    out = tmp_path / "answer.f32"
    mode.answer(wire.SendAnswer(out=str(out)))
    contents = timing_inputs.make_timing_contents(ALEXNET_CONV1, BATCH, 7)
    weight, bias = timing_inputs.make_timing_parameters(ALEXNET_CONV1, 7)
    inputs: Any = SimpleNamespace(x=contents[last], weight=weight, bias=bias)
    exact = truth_everywhere(ALEXNET_CONV1, inputs).exact.cpu().numpy().astype(np.float32)
    np.testing.assert_allclose(np.fromfile(out, dtype=np.float32).reshape(exact.shape), exact, atol=1e-3)


def test_moving_the_code_unloads_every_kernel_that_was_launched(mode: GpuMode) -> None:
    """So that the next launch loads it elsewhere."""
    kernels = [SimpleNamespace(module=1, _run=1) for _ in range(3)]
    mode.launched = {
        1: SimpleNamespace(device_caches={0: ({"a": kernels[0], "b": kernels[1]}, {})}),
        2: SimpleNamespace(device_caches={0: ({"c": kernels[2]}, {})}),
    }
    place(mode, seed=1)
    mode.answer(wire.MoveCode())
    assert all(kernel.module is None and kernel._run is None for kernel in kernels)


def test_loading_leaves_the_gpu_alone(monkeypatch: pytest.MonkeyPatch, mode: GpuMode) -> None:
    """Another replicate may be timed on it; the first call takes no more of it than it may."""
    taken: list[float] = []
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", taken.append)
    fresh = GpuMode()
    fresh.answer(wire.Load(operation="alexnet_conv1", file=None, gpu_memory_bytes=2**29))
    assert taken == []
    fresh.answer(wire.ReleaseTensors())
    fresh.answer(wire.ReleaseTensors())
    assert taken == [0.5]
    mode.answer(wire.ReleaseTensors())
    assert taken == [0.5, 2**20 / 2**30]


def test_the_vendor_arm_is_timed_and_not_judged(mode: GpuMode) -> None:
    """It is what answers are compared with."""
    recipe = Recipe(family="normal", seed=1, batch=1)
    with pytest.raises(ValueError, match="not judged"):
        mode.answer(wire.RunOne(recipe=recipe, layout="contiguous", pin=0, poison_bits=0))


def test_a_request_of_another_mode_is_refused(mode: GpuMode) -> None:
    """Compiling is not this mode's work."""
    with pytest.raises(ValueError, match="does not answer CompileOne"):
        mode.answer(wire.CompileOne(batch=1, pin=0, capability=89))


@pytest.mark.parametrize(("others", "crowded"), [(0, False), (2**30 - 2**20, False), (2**30 - 2**19, True)])
def test_memory_that_was_promised_and_others_hold_is_missed(
    mode: GpuMode, monkeypatch: pytest.MonkeyPatch, others: int, crowded: bool
) -> None:
    """What the contestant itself has taken is not others'; before it reaches the GPU it misses nothing."""
    taken = 2**18
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (2**30 - others - taken, 2**30))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: taken)
    assert not mode.is_crowded()
    mode.answer(wire.ReleaseTensors())
    assert mode.is_crowded() is crowded
    failed = _failure(torch.OutOfMemoryError("tried to allocate 8 GiB"), mode)
    assert failed.kind == ("crowded" if crowded else "memory")
