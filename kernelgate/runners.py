"""Calling a kernel on a recipe, in the interpreter or on a GPU; after a fault in a fresh contestant."""

import math
import os
import random
import struct
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kernelgate import wire
from kernelgate.candidate import KernelFile
from kernelgate.contestant import Contestant, ContestantFault
from kernelgate.foreign_file import ForeignFileError, open_foreign
from kernelgate.inputs import Recipe
from kernelgate.workplace import Workplace

WHOLE_TIMES_LONGER = 3
MAX_VALUES_SENT = 2**28
"""A gigabyte: larger answers are compared in some of their images."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a model, as `wire.RunOne` describes it; `images` are those to compare, all if empty.

    `number` counts the calls of a case: each finds unwritten memory poisoned in another way.
    """

    recipe: Recipe
    pin: int | None
    number: int = 0
    layout: str = "contiguous"
    model: int = 0
    same_storage: bool = False
    programs: int = 0
    sampled: tuple[str, ...] = ()
    images: tuple[int, ...] = ()


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What came back for one call.

    `bits` are float32 patterns of the output at the flat NCHW `offsets`; both None if it is no such tensor.
    """

    call: Call
    ran: wire.Ran
    bits: NDArray[np.uint32] | None
    offsets: NDArray[np.int64] | None
    poison_bits: int

    @property
    def ran_whole(self) -> bool:
        """Whether every program of every launch ran."""
        return all(launch.programs_run == launch.programs_total for launch in self.ran.launches)


class Runner:
    """Makes calls of one kernel file, one at a time."""

    def __init__(self, workplace: Workplace, kernel: KernelFile, mode: wire.Mode, gpu: str = "") -> None:
        self.workplace, self.kernel, self.mode, self.gpu = workplace, kernel, mode, gpu
        self._contestant: Contestant | None = None

    def run(self, call: Call) -> Run:
        """Return what the kernel makes of a call; after a ContestantFault the next run starts afresh."""
        contestant, self._contestant = self._contestant or self._start(), None
        try:
            finished = self._ask(contestant, call)
        except BaseException:
            contestant.close()
            raise
        self._contestant = contestant
        return finished

    def close(self) -> None:
        """End the contestant, if one runs: the next call is made of a fresh one."""
        if self._contestant is not None:
            self._contestant.close()
            self._contestant = None

    def _ask(self, contestant: Contestant, call: Call) -> Run:
        poison_bits = draw_poison(call.recipe.seed + call.number)
        request = wire.RunOne(
            recipe=call.recipe,
            layout=call.layout,
            pin=call.pin,
            poison_bits=poison_bits,
            model=call.model,
            same_storage=call.same_storage,
            programs=call.programs,
            sampled=call.sampled,
        )
        ran = contestant.ask(request, wire.Ran, self._timeout_s(call))
        if contestant.has_descendants():
            ran = msgspec.structs.replace(
                ran, delegated=(*ran.delegated, "a process that it started is still running")
            )
        shape = self.workplace.operation.output_shape(call.recipe.batch)
        if ran.returned != "Tensor" or ran.dtype != "torch.float32" or ran.shape != shape:
            return Run(call=call, ran=ran, bits=None, offsets=None, poison_bits=poison_bits)
        bits, offsets = self._fetch(contestant, call, shape)
        return Run(call=call, ran=ran, bits=bits, offsets=offsets, poison_bits=poison_bits)

    def _timeout_s(self, call: Call) -> float:
        """Return how long a call may take: every program of two images, interpreted, is no hang."""
        whole = self.mode == "interpret" and not call.programs
        return self.workplace.limits.run_timeout_s * (WHOLE_TIMES_LONGER if whole else 1)

    def _fetch(
        self, contestant: Contestant, call: Call, shape: tuple[int, ...]
    ) -> tuple[NDArray[np.uint32] | None, NDArray[np.int64] | None]:
        out, places = contestant.folder / "out.f32", contestant.folder / "places.i64"
        request = wire.SendRun(out=str(out), places=str(places), images=call.images)
        sent = contestant.ask(request, wire.Sent, self.workplace.limits.run_timeout_s)
        an_image, everything = math.prod(shape[1:]), math.prod(shape)
        try:
            if sent.whole:
                images = np.array(call.images or range(shape[0]), dtype=np.int64)
                everywhere = (images[:, None] * an_image + np.arange(an_image)).ravel()
                return _read_array(out, everywhere.size, np.uint32), everywhere
            if self.mode == "gpu" or sent.count > min(everything, MAX_VALUES_SENT):
                return None, None
            offsets = _read_array(places, sent.count, np.int64)
            if offsets is None or not _is_ascending(offsets, everything):
                return None, None
            return _read_array(out, sent.count, np.uint32), offsets
        except OSError as error:
            raise ContestantFault("protocol", f"left no readable output: {error}") from error

    def _start(self) -> Contestant:
        contestant = self.workplace.start(self.mode, self.kernel, gpu=self.gpu)
        self.workplace.await_loaded(contestant)
        return contestant


def read_words(file: Path, count: int) -> NDArray[np.uint32] | None:
    """Return the 32-bit words of a file that a contestant wrote, None if it has not exactly that many."""
    return _read_array(file, count, np.uint32)


def _read_array(file: Path, count: int, dtype: Any) -> NDArray[Any] | None:
    """Return the elements of a contestant's file, None if it has not exactly that many.

    A link or a device in its place is not followed.
    """
    try:
        with open_foreign(file) as stream:
            if os.fstat(stream.fileno()).st_size != count * np.dtype(dtype).itemsize:
                return None
            elements = np.fromfile(stream, dtype=dtype, count=count)
    except ForeignFileError:
        return None
    return elements if elements.size == count else None  # it may have been cut short since


def _is_ascending(offsets: NDArray[np.int64], end: int) -> bool:
    # Within bounds each of them, before they are subtracted: a difference may wrap around.
    inside = offsets.size > 0 and bool(offsets.min() >= 0 and offsets.max() < end)
    return inside and bool((np.diff(offsets) > 0).all())


def draw_poison(seed: int) -> int:
    """Return the float32 bit pattern that fills unwritten memory: a NaN, an Inf or a plausible value in turn.

    A kernel that computes only where it sees NaN has existed.
    """
    chance = random.Random(seed)  # noqa: S311 - replayable, not secret
    if seed % 3 == 0:
        return 0x7FC00000 | chance.randrange(1, 1 << 22)
    value = float("inf") if seed % 3 == 1 else chance.gauss(0, 10)
    return int(struct.unpack("<I", struct.pack("<f", value))[0])
