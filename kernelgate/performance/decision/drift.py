"""How far today's figures lie off the stored record: another machine, or many small losses."""

import math

import msgspec

from kernelgate.baselines.records import SpeedRecord
from kernelgate.machine.versions import Provenance
from kernelgate.performance.decision.log_ratio import Slowdown
from kernelgate.settings import PerformanceSettings

DRIFT_ERRORS = 3.0
"""More errors off its record are remarked on, and decide nothing: by chance 1 run in 370 is (normal)."""


class Drift(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far the accepted kernel lies off its record (a log-ratio, positive is slower), and what changed."""

    offset: float
    error: float
    changed_keys: tuple[str, ...]

    @property
    def is_beyond_chance(self) -> bool:
        """Whether it is off by more than three errors."""
        # Written so that a NaN is beyond it.
        return not abs(self.offset) <= DRIFT_ERRORS * self.error


def environment_drift(record: SpeedRecord, now: Slowdown, environment: Provenance) -> Drift:
    """Return how far `now`, the accepted kernel against the original, lies off its record."""
    then = record.environment
    changed = (key for key in then.__struct_fields__ if getattr(then, key) != getattr(environment, key))
    return Drift(
        offset=now.estimate - record.log_ratio_original,
        error=math.hypot(now.standard_error, record.error_original),
        changed_keys=tuple(changed),
    )


def find_creep(record: SpeedRecord, candidate: Slowdown, settings: PerformanceSettings) -> str:
    """Return by how much the candidate falls behind the best kernel ever accepted, empty if by little.

    `candidate` is its log-ratio to the original, which no acceptance moves: losses that each passed are
    added up. A loss counts beyond its error, that of both measurements in quadrature.
    """
    known = [(record.log_ratio_original, record.error_original)]
    known += [
        (line.log_ratio_original, line.error_original)
        for line in record.history
        if line.log_ratio_original is not None and line.error_original is not None
    ]
    best, error = min(known)
    behind = candidate.estimate - best
    if behind - math.hypot(candidate.standard_error, error) <= math.log1p(settings.max_creep):
        return ""
    lost = f"{100 * math.expm1(behind):.2f} % slower than the best kernel accepted so far"
    return f"{lost}, each against the original; allowed {100 * settings.max_creep:g} % beyond the error"
