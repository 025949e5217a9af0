"""Paired block samples of fresh processes -> log-ratio, interval.

The process is the unit of replication: times within one process share its memory layout, clocks and chosen
config, so blocks are averaged inside a process and the interval comes from the spread between processes.
Sources: A. Georges, D. Buytaert, L. Eeckhout, "Statistically Rigorous Java Performance Evaluation", OOPSLA
2007; T. Kalibera, R. Jones, "Rigorous Benchmarking in Reasonable Time", ISMM 2013.
"""

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from kernelgate.settings import MIN_REPLICATES

MIN_BLOCKS = 2
LN_TIME_LIMIT = 50.0
"""e^50 ms outlasts every run and e^-50 ms undercuts every clock: beyond them the timer is at fault."""


class BlockTimes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fresh set of processes: for each block, the mean ln(time in ms) of each arm that it timed.

    The first block times all arms.
    """

    blocks: tuple[dict[str, float], ...]

    def __post_init__(self) -> None:
        if len(self.blocks) < MIN_BLOCKS:
            raise ValueError(f"too few blocks: got {len(self.blocks)}, needs {MIN_BLOCKS}")
        arms = self.blocks[0].keys()
        for index, block in enumerate(self.blocks):
            if not block.keys() <= arms:
                raise ValueError(f"block {index} has the arms {sorted(block)}, block 0 has {sorted(arms)}")
            for arm, ln_time in block.items():
                # Written so that NaN fails it too.
                if not abs(ln_time) <= LN_TIME_LIMIT:
                    raise ValueError(
                        f"block {index}, {arm}: ln(time in ms) is {ln_time}, "
                        f"allowed -{LN_TIME_LIMIT:g} to {LN_TIME_LIMIT:g}"
                    )

    def contrasts(self, arm: str, against: str) -> list[float]:
        """Return ln t(arm) - ln t(against) of each block that timed both.

        Raises ValueError for an arm that was not measured, and for too few blocks.
        """
        for name in (arm, against):
            if name not in self.blocks[0]:
                raise ValueError(f"arm {name!r} was not measured; measured: {sorted(self.blocks[0])}")
        found = [block[arm] - block[against] for block in self.blocks if {arm, against} <= block.keys()]
        if len(found) < MIN_BLOCKS:
            raise ValueError(f"too few blocks with {arm} and {against}: got {len(found)}, needs {MIN_BLOCKS}")
        return found

    def contrast(self, arm: str, against: str, trimmed_share: float) -> float:
        """Return the mean of the block contrasts, trimmed at each end: what this replicate counts for."""
        # SciPy takes a second to import, and a report that holds a log-ratio does not need it.
        from scipy.stats import trim_mean  # noqa: PLC0415

        return float(trim_mean(self.contrasts(arm, against), trimmed_share))


class Slowdown(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """ln(t_arm / t_against) with its interval: negative is faster.

    A NaN is let in, for `verdict.decide` to answer it; an interval that misses its estimate is not.
    """

    estimate: float
    low: float
    high: float
    replicates: tuple[float, ...]
    confidence: float

    def __post_init__(self) -> None:
        _require_replicates(len(self.replicates))
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence is {self.confidence}, allowed: between 0 and 1")
        if self.low > self.estimate or self.estimate > self.high:
            raise ValueError(f"estimate {self.estimate} lies outside its interval [{self.low}, {self.high}]")

    @property
    def half_width(self) -> float:
        """Half the length of the interval, a log-ratio."""
        return (self.high - self.low) / 2

    @property
    def standard_error(self) -> float:
        """The standard error of the estimate, from the spread between processes."""
        return float(np.std(self.replicates, ddof=1)) / math.sqrt(len(self.replicates))

    @property
    def spread(self) -> float:
        """The slowest replicate less the fastest, a log-ratio."""
        return max(self.replicates) - min(self.replicates)

    @property
    def gain(self) -> float:
        """1 - t_arm / t_against: positive is faster."""
        return _to_gain(self.estimate)

    @property
    def gain_low(self) -> float:
        """The end of the interval that promises least."""
        return _to_gain(self.high)

    @property
    def gain_high(self) -> float:
        """The end of the interval that promises most."""
        return _to_gain(self.low)


def measure_slowdown(
    replicates: Sequence[BlockTimes], arm: str, against: str, confidence: float, trimmed_share: float
) -> Slowdown:
    """Return the log-ratio of two arms with its two-sided interval.

    Each replicate counts once, as the trimmed mean of its block contrasts; the interval is Student's t with
    one degree of freedom less than there are replicates. Raises ValueError for too few replicates, an arm
    that was not measured, or a confidence outside (0, 1).
    """
    return summarise([each.contrast(arm, against, trimmed_share) for each in replicates], confidence)


def summarise(means: Sequence[float], confidence: float) -> Slowdown:
    """Return the log-ratio that the contrasts of replicates come to; raises ValueError as above."""
    from scipy.stats import t  # noqa: PLC0415 - as above

    _require_replicates(len(means))
    estimate = float(np.mean(means))
    error = float(np.std(means, ddof=1)) / math.sqrt(len(means))
    half_width = float(t.ppf((1 + confidence) / 2, len(means) - 1)) * error
    return Slowdown(
        estimate=estimate,
        low=estimate - half_width,
        high=estimate + half_width,
        replicates=tuple(means),
        confidence=confidence,
    )


def _require_replicates(count: int) -> None:
    if count < MIN_REPLICATES:
        raise ValueError(f"too few replicates: got {count}, needs {MIN_REPLICATES}")


def _to_gain(log_ratio: float) -> float:
    try:
        return -math.expm1(log_ratio)
    except OverflowError:
        return -math.inf
