"""What decides a verdict, as a frozen record: settings.toml, and a project's `[tool.kernelgate]` over it."""

import itertools
import re
import tomllib
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import msgspec

from kernelgate.errors import KernelgateError

A_DAY = 86_400
MIN_REPLICATES, MAX_REPLICATES = 4, 64
"""Student's t has its quantile blow up under three degrees of freedom: fewer processes prove nothing."""

Positive = Annotated[int, msgspec.Meta(gt=0)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=A_DAY)]
Fraction = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Warps = Literal[1, 2, 4, 8, 16, 32]
PipelineStages = Annotated[int, msgspec.Meta(ge=1, le=8)]
Stage = Literal["final-micro-tuning", "open"]

SHIPPED = Path(__file__).with_name("settings.toml")
PROJECT_FILE = "pyproject.toml"


class SettingsError(KernelgateError, ValueError):
    """A table is missing, or has a key or a value that it must not have."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a worker may use before it is ended, and whether it must be confined.

    `require_sandbox` refuses to judge where the system has no sandbox: always, where CI is set, or never.
    """

    kernel_file_bytes: Positive
    output_bytes: Positive
    host_memory_bytes: Positive
    gpu_memory_bytes: Positive
    load_timeout_s: Seconds
    run_timeout_s: Seconds
    whole_run_factor: Annotated[int, msgspec.Meta(ge=1, le=100)]
    open_configs: Positive
    problem_memory_bytes: Positive
    problem_timeout_s: Seconds
    require_sandbox: Literal["always", "ci", "never"]


class StageRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What final micro-tuning may change in the list of configurations.

    Raises ValueError if the fewest configurations are more than the most, or a list of values is empty.
    """

    min_configs: Positive
    max_configs: Positive
    warps: tuple[Warps, ...]
    stages: tuple[PipelineStages, ...]
    max_stages_step: Positive

    def __post_init__(self) -> None:
        if self.min_configs > self.max_configs:
            raise ValueError(f"min_configs {self.min_configs} is over max_configs {self.max_configs}")
        for name, values in (("warps", self.warps), ("stages", self.stages)):
            if not values or list(values) != sorted(set(values)):
                raise ValueError(f"{name} {list(values)} must ascend, and hold one value or more")


class LawLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the laws of an answer allow where no theorem says it."""

    max_error_ratio: Annotated[float, msgspec.Meta(ge=1, lt=8)]
    min_ratio_elements: Annotated[int, msgspec.Meta(ge=2)]
    busiest_margin: Annotated[float, msgspec.Meta(ge=1, lt=1.1)]


class DrawBudget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many cases Hypothesis draws beside the planned ones, for how long, and whether always the same.

    `swept` are cases of drawn values that a GPU does beside those, in milliseconds each.
    """

    examples: Positive
    draw_seconds: Seconds
    swept: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
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
    """How much is timed, how an interval is made of it, and where the lines lie (fractions, 0.01 is 1 %).

    `looks` are the numbers of replicates after which a verdict may be given.
    """

    looks: tuple[int, ...]
    attempts: Annotated[int, msgspec.Meta(ge=1, le=10)]
    blocks: Annotated[int, msgspec.Meta(ge=2, multiple_of=2)]
    blocks_per_layout: Positive
    layouts_per_yardstick: Positive = 1  # raw samples that are older than it have none
    launches: Annotated[int, msgspec.Meta(ge=2)]
    judged_elements: Positive

    confidence: Annotated[float, msgspec.Meta(ge=0.5, lt=1)]
    boundary_shape: Annotated[float, msgspec.Meta(ge=0, le=0.5)]
    trimmed_share: Annotated[float, msgspec.Meta(ge=0, lt=0.5)]

    noise_gain: Fraction
    proven_gain: Fraction
    max_half_width: Fraction
    max_control_offset: Fraction
    max_replicate_spread: Fraction
    max_environment_drift: Fraction
    max_creep: Fraction

    max_choice_effect: Fraction
    max_clocks_apart: Fraction
    min_cluster_gap: Fraction
    cluster_gap_to_spread: Annotated[float, msgspec.Meta(ge=1, le=100)]

    max_throttled_share: Annotated[float, msgspec.Meta(ge=0, lt=1)]
    max_overhead_ms: Annotated[float, msgspec.Meta(gt=0, le=10)]
    max_overhead_share: Fraction

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
        if self.blocks % self.blocks_per_layout:
            raise ValueError(
                f"blocks {self.blocks} must be a multiple of blocks_per_layout {self.blocks_per_layout}"
            )
        if self.noise_gain >= self.proven_gain:
            raise ValueError(f"noise_gain {self.noise_gain} must lie below proven_gain {self.proven_gain}")


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that decides how strictly the gate judges.

    `problems` are the project's own: problem files under its folder, by the names that kernel files begin
    with. `stages` has the kernel files, by their names without `.py`, that are not judged by `stage`.
    """

    operation: str
    problems: dict[str, str] = {}
    stage: Stage
    stages: dict[str, Stage] = {}
    limits: Limits
    stage_rules: StageRules = msgspec.field(name="stage-rules")
    laws: LawLimits
    correctness: CorrectnessSettings
    performance: PerformanceSettings

    def __post_init__(self) -> None:
        for name, file in self.problems.items():
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
                raise ValueError(f"problems: {name!r} is no name; allowed: small letters, digits and _")
            if PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts:
                raise ValueError(f"problems: {file}: must lie under the project's folder")

    def stage_of(self, kernel: Path) -> Stage:
        """Return the stage that a kernel file is judged by where none is asked for."""
        return self.stages.get(kernel.stem, self.stage)


def load_settings(pyproject: Path | None) -> Settings:
    """Return the settings of a project's `pyproject.toml`, or, without a project, those that are shipped.

    A key that the project does not give has its shipped value. Raises SettingsError if the file or the table
    is missing, or a key is unknown or out of range.
    """
    shipped = _read(SHIPPED)
    if pyproject is None:
        return _convert(shipped, SHIPPED)
    try:
        table = _read(pyproject)["tool"]["kernelgate"]
    except (KeyError, TypeError) as error:
        raise SettingsError(f"{pyproject}: has no table [tool.kernelgate]") from error
    return _convert(_lay_over(shipped, table), pyproject)


def find_project(start: Path) -> Path | None:
    """Return the folder itself, or the nearest above it, whose pyproject.toml has `[tool.kernelgate]`."""
    start = start.resolve()
    return next((folder for folder in (start, *start.parents) if has_table(folder)), None)


def has_table(folder: Path) -> bool:
    """Return whether the folder's pyproject.toml has a table `[tool.kernelgate]`, right or wrong.

    One that is no TOML has it if it says so: whoever loads the settings is told what is wrong with it.
    """
    try:
        text = (folder / PROJECT_FILE).read_text("utf-8")
    except (OSError, ValueError):
        return False
    try:
        return "kernelgate" in tomllib.loads(text).get("tool", {})
    except ValueError:
        return "[tool.kernelgate" in text


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{file}: cannot be read: {error}") from error


def _lay_over(below: Any, above: Any) -> Any:
    """Return the upper table, with what only the lower one has; anything but a table is taken as it is."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return below | {key: _lay_over(below.get(key), value) for key, value in above.items()}


def _convert(table: Any, file: Path) -> Settings:
    try:
        return msgspec.convert(table, Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{file}: [tool.kernelgate]: {error}") from error
