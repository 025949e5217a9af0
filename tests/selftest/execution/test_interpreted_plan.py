"""Plans on the interpreter: moves of data as torch does them, memory that is filled as it is read."""

import resource
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from kernelgate.execution.interpreted_moves import TooLargeError
from kernelgate.execution.interpreted_plan import Given, InterpretedPlan
from kernelgate.execution.launch_plan import Buffer, Copy, Fill, LaunchPlan, Step, View
from kernelgate.execution.sampled_launch import Sampling
from kernelgate.interpreter.errors import CannotInterpretError
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from tests.selftest.support.executed_plan import execute
from tests.selftest.support.made_up_plans import COMPUTE, NAMES, PADDED, WEIGHT, X, make_plan, without_steps

MOVES = without_steps(make_plan(), COMPUTE)
POISON = 0x41200000
SIZES = {role: MOVES.buffers[number].bytes for number, role in enumerate(("x", "weight", "bias"))}
FILLED = {
    role: np.random.default_rng(size).standard_normal(size // 4).astype(np.float32).tobytes()
    for role, size in SIZES.items()
} | {NAMES["bin"]: bytes(range(64))}
SAMPLING = Sampling(operation=ALEXNET_CONV1, batch=2, seed=0)


def no_kernel(_ttir: str) -> Any:
    raise AssertionError


def make(plan: LaunchPlan) -> InterpretedPlan:
    given = {name: Given(content=np.frombuffer(content, np.uint8)) for name, content in FILLED.items()}
    return InterpretedPlan(plan, no_kernel, given, POISON)


def moved(*steps: Step, buffers: tuple[Buffer, ...] = MOVES.buffers) -> LaunchPlan:
    return make_plan(steps=steps, buffers=buffers, answer=whole_of(PADDED))


def whole_of(number: int, dtype: str = "float32", buffers: tuple[Buffer, ...] = MOVES.buffers) -> View:
    count = buffers[number].bytes // getattr(torch, dtype).itemsize
    return View(buffer=number, dtype=dtype, shape=(count,), strides=(1,))


def assert_as_torch(plan: LaunchPlan) -> None:
    """Assert that all memory is as torch leaves it, but for what nobody wrote."""
    call = make(plan)
    assert call.run(SAMPLING) == []
    expected = execute(plan.buffers, plan.steps, whole_of(plan.answer.buffer, "uint8"), FILLED)
    got = call.memory.read(call.answer, np.uint8)
    poison = np.resize(np.array([POISON], np.uint32).view(np.uint8), got.size)
    unwritten = (expected.numpy() == 0xFF) & (got == poison)
    assert (unwritten | (expected.numpy() == got)).all()
    assert not unwritten.all()


PART = View(buffer=PADDED, dtype="float32", shape=(5, 7), strides=(900, 3), offset=17)
HALVES = View(buffer=PADDED, dtype="float16", shape=(64,), strides=(2,), offset=3)
BFLOATS = msgspec.structs.replace(HALVES, dtype="bfloat16")
FLOATS = View(buffer=PADDED, dtype="float32", shape=(64,), strides=(1,), offset=5000)
X_PART = View(buffer=X, dtype="float32", shape=(5, 7), strides=(0, 11), offset=4)
STEPS: dict[str, tuple[Step, ...]] = {
    "as-planned": MOVES.steps,
    "fill-of-all": (Fill(target=whole_of(PADDED), value="-inf"),),
    "fill-of-all-as-bytes": (Fill(target=whole_of(PADDED, "uint8"), value=7),),
    "fill-of-all-again": (
        Fill(target=whole_of(PADDED), value=1.5),
        Fill(target=PART, value=2),
        Fill(target=whole_of(PADDED), value=0.0),
    ),
    "fill-of-a-part": (Fill(target=whole_of(PADDED), value=1.5), Fill(target=PART, value="nan")),
    "copy-of-a-part": (Copy(target=PART, source=X_PART),),
    "widened": (Fill(target=HALVES, value=0.1), Copy(target=FLOATS, source=HALVES)),
    "widened-bfloat16": (Fill(target=BFLOATS, value=0.1), Copy(target=FLOATS, source=BFLOATS)),
    "of-nothing": (
        Fill(target=PART, value=1),
        Copy(
            target=View(buffer=PADDED, dtype="float32", shape=(0,), strides=(1,)),
            source=View(buffer=X, dtype="float32", shape=(0,), strides=(1,)),
        ),
    ),
}


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS.keys())
def test_moves_are_done_as_torch_does_them(steps: tuple[Step, ...]) -> None:
    """By strides, to wider types, over each other."""
    assert_as_torch(moved(*steps))


