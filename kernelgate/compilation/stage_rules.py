"""What a candidate may change against the accepted kernel: the rules of each tuning stage."""

from collections.abc import Iterator
from typing import get_args

import msgspec

from kernelgate.baselines.compiled import ConfigRecord
from kernelgate.compilation.machine_code.compiled_kernel import CompiledKernel
from kernelgate.kernel_file.violation import Violation
from kernelgate.operations.declaration.kernel_config import KernelConfig
from kernelgate.operations.declaration.operation import Operation
from kernelgate.settings import Stage, StageRules

STAGES: tuple[str, ...] = get_args(Stage)


def check_runs(compiled: CompiledKernel) -> tuple[Violation, ...]:
    """Return the violation of a file of which no configuration launches anything on a target."""
    if any(record.launches for record in compiled.configs):
        return ()
    errors = "; ".join(sorted({record.error for record in compiled.configs}))
    message = f"no configuration can run on {compiled.target}: {errors}"
    return (Violation(rule="nothing-runs", line=0, message=message),)


def check_stage(
    stage: str,
    candidate: CompiledKernel,
    accepted: CompiledKernel,
    operation: Operation,
    rules: StageRules,
) -> tuple[Violation, ...]:
    """Return every rule of the stage that the candidate breaks; stage `open` asks only that it can run."""
    if stage not in STAGES:
        raise ValueError(f"unknown stage {stage!r}; known: {', '.join(STAGES)}")
    broken: list[tuple[str, str]] = []
    if stage == "final-micro-tuning":
        broken += _check_list(candidate, operation, rules)
        for record in candidate.configs:
            broken += check_config(record, accepted, operation, rules)
    named = (Violation(rule=rule, line=0, message=message) for rule, message in broken)
    return (*check_runs(candidate), *named)


def check_count(
    stage: str, candidate: CompiledKernel, accepted: CompiledKernel, rules: StageRules
) -> tuple[Violation, ...]:
    """Return the violation of a file that lists the accepted kernel's programs again and again.

    An autotuner tries each of them in every process.
    """
    most = max(rules.max_configs, len(accepted.configs))
    broken = _check_most(candidate, most) if stage == "final-micro-tuning" else ()
    return tuple(Violation(rule=rule, line=0, message=message) for rule, message in broken)


def _check_most(candidate: CompiledKernel, most: int) -> Iterator[tuple[str, str]]:
    if (count := len(candidate.configs)) > most:
        yield "config-count", f"{count} configurations, allowed {most}"


def _check_list(
    candidate: CompiledKernel, operation: Operation, rules: StageRules
) -> Iterator[tuple[str, str]]:
    count, original = len(candidate.configs), operation.original.config
    if not rules.min_configs <= count <= rules.max_configs:
        allowed = f"{rules.min_configs} to {rules.max_configs}"
        yield "config-count", f"{count} configurations, allowed {allowed}"
    if not any(
        record.config.blocks == original.blocks
        and record.config.num_warps == original.num_warps
        and record.config.num_stages in operation.original.stages
        for record in candidate.configs
    ):
        yield "original-missing", f"the original configuration ({original}) must always be among them"


def nearby_configs(
    operation: Operation, accepted: CompiledKernel, rules: StageRules
) -> tuple[KernelConfig, ...]:
    """Return every configuration that final micro-tuning may try, the original first.

    Which of their warps occupancy suggests is seen once they are compiled.
    """
    original = operation.original.config
    known = {
        record.config.num_stages for record in accepted.configs if record.config.blocks == original.blocks
    }
    step = rules.max_stages_step
    near = {stages for stages in rules.stages if any(abs(stages - before) <= step for before in known)}
    tried = [
        msgspec.structs.replace(original, num_warps=warps, num_stages=stages)
        for warps in sorted({*rules.warps, original.num_warps})
        for stages in sorted({*near, *operation.original.stages})
    ]
    return (original, *(config for config in tried if config != original))


