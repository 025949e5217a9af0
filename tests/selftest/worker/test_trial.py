"""Calls of launch plans between guard bands, on the CPU, where launches write what a test tells them."""

import ctypes
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
import torch

from kernelgate import protocol
from kernelgate.correctness.case import EXPANDED, GREY, LAYOUTS
from kernelgate.execution.launch_plan import Launch
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.operations.draws.tensors import make_batches, make_parameters
from kernelgate.worker.execute import programs, steps, trial
from kernelgate.worker.execute.arena import ALIGNMENT, BAND_BYTES, Arena
from kernelgate.worker.execute.cuda_driver import Parameters
from kernelgate.worker.execute.trial import Trial
from kernelgate.worker.tensors.layouts import lay_out
from tests.selftest.support.made_up_plans import BATCH, OUT, X, make_launch, make_plan, write_plan
from tests.selftest.support.made_up_plans import Pointer as PointerTo

RECIPE = Recipe(family="normal", seed=3, batch=BATCH)
OUT_BYTES = 4 * BATCH * 96 * 55 * 55
POISON = 0x7FC00ABC
GIVEN = (X, 1, 2, OUT)
"""What the launch of these tests gets: x, weight, bias and the answer's memory."""

Writes = Callable[[list[int]], None]


def recipe_of(layout: str) -> Recipe:
    """Return the recipe: of one image for an expanded batch, of one channel for a grey one."""
    if layout == GREY:
        return msgspec.structs.replace(RECIPE, grey=True)
    return msgspec.structs.replace(RECIPE, pool=1) if layout == EXPANDED else RECIPE


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[Trial, protocol.Ran]]:
    """Give a function that runs a plan of one launch, which does `writes` with the addresses that it gets."""

    def run_one(writes: Writes, layout: str = "contiguous") -> tuple[Trial, protocol.Ran]:
        def launch(_program: object, launch: Launch, parameters: Parameters, _stream: int) -> None:
            pointers = (ctypes.c_void_p * len(launch.arguments)).from_address(parameters.address)
            writes([ctypes.c_uint64.from_address(each or 0).value for each in pointers])

        monkeypatch.setattr(programs, "load_program", lambda *_: object())
        monkeypatch.setattr(steps, "launch_program", launch)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda: SimpleNamespace(cuda_stream=0))
        monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
        monkeypatch.setattr(trial, "DEVICE", "cpu")
        monkeypatch.setattr(trial, "to_gpu", lambda values: values)
        like = lay_out(torch.empty(ALEXNET_CONV1.shape_of("x", BATCH), device="meta"), layout)
        plan = make_plan(steps=(make_launch(*(PointerTo(buffer=each) for each in GIVEN)),))
        sizes = {X: like.untyped_storage().nbytes()}
        buffers = tuple(
            type(each)(role=each.role, bytes=sizes.get(number, each.bytes), content=each.content)
            for number, each in enumerate(plan.buffers)
        )
        file = write_plan(make_plan(steps=plan.steps, buffers=buffers), tmp_path)
        request = protocol.RunPlan(
            plan=str(file), recipe=recipe_of(layout), layout=layout, poison_bits=POISON
        )
        tried = Trial(ALEXNET_CONV1)
        return tried, tried.run(request)

    return run_one


def fetch(tried: Trial, folder: Path, items: tuple[int, ...] = ()) -> np.ndarray:
    out = folder / "out.f32"
    sent = tried.send(protocol.SendRun(out=str(out), places="", items=items))
    values = np.fromfile(out, dtype=np.uint32)
    assert (sent.count, sent.whole) == (values.size, True)
    return values


def test_what_no_launch_writes_is_poison(
    run: Callable[..., tuple[Trial, protocol.Ran]], tmp_path: Path
) -> None:
    """In the bits that the judge has drawn; what is written stands in the answer."""
    tried, ran = run(lambda given: ctypes.memset(given[3] + 8, 0, 4))
    values = fetch(tried, tmp_path)
    assert values.size == OUT_BYTES // 4
    assert np.flatnonzero(values != POISON).tolist() == [2]
    assert values[2] == 0
    assert (ran.shape, ran.memory, ran.inputs_intact) == (ALEXNET_CONV1.output_shape(BATCH), (), True)
    assert [launch.kernel for launch in ran.launches] == ["compute"]
    assert [launch.ttir for launch in ran.launches] == [make_plan().programs[0].ttir]