def test_nothing_is_written_but_what_programs_write() -> None:
    """Moves own nothing; inputs are as they were given."""
    call = make(moved(*MOVES.steps))
    call.run(SAMPLING)
    assert call.inputs_intact()
    assert call.memory.written(call.answer).size == 0
    assert call.moves_answer()
    assert call.copied() == {"x", "weight"}


HUGE = tuple(
    msgspec.structs.replace(each, bytes=2**33) if number in (X, PADDED) else each
    for number, each in enumerate(MOVES.buffers)
)


def lazily(plan: LaunchPlan) -> InterpretedPlan:
    def fill(granule: int, into: np.ndarray) -> None:
        into.view(np.uint32)[:] = granule

    given = {"x": Given(fill=fill, granule=2**20)}
    return InterpretedPlan(plan, no_kernel, given, POISON)


def test_eight_gigabytes_are_filled_as_they_are_read() -> None:
    """By a fill of all of them, by what is given, and by poison."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    zeros = Fill(target=whole_of(PADDED, buffers=HUGE), value=0)
    call = lazily(moved(zeros, buffers=HUGE))
    unfilled = lazily(moved(buffers=HUGE))
    call.run(SAMPLING)
    last = np.array([2**31 - 1])
    assert call.memory.gather(call.answer, np.float32, last).tolist() == [0]
    assert call.memory.gather("x", np.uint32, last).tolist() == [2**13 - 1]
    assert unfilled.memory.gather(call.answer, np.uint32, last).tolist() == [POISON]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**18  # KiB


@pytest.mark.parametrize(
    "step",
    [
        lambda: Copy(target=whole_of(PADDED, buffers=HUGE), source=whole_of(X, buffers=HUGE)),
        lambda: Fill(target=View(buffer=PADDED, dtype="float32", shape=(2**30,), strides=(2,)), value=0),
    ],
    ids=["copy", "fill-of-every-second"],
)
def test_a_move_of_gigabytes_is_not_made(step: Callable[[], Step]) -> None:
    """It would fill memory that is there by its addresses only."""
    with pytest.raises(TooLargeError, match="all 8"):
        lazily(moved(step(), buffers=HUGE)).run(SAMPLING)


def test_a_weight_in_another_order_is_another_content() -> None:
    """What is given is what lies there, byte for byte."""
    call = make(moved(*MOVES.steps))
    assert call.memory.read(call.names[WEIGHT], np.uint8).tobytes() == FILLED["weight"]


@pytest.mark.parametrize("version", ["3.5.1", "3.8.0", "3", "unknown", ""])
def test_a_plan_of_a_triton_that_is_not_known_is_refused_by_its_version(version: str) -> None:
    """Its operations may mean something else."""
    with pytest.raises(CannotInterpretError, match=f"of Triton {version} cannot"):
        make(make_plan(triton=version))


@pytest.mark.parametrize("version", ["3.6.0", "3.7.1", "3.7.2+git0a1b2c3d"])
def test_plans_of_both_known_versions_are_interpreted(version: str) -> None:
    assert make(make_plan(triton=version)).plan.triton == version
