"""What the performance stage measured: contrasts between arms, and the time of each."""

import math
from collections.abc import Iterator

from kernelgate.performance.decision.log_ratio import Slowdown
from kernelgate.performance.result import Performance
from kernelgate.performance.samples import Arm

ADA_NOTE = (
    "Kernels ran the PTX that an RTX 4090 would be given, assembled for this GPU; the vendor's library ran "
    "this GPU's own code. That compares kernels with each other; "
    "how fast they are on an RTX 4090 it does not say."
)

ARM_NAMES = {
    Arm.CANDIDATE: "candidate",
    Arm.ACCEPTED: "accepted",
    Arm.CONTROL: "accepted again",
    Arm.ORIGINAL: "original",
    Arm.VENDOR: "vendor",
}


def list_contrasts(result: Performance) -> list[tuple[str, str, str, str]]:
    """Return each contrast: its name, the gain, the interval, and the gain of each replicate."""
    named = (
        ("candidate over accepted", result.candidate),
        ("accepted over itself (A/A)", result.control),
        ("candidate over original", result.candidate_to_original),
        ("candidate over vendor", result.candidate_to_vendor),
    )
    return [(name, *_tell(slowdown)) for name, slowdown in named]


def _tell(slowdown: Slowdown) -> tuple[str, str, str]:
    interval = f"{100 * slowdown.gain_low:+.2f} to {100 * slowdown.gain_high:+.2f} %"
    singles = ", ".join(f"{100 * gain:+.2f}" for gain in replicate_gains(slowdown))
    return f"{100 * slowdown.gain:+.2f} %", interval, f"{singles} %"


def replicate_gains(slowdown: Slowdown) -> list[float]:
    """Return the gain that each replicate alone shows; NaN where the log-ratio gives no number."""
    return [-math.expm1(each) if abs(each) < 700 else math.nan for each in slowdown.replicates]


def list_arms(result: Performance) -> list[tuple[str, float, str]]:
    """Return each arm that was timed: its name, the time of a call in ms, and what was chosen."""
    return [
        (ARM_NAMES[arm], result.time_ms.get(arm, math.nan), "; ".join(result.chosen.get(arm, ())))
        for arm in Arm
    ]


def list_notes(result: Performance) -> Iterator[str]:
    """Yield what a reader must know of the times: whose code ran, at which clock, and what was remarked."""
    if result.ada_path:
        yield ADA_NOTE
    said = ["Times are of this machine on that day; only the contrasts decide."]
    if result.sm_clock_mhz is not None:
        said.append("The SM clock was {} to {} MHz.".format(*result.sm_clock_mhz))
    if result.floor_ms is not None:
        said.append(f"No launch can take less than {result.floor_ms:.3f} ms, the time of its bytes.")
    yield " ".join(said)
    yield from _tell_users(result)
    yield from result.remarks


def _tell_users(result: Performance) -> Iterator[str]:
    """Yield what users get of the timed configuration: they run the file's own autotuner, not the judge's."""
    if (users := result.users) is None:
        return
    if users.missing:
        yield f"which configuration users get {users.missing}"
    elif not users.matters:
        yield f"users get {users.config}: the file's own autotuner takes one as fast as the fastest"
    else:
        slower = f"{100 * users.slower:.2f} % slower than the one that was timed, {users.fastest}"
        yield f"users get {users.config}, which is {slower}: the file's own autotuner takes that"