def test_images_are_sent_as_asked_for(run: Callable[..., tuple[Trial, protocol.Ran]], tmp_path: Path) -> None:
    """In their order, and no others."""
    half = OUT_BYTES // BATCH

    def fill(given: list[int]) -> None:
        ctypes.memset(given[3], 1, half)
        ctypes.memset(given[3] + half, 2, half)

    tried, _ = run(fill)
    assert set(fetch(tried, tmp_path, (1,)).tolist()) == {0x02020202}
    assert set(fetch(tried, tmp_path, (0,)).tolist()) == {0x01010101}


@pytest.mark.parametrize("place", [-2, -BAND_BYTES + ALIGNMENT, OUT_BYTES, OUT_BYTES + BAND_BYTES - 2])
def test_what_is_written_beside_a_buffer_is_counted(
    run: Callable[..., tuple[Trial, protocol.Ran]], place: int
) -> None:
    """Right before or behind it, or as far from it as the bands reach."""
    _, ran = run(lambda given: ctypes.memset(given[3] + place, 0, 2))
    assert ran.memory == ("2 bytes outside the tensors were written",)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_an_input_that_is_written_is_seen(run: Callable[..., tuple[Trial, protocol.Ran]], which: int) -> None:
    """x, weight or bias, by one byte."""
    _, ran = run(lambda given: ctypes.memset(given[which] + 5, 0x55, 1))
    assert not ran.inputs_intact


@pytest.mark.parametrize("layout", LAYOUTS)
def test_x_lies_in_memory_as_its_layout_says(
    run: Callable[..., tuple[Trial, protocol.Ran]], layout: str
) -> None:
    """What a launch finds there are the bytes that a laid out x has, NaN beside it."""
    expected = lay_out(make_batches(ALEXNET_CONV1, recipe_of(layout))["x"], layout)
    flat = torch.empty(0, dtype=torch.uint8).set_(expected.untyped_storage())
    seen: list[bytes] = []
    _, ran = run(lambda given: seen.append(ctypes.string_at(given[0], flat.numel())), layout)
    here, there = (torch.frombuffer(bytearray(each), dtype=torch.float32) for each in (seen[0], flat.numpy()))
    assert torch.equal(here.nan_to_num(7.5), there.nan_to_num(7.5))
    assert ran.inputs_intact


def test_the_parameters_are_those_of_the_recipe(run: Callable[..., tuple[Trial, protocol.Ran]]) -> None:
    """Bit for bit."""
    made = make_parameters(ALEXNET_CONV1, RECIPE)
    weight, bias = made["weight"], made["bias"]
    seen: list[bytes] = []

    def read(given: list[int]) -> None:
        seen.extend((ctypes.string_at(given[1], weight.nbytes), ctypes.string_at(given[2], bias.nbytes)))

    run(read)
    assert seen == [weight.numpy().tobytes(), bias.numpy().tobytes()]


@pytest.mark.parametrize("sizes", [(), (1,), (3, 513, 512), (4096, 2)])
def test_buffers_of_an_arena_are_aligned_and_apart(sizes: tuple[int, ...]) -> None:
    """With a whole band before, between and behind them."""
    arena = Arena(sizes, "cpu")
    assert [each.numel() for each in arena.memory.buffers] == list(sizes)
    places = [each.storage_offset() for each in arena.memory.buffers]
    assert all(place % ALIGNMENT == 0 for place in places)
    ends = [0, *(place + size for place, size in zip(places, sizes, strict=True))]
    assert all(place - end >= BAND_BYTES for place, end in zip(places, ends, strict=False))
    assert arena.broken_bytes() == 0
