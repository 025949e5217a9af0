"""rank.json: which of many right kernels is the fastest, and how sure that is."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from kernelgate.errors import KernelgateError
from kernelgate.files import read_foreign, write_whole
from kernelgate.machine.versions import Provenance
from kernelgate.verdict import Outcome, Reason

RANKING_NAME = "rank.json"
MAX_BYTES = 2**24

HowEnded = Literal["one-left", "tie", "unresolved", "unstable", "none-right"]


class RankingError(KernelgateError, ValueError):
    """A file that is no ranking of this version; the text says which, and what is wrong with it."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A figure with the ends of its interval."""

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        # Written so that NaN fails it too.
        if not self.low <= self.value <= self.high:
            raise ValueError(f"{self.value} lies outside its interval [{self.low}, {self.high}]")


class Ranked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kernel of the race.

    `place` is one more than how many kernels are proven faster; `tied` says that another one shares it.
    `time_ms` is the median of its samples, `gain` the share of the accepted kernel's time that it saves,
    `to_best` its time over the fastest kernel's. `replicates` is how many it was in, `left` why it left,
    empty for one that was in the race to its end. `copies` are other files of the same bytes.
    """

    place: Annotated[int, msgspec.Meta(ge=1)]
    tied: bool
    file: str
    copies: tuple[str, ...]
    sha256: str
    configuration: str
    time_ms: float
    gain: Estimate
    to_best: Estimate
    replicates: int
    left: str

    @property
    def label(self) -> str:
        """The place as it is shown: `1=` where it is shared."""
        return f"{self.place}{'=' if self.tied else ''}"


class Unranked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that has no place, with its verdict: it did not pass, or it left the race for a fault.

    `report` is the folder of its report, `replicates` how many it was in.
    """

    file: str
    sha256: str | None
    verdict: Outcome
    reason: Reason
    detail: str
    report: str | None = None
    replicates: int = 0


class Ranking(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `kernelgate rank` found; fractions, 0.05 is 5 %.

    `ended` says how: `one-left` proven to be the fastest, a `tie` within `noise_gain`, `unresolved` where the
    last look left several, `unstable` where the figures are not to be trusted, `none-right`. `accepted` names
    the kernel that gains are over, `control` is its gain over itself. All intervals but that one hold
    together with the `confidence`, which is divided by the `pairs`.
    """

    schema: Literal["kernelgate.rank/1"] = "kernelgate.rank/1"
    operation: str
    gpu: str
    batch: int
    ended: HowEnded
    detail: str
    accepted: str
    accepted_ms: float | None
    control: Estimate | None
    noise_gain: float
    confidence: float
    pairs: int
    replicates: int
    seconds: float
    ranked_at: str
    environment: Provenance
    ranked: tuple[Ranked, ...]
    unranked: tuple[Unranked, ...]

    @property
    def is_trusted(self) -> bool:
        """Whether something is ranked, by figures that may be trusted."""
        return bool(self.ranked) and self.ended != "unstable"


def write_ranking(ranking: Ranking, folder: Path) -> Path:
    """Return rank.json of the folder, written."""
    text = msgspec.json.format(msgspec.json.encode(ranking), indent=2) + b"\n"
    return write_whole(folder / RANKING_NAME, text)


def read_ranking(file: Path) -> Ranking:
    """Return the ranking of a rank.json, which anybody may have written; raises RankingError."""
    try:
        return msgspec.json.decode(read_foreign(file, MAX_BYTES), type=Ranking)
    except OSError as error:
        raise RankingError(f"{file}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # msgspec's own errors are ValueErrors
        raise RankingError(f"{file}: is no ranking: {error!s:.200}") from error
