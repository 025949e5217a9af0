"""What becomes of the configurations near a kernel's own: dropped unseen, or timed and kept or reverted.

The rules are those of the stage and of the 1-2 % rule; nothing is decided here that they do not say.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from kernelgate.baselines.compiled import ConfigRecord
from kernelgate.compilation.machine_code.compiled_kernel import CompiledKernel
from kernelgate.compilation.stage_rules import check_config, check_warps, spilled_bytes
from kernelgate.operations.declaration.kernel_config import KernelConfig
from kernelgate.operations.declaration.operation import Operation
from kernelgate.settings import StageRules
from kernelgate.verdict import Outcome

FAILED = (Outcome.WRONG, Outcome.FORBIDDEN)
"""What neither gets into a list nor is run once more."""


class Timed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the rule says of a kernel file, timed against the accepted kernel; gains are fractions."""

    outcome: Outcome
    reason: str
    detail: str
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    gain_to_original: float | None = None
    time_ms: float | None = None
    seconds: float = 0.0


class Option(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A configuration that may be tried: what it compiles to, why it was dropped, or how fast it is."""

    config: KernelConfig
    registers: int
    shared_bytes: int
    spill_bytes: int
    warps_per_sm: int
    dropped: str = ""
    timed: Timed | None = None


def sort_out(
    compiled: CompiledKernel, accepted: CompiledKernel, operation: Operation, rules: StageRules
) -> tuple[Option, ...]:
    """Return the compiled configurations, each with the reason to drop it unless it is worth timing.

    The original is never dropped for its spills: everything else is held against it.
    """
    first: dict[tuple[str, ...], KernelConfig] = {}
    options = []
    for record in compiled.configs:
        code = tuple(launch.code_sha256 for launch in record.launches)
        reasons = _break_rules(record, compiled, accepted, operation, rules)
        reason = next(reasons, f"the same machine code as {first[code]}" if code in first else "")
        if record.launches:
            first.setdefault(code, record.config)
        options.append(_option(record, reason))
    return tuple(options)


def choose_configs(
    options: Sequence[Option], operation: Operation, rules: StageRules
) -> tuple[KernelConfig, ...]:
    """Return the list that the tuned file gets: the original, and the kept ones, the fastest first.

    It is filled up with what else was timed, to the fewest that the stage asks for. Empty: nothing is kept.
    """
    original = operation.original.config
    timed = sorted((option for option in options if _gain(option) is not None), key=_gain, reverse=True)
    kept = [each.config for each in timed if each.timed and each.timed.outcome is Outcome.KEEP]
    if not kept:
        return ()
    twins = [msgspec.structs.replace(original, num_stages=stages) for stages in operation.original.stages]
    known = [option.config for option in options]
    fillers = [*(each.config for each in timed), *(twin for twin in twins if twin in known)]
    listed = _unique([original, *kept])[: rules.max_configs]
    return tuple(_unique([*listed, *fillers])[: max(len(listed), rules.min_configs)])


def _gain(option: Option) -> Any:
    """Return the gain of an option that was timed and is right, None of any other."""
    timed = option.timed
    return None if timed is None or timed.outcome in (*FAILED, Outcome.INVALID) else timed.gain


def _unique(configs: Sequence[KernelConfig]) -> list[KernelConfig]:
    return [config for place, config in enumerate(configs) if config not in configs[:place]]


def _break_rules(
    record: ConfigRecord,
    compiled: CompiledKernel,
    accepted: CompiledKernel,
    operation: Operation,
    rules: StageRules,
) -> Iterator[str]:
    original = operation.original.config
    if record.error:
        yield record.error
        return
    broken = [*check_config(record, accepted, operation, rules)]
    if (own := _of_original_warps(record, compiled, original)) is not None:
        broken += check_warps(record, own, rules)
    for _, message in broken:
        yield message.removeprefix(f"{record.config}: ")
    if (spilled := spilled_bytes(record)) and record.config != original:
        yield f"spills {spilled} bytes a thread"


def _of_original_warps(
    record: ConfigRecord, compiled: CompiledKernel, original: KernelConfig
) -> ConfigRecord | None:
    """Return what the same file compiles to with as many stages and the original's warps."""
    wanted = msgspec.structs.replace(record.config, num_warps=original.num_warps)
    return next((other for other in compiled.configs if other.config == wanted and other.launches), None)


def _option(record: ConfigRecord, dropped: str) -> Option:
    launches = record.launches
    return Option(
        config=record.config,
        registers=max((launch.registers for launch in launches), default=0),
        shared_bytes=max((launch.shared_bytes for launch in launches), default=0),
        spill_bytes=spilled_bytes(record),
        warps_per_sm=min((launch.warps_per_sm for launch in launches), default=0),
        dropped=dropped,
    )