def check_config(
    record: ConfigRecord, accepted: CompiledKernel, operation: Operation, rules: StageRules
) -> Iterator[tuple[str, str]]:
    """Yield each rule of final micro-tuning that a compiled configuration breaks, and how."""
    config, original = record.config, operation.original.config
    if config.blocks != original.blocks:
        yield "blocks-changed", f"{config}: BLOCK sizes are {config.blocks}, allowed {original.blocks}"
        return
    if record.error:
        yield "config-cannot-run", f"{config}: {record.error}"
        return
    if (config.num_ctas, config.max_registers) != (original.num_ctas, original.max_registers):
        yield "option-changed", f"{config}: only num_warps and num_stages may change in this stage"
    held_against = _nearest(record, accepted)
    if held_against is None:
        yield (
            "accepted-without-blocks",
            f"{config}: the accepted kernel runs no configuration of these blocks to hold it against",
        )
        return
    grids, allowed = (_grids(record), _grids(held_against))
    if grids != allowed:
        yield "grid-changed", f"{config}: launches grids {grids}, the accepted kernel launches {allowed}"
    elif (stored := _stored(record)) != (allowed_stored := _stored(held_against)):
        says = f"a program of each launch stores {stored} elements, the accepted kernel's {allowed_stored}"
        yield "grid-changed", f"{config}: {says}"
    yield from check_warps(record, held_against, rules)
    yield from _check_stages(record, accepted, operation, rules)


def check_warps(record: ConfigRecord, accepted: ConfigRecord, rules: StageRules) -> Iterator[tuple[str, str]]:
    """Yield if a configuration has other warps than the one it is held against, and gains nothing by it."""
    config = record.config
    if config.num_warps == accepted.config.num_warps:
        return
    if config.num_warps not in rules.warps:
        yield "warps-not-allowed", f"{config}: {config.num_warps} warps, allowed {rules.warps}"
    now, before = _warps(record), _warps(accepted)
    cures_spills = spilled_bytes(accepted) > 0 and spilled_bytes(record) == 0
    if now <= before and not cures_spills:
        yield (
            "warps-without-occupancy",
            f"{config}: {now} warps an SM, {before} with {accepted.config}: occupancy does not suggest it",
        )


def _check_stages(
    record: ConfigRecord, accepted: CompiledKernel, operation: Operation, rules: StageRules
) -> Iterator[tuple[str, str]]:
    stages = record.config.num_stages
    if stages in operation.original.stages:
        return
    if stages not in rules.stages:
        yield "stages-not-allowed", f"{record.config}: {stages} stages, allowed {rules.stages}"
    known = sorted({other.config.num_stages for other in accepted.configs if _same_blocks(record, other)})
    if all(abs(stages - before) > rules.max_stages_step for before in known):
        jumped = f"{record.config}: {stages} stages, the accepted kernel has {known}"
        yield "stages-jumped", f"{jumped}: by {rules.max_stages_step} at most"


def _nearest(record: ConfigRecord, accepted: CompiledKernel) -> ConfigRecord | None:
    """Return the accepted configuration of the same blocks, of the same warps if there is one."""
    same = [other for other in accepted.configs if other.launches and _same_blocks(record, other)]
    of_same_warps = [other for other in same if other.config.num_warps == record.config.num_warps]
    return next(iter(of_same_warps or sorted(same, key=_warps, reverse=True)), None)


def _same_blocks(first: ConfigRecord, second: ConfigRecord) -> bool:
    return first.config.blocks == second.config.blocks


def _grids(record: ConfigRecord) -> tuple[tuple[int, int, int], ...]:
    return tuple(launch.grid for launch in record.launches)


def _stored(record: ConfigRecord) -> tuple[int | None, ...]:
    return tuple(launch.stored for launch in record.launches)


def _warps(record: ConfigRecord) -> int:
    return min(launch.warps_per_sm for launch in record.launches)


def spilled_bytes(record: ConfigRecord) -> int:
    """Return what a thread of all launches stores and loads because registers do not suffice."""
    return sum(launch.spill_store_bytes + launch.spill_load_bytes for launch in record.launches)
