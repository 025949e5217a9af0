"""A pool of recorded replicates: what the calls of each arm took, and the contrasts that decide."""

import lzma
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from kernelgate.measured import ACCEPTED, CONTROL, Measured
from kernelgate.samples import SamplesError, read_samples
from kernelgate.settings import PerformanceSettings

Floats = NDArray[np.float64]


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """`contrasts` holds ln t(arm) - ln t(accepted) of each replicate, `calls` the event times, in ms."""

    settings: PerformanceSettings
    contrasts: dict[str, Floats]
    calls: dict[str, Floats]
    seconds: Floats

    @property
    def replicates(self) -> int:
        """How many there are."""
        return len(self.contrasts[CONTROL])

    @property
    def arms(self) -> tuple[str, ...]:
        """All arms that can be held against the accepted kernel, which has its own control."""
        return tuple(arm for arm in self.contrasts if arm != CONTROL)


def load(files: Sequence[Path]) -> Pool:
    """Return the replicates of all files; raises SamplesError if one is none, or they differ in settings."""
    settings, measured = None, []
    for file in files:
        timing, attempts = _read(file)
        if settings is not None and timing != settings:
            raise SamplesError(f"{file}: was recorded with other settings than the files before it")
        settings = timing
        measured += [one for attempt in attempts for one in attempt]
    if settings is None:
        raise SamplesError("no file of samples")
    replicates = [one.replicate() for one in measured]
    arms = [arm for arm in replicates[0].blocks[0] if arm != ACCEPTED]
    return Pool(
        settings=settings,
        contrasts={arm: np.array([each.contrast(arm, ACCEPTED) for each in replicates]) for arm in arms},
        calls={arm: np.array([_calls(one, arm) for one in measured]) for arm in (*arms, ACCEPTED)},
        seconds=np.array([_gpu_seconds(one) for one in measured]),
    )


def _read(file: Path) -> tuple[PerformanceSettings, list[list[Measured]]]:
    if file.suffix != ".xz":
        timing, attempts = read_samples(file)
        return timing.settings, attempts
    try:
        plain = lzma.decompress(file.read_bytes())
    except (OSError, lzma.LZMAError) as error:
        raise SamplesError(f"{file}: {error}") from error
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as unpacked:
        unpacked.write(plain)
        unpacked.flush()
        timing, attempts = read_samples(Path(unpacked.name))
    return timing.settings, attempts


def _calls(one: Measured, arm: str) -> Floats:
    return np.array([sample.times_ms for sample in one.samples if sample.arm == arm])


def _gpu_seconds(one: Measured) -> float:
    """Return what the calls of one arm, and of accepted kernel and control, took the GPU."""
    arms = {sample.arm for sample in one.samples}
    return 3 * sum(sum(sample.times_ms) for sample in one.samples) / len(arms) / 1000
