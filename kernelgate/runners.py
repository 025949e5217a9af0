"""Running a kernel on one case, in the interpreter or on a GPU; after a fault in a fresh contestant."""

import os
import random
import stat
import struct
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from kernelgate import wire
from kernelgate.candidate import KernelFile
from kernelgate.cases import Case, Inputs
from kernelgate.contestant import Contestant, ContestantFault
from kernelgate.workplace import Workplace

FLOAT32_BYTES = 4
DAMAGE = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)
"""What the judge meets where a contestant has been at the judge's own files; a full disk is none of it."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What came back for one case: `bits` are the output's float32 patterns, flat, None for another type."""

    ran: wire.Ran
    bits: NDArray[np.uint32] | None
    poison_bits: int


class Runner:
    """Runs cases of one kernel file, one at a time."""

    def __init__(self, workplace: Workplace, kernel: KernelFile, mode: Literal["interpret", "gpu"]) -> None:
        self.workplace, self.kernel, self.mode = workplace, kernel, mode
        self._contestant: Contestant | None = None

    def run(self, case: Case, inputs: Inputs) -> Run:
        """Return what the kernel makes of the inputs; after a ContestantFault the next run starts afresh."""
        contestant, self._contestant = self._contestant or self._start(), None
        try:
            finished = self._ask(contestant, case, inputs)
        except BaseException:
            contestant.close()
            raise
        self._contestant = contestant
        return finished

    def _ask(self, contestant: Contestant, case: Case, inputs: Inputs) -> Run:
        out = contestant.folder / "out.f32"
        poison_bits = draw_poison(case.seed)
        request = wire.RunOne(
            batch=case.batch,
            pin=case.pin,
            poison_bits=poison_bits,
            programs=case.programs,
            seed=case.seed,
            x=self._write("x", inputs.x),
            weight=self._write("weight", inputs.weight),
            bias=self._write("bias", inputs.bias),
            out=str(out),
        )
        ran = contestant.ask(request, wire.Ran, self.workplace.limits.run_timeout_s)
        bits = self._read(out, self.workplace.operation.output_shape(case.batch)) if _is_output(ran) else None
        return Run(ran=ran, bits=bits, poison_bits=poison_bits)

    def close(self) -> None:
        """End the contestant, if one runs."""
        if self._contestant is not None:
            self._contestant.close()
            self._contestant = None

    def _start(self) -> Contestant:
        contestant = self.workplace.start(self.mode, self.kernel)
        self.workplace.await_loaded(contestant)
        return contestant

    def _write(self, name: str, values: Tensor) -> str:
        file = self.workplace.root / f"{name}.f32"
        try:
            # Made anew: the last contestant may have left a link there, or a FIFO that blocks in open.
            file.unlink(missing_ok=True)
            with file.open("xb") as stream:
                values.numpy().tofile(stream)
        except DAMAGE as error:
            raise ContestantFault("protocol", f"damaged the scratch folder: {error}") from error
        return str(file)

    def _read(self, file: Path, shape: tuple[int, ...]) -> NDArray[np.uint32] | None:
        try:
            return read_words(file, int(np.prod(shape)))
        except OSError as error:
            raise ContestantFault("protocol", f"left no readable output: {error}") from error


def read_words(file: Path, count: int) -> NDArray[np.uint32] | None:
    """Return the 32-bit words of a file that a contestant wrote, None if it has not exactly that many.

    A link or a device in its place is not followed.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size != count * FLOAT32_BYTES:
            return None
        words = np.fromfile(stream, dtype=np.uint32, count=count)
    return words if words.size == count else None  # it may have been cut short since


def draw_poison(seed: int) -> int:
    """Return the float32 bit pattern that fills unwritten memory: a NaN, an Inf or a plausible value.

    It differs from call to call: a kernel that computes only where it sees NaN has existed.
    """
    chance = random.Random(seed)  # noqa: S311 - replayable, not secret
    kind = chance.choice(("nan", "inf", "plausible"))
    if kind == "nan":
        return 0x7FC00000 | chance.randrange(1, 1 << 22)
    value = float("inf") if kind == "inf" else chance.gauss(0, 10)
    return int(struct.unpack("<I", struct.pack("<f", value))[0])


def _is_output(ran: wire.Ran) -> bool:
    return ran.returned == "Tensor" and ran.dtype == "torch.float32"
