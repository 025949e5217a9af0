"""What is stored of an accepted kernel: how fast it is on a GPU, what it compiles to, and since when."""

import math
import re
from datetime import datetime
from typing import Literal

import msgspec

from kernelgate.baselines.compiled import ConfigRecord, require_field, require_sha256
from kernelgate.machine.versions import Provenance
from kernelgate.operations.declaration.error_model import Math
from kernelgate.settings import MIN_REPLICATES


class ProblemVersion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which contents of a problem file a record is of, and in what arithmetic it was judged.

    The name of a problem says nothing of either.
    """

    sha256: str
    math: Math

    def __post_init__(self) -> None:
        require_sha256("sha256", self.sha256)

    def __str__(self) -> str:
        return f"problem file {self.sha256[:12]} in {self.math}"


class Accepted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line of a record's history: when which kernel was accepted, why, and how fast it was.

    `log_ratio_original` is ln(t_accepted / t_original), with its standard error; a compile record has none.
    """

    date: str
    reason: str
    kernel_sha256: str
    log_ratio_original: float | None = None
    error_original: float | None = None

    def __post_init__(self) -> None:
        # fromisoformat also reads weeks, times, and dates without dashes.
        day = datetime.fromisoformat(self.date).date()
        require_field(day.isoformat() == self.date, "date", self.date, "YYYY-MM-DD")
        one_line = bool(self.reason.strip()) and self.reason.isprintable()
        require_field(one_line, "reason", self.reason, "one line that is not empty")
        require_sha256("kernel_sha256", self.kernel_sha256)
        for field in ("log_ratio_original", "error_original"):
            value = getattr(self, field)
            require_field(value is None or math.isfinite(value), field, value, "a finite number")


class SpeedRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How fast the accepted kernel is on one GPU.

    Ratios are ln(t_accepted / t_arm), errors their standard errors; absolute times inform, decide nothing.
    `operation` may be a project's own `problem`, which has no original: PyTorch stands in its place.
    """

    schema: Literal["kernelgate.speed/1"] = "kernelgate.speed/1"
    operation: str
    gpu: str
    kernel_sha256: str
    batch: int
    environment: Provenance
    log_ratio_original: float
    log_ratio_vendor: float
    error_original: float
    error_vendor: float
    process_sd: float
    replicates: int
    time_ms: dict[str, float]
    history: tuple[Accepted, ...]
    problem: ProblemVersion | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        gpu_slug(self.gpu)
        require_sha256("kernel_sha256", self.kernel_sha256)
        require_field(self.batch >= 1, "batch", self.batch, "1 or more")
        require_field(
            self.replicates >= MIN_REPLICATES, "replicates", self.replicates, f"from {MIN_REPLICATES}"
        )
        for field in ("log_ratio_original", "log_ratio_vendor"):
            ratio = getattr(self, field)
            require_field(math.isfinite(ratio), field, ratio, "a finite number")
        sizes = {field: getattr(self, field) for field in ("error_original", "error_vendor", "process_sd")}
        for field, size in {**sizes, **{f"time_ms[{arm!r}]": ms for arm, ms in self.time_ms.items()}}.items():
            require_field(math.isfinite(size) and size > 0, field, size, "a finite number over 0")


class CompileRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the accepted kernel compiles to for one architecture, config by config."""

    schema: Literal["kernelgate.compile/1"] = "kernelgate.compile/1"
    operation: str
    target: str
    kernel_sha256: str
    triton: str
    ptxas: str
    configs: tuple[ConfigRecord, ...]
    history: tuple[Accepted, ...]
    problem: ProblemVersion | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        # The target names a file: nothing that could leave its folder.
        known = bool(re.fullmatch(r"sm_[0-9]{2,3}[a-z]?", self.target))
        require_field(known, "target", self.target, "an architecture such as sm_89")
        require_sha256("kernel_sha256", self.kernel_sha256)
        require_field(bool(self.configs), "configs", self.configs, "one config or more")


Record = SpeedRecord | CompileRecord


def gpu_slug(name: str) -> str:
    """Return the GPU's name as a file name, "NVIDIA H200" -> "nvidia-h200"; raises ValueError if empty."""
    slug = "-".join(re.findall(r"[a-z0-9]+", name.lower()))
    require_field(bool(slug), "gpu", name, "a name with a letter or a digit")
    return slug
