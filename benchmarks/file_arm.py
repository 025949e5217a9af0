"""The time of a kernel file's own calls beside that of its launch plan, in one process that holds both.

Only files of this repository are timed so: whoever imports a file in the process that times it must trust it.
"""

import importlib.util
import random
import statistics
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import torch
from triton.runtime.autotuner import Autotuner

from kernelgate import protocol
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.declaration.kernel_config import KernelConfig
from kernelgate.operations.draws.timing_tensors import (
    fill_batches,
    make_timing_batches,
    make_timing_parameters,
)
from kernelgate.operations.truth.reference import Tensors
from kernelgate.performance.samples import Arm
from kernelgate.performance.schedule import draw_orders
from kernelgate.worker.execute.arms import PlanArm, TimedArm
from kernelgate.worker.execute.timing import time_calls
from kernelgate.worker.model.kernel_model import describe_config

BLOCKS = 24
LAUNCHES = 6
FLUSH_BYTES = 2**28
FILE, PLAN = Arm.CANDIDATE, Arm.ACCEPTED


class FileArm:
    """A kernel file, called as a script would call it, in one configuration."""

    choices = 1

    def __init__(self, file: Path, config: KernelConfig | None) -> None:
        specification = importlib.util.spec_from_file_location(file.stem, file)
        assert specification is not None
        assert specification.loader is not None
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        for tuner in vars(module).values():
            if isinstance(tuner, Autotuner):
                tuner.configs = [each for each in tuner.configs if describe_config(each) == config]
        self.model: Any = module.ModelNew().cuda()

    def choose(self, _number: int) -> None:
        """There is no choice left."""

    def place(self, tensors: Tensors, _calls: int) -> None:
        """Give the model these parameters, and make a call."""
        self.x = tensors["x"]
        with torch.no_grad():
            self.model.conv1.weight.copy_(tensors["weight"])
            self.model.conv1.bias.copy_(tensors["bias"])
        self.call(0)

    def load_code(self) -> None:
        """Leave the code where Triton keeps it."""

    @torch.no_grad()
    def call(self, _number: int) -> torch.Tensor:
        """Return the answer of the file's own wrapper."""
        answer: torch.Tensor = self.model(self.x)
        return answer

    def release(self) -> None:
        """Forget x."""
        del self.x


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """Medians in milliseconds, and the mean of ln t(file) - ln t(plan), of one process."""

    file_ms: float
    plan_ms: float
    contrast: float


def time_both(file: str, call: protocol.PlannedCall, config: KernelConfig | None, seed: int) -> Times:
    """Return what both take, interleaved block by block, on the GPU held for the host."""
    torch.zeros(1, device="cuda")
    chance = random.Random(seed)  # noqa: S311 - replayable, not secret
    free = make_timing_batches(ALEXNET_CONV1, ALEXNET_CONV1.measured_batch, seed)
    tensors = free | make_timing_parameters(ALEXNET_CONV1, seed)
    renew = partial(fill_batches, ALEXNET_CONV1, free)
    flush = torch.empty(FLUSH_BYTES, dtype=torch.int8, device="cuda")
    arms: dict[str, TimedArm] = {FILE: FileArm(Path(file), config), PLAN: PlanArm([call])}
    for arm in arms.values():
        arm.place(tensors, LAUNCHES)
    contrasts: list[float] = []
    taken: dict[str, list[float]] = {FILE: [], PLAN: []}
    for order in draw_orders((FILE, PLAN), BLOCKS, chance):
        means: dict[str, list[float]] = {FILE: [], PLAN: []}
        for name in order:
            arms[name].load_code()
            arms[name].call(0)
            times, _ = time_calls(arms[name], renew, flush, chance.getrandbits(31), LAUNCHES)
            taken[name].extend(times)
            means[name].append(statistics.fmean(times))
        contrasts.append(_ln_ratio(means[FILE], means[PLAN]))
    return Times(
        file_ms=statistics.median(taken[FILE]),
        plan_ms=statistics.median(taken[PLAN]),
        contrast=statistics.fmean(contrasts),
    )


def _ln_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    return float(torch.log(torch.tensor(above)).mean() - torch.log(torch.tensor(below)).mean())
