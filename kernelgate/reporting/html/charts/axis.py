"""Where a value lies on an axis, and the ticks that a person would set."""

import math

import msgspec

STEPS = (1, 2, 5, 10)


class Axis(msgspec.Struct, frozen=True, kw_only=True):
    """The values from `low` to `high`, on a linear or a logarithmic scale."""

    low: float
    high: float
    logarithmic: bool = False

    def __post_init__(self) -> None:
        # Written so that NaN fails it too.
        if not (self.low < self.high and math.isfinite(self.high - self.low)):
            raise ValueError(f"an axis from {self.low} to {self.high}, allowed: finite, the lower end first")
        if self.logarithmic and self.low <= 0:
            raise ValueError(f"a logarithmic axis from {self.low}, allowed: above 0")

    def share(self, value: float) -> float:
        """Return how far along the axis the value lies: 0 at its low end, 1 at its high one."""
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self, about: int) -> list[float]:
        """Return about so many round values within the axis."""
        if self.logarithmic:
            powers = range(math.ceil(math.log10(self.low)), math.floor(math.log10(self.high)) + 1)
            return [10.0**power for power in powers]
        rough = (self.high - self.low) / about
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(step * power for step in STEPS if step * power >= rough * (1 - 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


def around(values: list[float], room: float) -> Axis:
    """Return the linear axis that holds the values, with room on both sides as a share of their range."""
    low, high = min(values), max(values)
    margin = room * (high - low) or 1.0
    return Axis(low=low - margin, high=high + margin)
