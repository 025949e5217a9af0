"""What casts doubt on figures, and whether it could change the verdict that they come to."""

import msgspec

from kernelgate.performance.decision.log_ratio import Slowdown
from kernelgate.verdict import Reason


class Doubt(msgspec.Struct, frozen=True, kw_only=True):
    """Why figures may be off: `shift` is by how much all of them may be, a log-ratio.

    Of what makes processes differ it is 0: how much, the replicates show.
    """

    reason: Reason
    detail: str
    shift: float = 0.0


def extremes(slowdown: Slowdown, shift: float) -> tuple[Slowdown, Slowdown]:
    """Return the slowdown as it would be if the best end of the figures were the truth, and the worst.

    The ends are those of the interval or of the replicates, whichever lie further out, and beyond them by
    the shift. A verdict that both give is that of each process alone.
    """
    low = min(slowdown.low, *slowdown.replicates) - shift
    high = max(slowdown.high, *slowdown.replicates) + shift
    return _exactly(slowdown, low), _exactly(slowdown, high)


def _exactly(slowdown: Slowdown, value: float) -> Slowdown:
    replicates = (value,) * len(slowdown.replicates)
    return msgspec.structs.replace(slowdown, estimate=value, low=value, high=value, replicates=replicates)
