"""Calls of a kernel on recipes: what is asked, and what comes back."""

import math
import random
import struct
from collections.abc import Callable
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from kernelgate import protocol
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.declaration.ways import Way
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.operations.truth.places import Offsets
from kernelgate.sandbox.arrays import read_array
from kernelgate.sandbox.faults import FaultKind
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.worker_process import Worker, WorkerFault

MAX_VALUES_SENT = 2**28
"""A gigabyte: larger answers are compared in some of their items."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a model; `items` are those to compare, all if empty.

    Where programs are sampled, `covers` asks what the stores of all of them write together.
    `number` counts the calls of a case: each finds unwritten memory poisoned in another way. `way`, `model`
    and `same_storage` are for calls of the file itself, as `protocol.UseOne` describes them.
    """

    recipe: Recipe
    pin: int | None
    number: int = 0
    layout: str = "contiguous"
    way: Way = Way.PLAINLY
    model: int = 0
    same_storage: bool = False
    programs: int = 0
    sampled: tuple[str, ...] = ()
    items: tuple[int, ...] = ()
    covers: bool = False


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What came back for one call.

    `bits` are patterns of the output, as float32, at flat row-major `offsets`; both None if it is no such
    tensor.
    Of a call of the file itself `as_planned` says whether its launch plans give the same bits, and
    `left_running` whether a process that it started still runs.
    """

    call: Call
    ran: protocol.Ran
    bits: NDArray[np.uint32] | None
    offsets: Offsets | None
    poison_bits: int
    as_planned: bool | None = None
    left_running: bool = False

    @property
    def ran_whole(self) -> bool:
        """Whether every program of every launch ran."""
        return all(launch.programs_run == launch.programs_total for launch in self.ran.launches)


def nothing() -> None:
    """Do nothing meanwhile."""


class Caller(Protocol):
    """Makes calls of one kernel, one at a time; `interprets` says that it does without a GPU."""

    sandbox: Sandbox

    @property
    def interprets(self) -> bool:
        """Whether calls are made without a GPU."""

    def expect(self, call: Call) -> None:
        """Take note that the call will be made: what it needs may be made ready beforehand."""

    def run(self, call: Call, meanwhile: Callable[[], None] = nothing) -> Run:
        """Return what the kernel makes of a call, with other work done meanwhile.

        Raises WorkerFault, UnplannedError, and what that work raises.
        """

    def close(self) -> None:
        """End what runs for this caller: the next call is made afresh."""


def fetch_answer(
    sandbox: Sandbox, worker: Worker, call: Call, *, parts: bool
) -> tuple[NDArray[np.uint32] | None, Offsets | None]:
    """Return bits and offsets of the answer that a worker keeps, None for what is no such answer.

    `parts` says whether some of the values may come instead of all that was asked for.
    """
    shape = sandbox.operation.output_shape(call.recipe.batch)
    out, places = worker.folder / "out.f32", worker.folder / "places.i64"
    request = protocol.SendRun(out=str(out), places=str(places), items=call.items)
    sent = worker.ask(request, protocol.Sent, sandbox.limits.run_timeout_s)
    an_item, everything = math.prod(shape[1:]), math.prod(shape)
    try:
        if sent.whole:
            offsets = _offsets_of(call.items, an_item) if call.items else range(everything)
            return read_array(out, len(offsets), np.uint32), offsets
        if not parts or sent.count > min(everything, MAX_VALUES_SENT):
            return None, None
        if sent.count == 0:
            return np.empty(0, np.uint32), np.empty(0, np.int64)
        some = read_array(places, sent.count, np.int64)
        if some is None or not _is_ascending(some, everything):
            return None, None
        return read_array(out, sent.count, np.uint32), some
    except OSError as error:
        raise WorkerFault(FaultKind.PROTOCOL, f"left no readable output: {error}") from error


def _offsets_of(items: tuple[int, ...], an_item: int) -> NDArray[np.int64]:
    """Return the flat offsets of all elements of some items."""
    return (np.array(items, dtype=np.int64)[:, None] * an_item + np.arange(an_item)).ravel()


def _is_ascending(offsets: NDArray[np.int64], end: int) -> bool:
    # Within bounds each of them, before they are subtracted: a difference may wrap around.
    inside = offsets.size > 0 and bool(offsets.min() >= 0 and offsets.max() < end)
    return inside and bool((np.diff(offsets) > 0).all())


def read_poison(operation: Operation, word: int) -> int:
    """Return the float32 pattern that an unwritten element of the answer has, where memory holds the word.

    Of a bfloat16 answer two lie in it: the one in the upper half is looked for.
    """
    return word if operation.dtype == "float32" else word & 0xFFFF0000


def draw_poison(seed: int) -> int:
    """Return the float32 bit pattern that fills unwritten memory: a NaN, an Inf or a plausible value in turn.

    A kernel that computes only where it sees NaN has existed.
    """
    chance = random.Random(seed)  # noqa: S311 - replayable, not secret
    if seed % 3 == 0:
        return 0x7FC00000 | chance.randrange(1, 1 << 22)
    value = float("inf") if seed % 3 == 1 else chance.gauss(0, 10)
    return int(struct.unpack("<I", struct.pack("<f", value))[0])


def count_thinned(runs: list[Run]) -> tuple[int, int]:
    """Return the programs that ran, and all there are, of launches that were too slow for all."""
    thinned = [launch for run in runs for launch in run.ran.launches if launch.thinned]
    return sum(each.programs_run for each in thinned), sum(each.programs_total for each in thinned)
