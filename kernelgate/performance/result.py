"""What the performance stage found."""

import msgspec

from kernelgate.machine.gpu import Gpu
from kernelgate.performance.decision.log_ratio import Slowdown
from kernelgate.performance.explanation.users_choice import UsersChoice
from kernelgate.verdict import Verdict


class Performance(msgspec.Struct, frozen=True, kw_only=True, tag="performance"):
    """The stage's result: log-ratios with intervals, typical times for orientation, and the verdict.

    `band` are the gains between which the 1-2 % rule asks for more. `users` is None where there is nothing to
    choose, and in reports that are older than it.
    """

    gpu: Gpu
    batch: int
    rule: str
    band: tuple[float, float]
    candidate: Slowdown
    control: Slowdown
    candidate_to_original: Slowdown
    candidate_to_vendor: Slowdown
    accepted_to_original: Slowdown
    accepted_to_vendor: Slowdown
    time_ms: dict[str, float]
    chosen: dict[str, tuple[str, ...]]
    floor_ms: float | None
    sm_clock_mhz: tuple[int, int] | None
    seconds: float
    remarks: tuple[str, ...]
    verdict: Verdict
    ada_path: bool = False
    users: UsersChoice | None = None
