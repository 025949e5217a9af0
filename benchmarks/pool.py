"""A pool of recorded replicates: what the calls of each arm took, and the contrasts that decide."""

import lzma
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from kernelgate.performance.samples import Arm, MeasuredReplicate
from kernelgate.performance.samples_file import SamplesError, read_samples
from kernelgate.settings import PerformanceSettings

Floats = NDArray[np.float64]


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """`contrasts` holds ln t(arm) - ln t(accepted) of each replicate, `calls` the event times, in ms.

    `seconds` is what the requests of one arm took in each, `control_blocks` holds the A/A contrasts by block.
    """

    settings: PerformanceSettings
    contrasts: dict[str, Floats]
    calls: dict[str, Floats]
    seconds: Floats
    control_blocks: Floats

    @property
    def replicates(self) -> int:
        """How many there are."""
        return len(self.contrasts[Arm.CONTROL])

    @property
    def arms(self) -> tuple[str, ...]:
        """All arms that can be held against the accepted kernel but its own control, the fastest first."""
        means = {arm: values.mean() for arm, values in self.contrasts.items() if arm != Arm.CONTROL}
        return tuple(sorted(means, key=lambda arm: means[arm]))

    def moved_to(self, line: float) -> "Pool":
        """Return a pool with one arm more: the one nearest to a log-ratio, moved so that its mean is that.

        At the very line a rule errs most, and no recorded arm lies there to the last digit.
        """
        nearest = min(self.arms, key=lambda arm: abs(self.contrasts[arm].mean() - line))
        shift = line - self.contrasts[nearest].mean()
        name = f"{nearest}, moved by {100 * shift:+.3f}"
        return msgspec.structs.replace(
            self,
            contrasts={**self.contrasts, name: self.contrasts[nearest] + shift},
            calls={**self.calls, name: self.calls[nearest] * np.exp(shift)},
        )


def load(files: Sequence[Path], wanted: PerformanceSettings | None = None) -> Pool:
    """Return the replicates of all files; with `wanted` they end and are decided as these settings say.

    Raises SamplesError if a file is none of samples, if files differ in settings, or have too few blocks.
    """
    settings, measured = None, []
    for file in files:
        timing, attempts = _read(file)
        if settings is not None and timing != settings:
            raise SamplesError(f"{file}: was recorded with other settings than the files before it")
        settings = timing
        measured += [one for attempt in attempts for one in attempt]
    if settings is None:
        raise SamplesError("no file of samples")
    if wanted is not None:
        if settings.launches != wanted.launches or settings.blocks < wanted.blocks:
            raise SamplesError(f"{files[0]}: was recorded with other calls or fewer blocks than are set now")
        settings, measured = wanted, [_first_blocks(one, wanted.blocks) for one in measured]
    replicates, trimmed = [one.replicate() for one in measured], settings.trimmed_share
    arms = [arm for arm in replicates[0].blocks[0] if arm != Arm.ACCEPTED]
    return Pool(
        settings=settings,
        contrasts={
            arm: np.array([each.contrast(arm, Arm.ACCEPTED, trimmed) for each in replicates]) for arm in arms
        },
        calls={arm: np.array([_calls(one, arm) for one in measured]) for arm in (*arms, Arm.ACCEPTED)},
        seconds=np.array([_gpu_seconds(one) for one in measured]),
        control_blocks=np.array([each.contrasts(Arm.CONTROL, Arm.ACCEPTED) for each in replicates]),
    )


def _first_blocks(one: MeasuredReplicate, blocks: int) -> MeasuredReplicate:
    return msgspec.structs.replace(one, samples=tuple(each for each in one.samples if each.block < blocks))


def _read(file: Path) -> tuple[PerformanceSettings, list[list[MeasuredReplicate]]]:
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


def _calls(one: MeasuredReplicate, arm: str) -> Floats:
    return np.array([sample.times_ms for sample in one.samples if sample.arm == arm])


def _gpu_seconds(one: MeasuredReplicate) -> float:
    """Return for how long, on average, the requests of one arm kept the GPU."""
    arms = {sample.arm for sample in one.samples}
    return sum(sample.wall_ms for sample in one.samples) / len(arms) / 1000
