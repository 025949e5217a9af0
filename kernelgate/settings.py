"""The one table of configuration, `[tool.kernelgate]` of a `pyproject.toml`, as a frozen record."""

import itertools
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from kernelgate.errors import KernelgateError

A_DAY = 86_400
MIN_REPLICATES, MAX_REPLICATES = 4, 64
"""Student's t has its quantile blow up under three degrees of freedom: fewer processes prove nothing."""

Positive = Annotated[int, msgspec.Meta(gt=0)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=A_DAY)]
Fraction = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Stage = Literal["final-micro-tuning", "open"]


class SettingsError(KernelgateError, ValueError):
    """The table is missing, or has a key or a value that it must not have."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a worker may use before it is ended."""

    kernel_file_bytes: Positive
    output_bytes: Positive
    host_memory_bytes: Positive
    gpu_memory_bytes: Positive
    load_timeout_s: Seconds
    run_timeout_s: Seconds
    open_configs: Positive


class DrawBudget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many cases Hypothesis draws beside the planned ones, for how long, and whether always the same."""

    examples: Positive
    draw_seconds: Seconds
    fixed: bool


class CorrectnessSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many programs a sample has, how long a smaller failing case is looked for, and what is drawn."""

    sampled_programs: Positive
    shrink_seconds: Seconds
    profiles: dict[str, DrawBudget]

    def __post_init__(self) -> None:
        missing = {"ci", "default", "nightly"} - self.profiles.keys()
        if missing:
            raise ValueError(f"profiles lack {', '.join(sorted(missing))}")


class PerformanceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much is timed, and where the lines of the 1-2 % rule lie (fractions, 0.01 is 1 %).

    `looks` are the numbers of replicates after which a verdict may be given.
    """

    looks: tuple[int, ...]
    blocks: Annotated[int, msgspec.Meta(ge=2, multiple_of=2)]
    launches: Annotated[int, msgspec.Meta(ge=2)]
    noise_gain: Fraction
    proven_gain: Fraction
    max_half_width: Fraction
    max_control_offset: Fraction
    max_replicate_spread: Fraction
    max_environment_drift: Fraction

    @property
    def lines(self) -> tuple[float, ...]:
        """All fractions that a log-ratio is held against."""
        return (
            *(self.noise_gain, self.proven_gain, self.max_half_width, self.max_control_offset),
            *(self.max_replicate_spread, self.max_environment_drift),
        )

    def __post_init__(self) -> None:
        ascending = all(before < after for before, after in itertools.pairwise(self.looks))
        within = self.looks and MIN_REPLICATES <= self.looks[0] <= self.looks[-1] <= MAX_REPLICATES
        if not within or not ascending:
            allowed = f"from {MIN_REPLICATES} or more to {MAX_REPLICATES} or fewer"
            raise ValueError(f"looks {list(self.looks)} must ascend {allowed}")
        if self.noise_gain >= self.proven_gain:
            raise ValueError(f"noise_gain {self.noise_gain} must lie below proven_gain {self.proven_gain}")


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that decides how strictly the gate judges.

    `stages` has the kernel files, by their names without `.py`, that are not judged by `stage`.
    """

    operation: str
    stage: Stage
    stages: dict[str, Stage] = {}
    limits: Limits
    correctness: CorrectnessSettings
    performance: PerformanceSettings

    def stage_of(self, kernel: Path) -> Stage:
        """Return the stage that a kernel file is judged by where none is asked for."""
        return self.stages.get(kernel.stem, self.stage)


def load_settings(pyproject: Path) -> Settings:
    """Return the settings of a `pyproject.toml`.

    Raises SettingsError if the file or the table is missing, or a key is unknown, missing or out of range.
    """
    try:
        table = tomllib.loads(pyproject.read_text(encoding="utf-8"))["tool"]["kernelgate"]
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{pyproject}: cannot be read: {error}") from error
    except (KeyError, TypeError) as error:
        raise SettingsError(f"{pyproject}: has no table [tool.kernelgate]") from error
    try:
        return msgspec.convert(table, Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{pyproject}: [tool.kernelgate]: {error}") from error
