"""The plans that a kernel file is timed by on the GPU at hand: one for each of its different programs."""

from collections.abc import Sequence

import msgspec

from kernelgate.baselines.compiled import ConfigRecord
from kernelgate.compilation.compare_calls import compare_calls
from kernelgate.compilation.recorders import Recorder
from kernelgate.compilation.recording import PlannedCall, Recorded, UnplannedError
from kernelgate.execution.launch_plan import CallForm
from kernelgate.execution.timed_plan import TimedPlan
from kernelgate.kernel_file.source import KernelFile
from kernelgate.sandbox.sandbox import Sandbox

SECOND_CALL = CallForm(call=1)
"""What it leaves out every later call leaves out: the compile stage compares a twentieth as well."""


def plan_for_timing(
    recorder: Recorder, call: PlannedCall, plain: Recorded, kernel_sha256: str
) -> TimedPlan | None:
    """Return the plan of a configuration as it is timed, None if it cannot run; raises UnplannedError."""
    if plain.stored is None:
        return None
    second = recorder.record(msgspec.structs.replace(call, form=SECOND_CALL))
    if second.broken is not None:
        raise UnplannedError(kernel_sha256, *second.broken)
    if second.stored is None:
        raise UnplannedError(kernel_sha256, "calls-differ", f"at a second call: {second.refused}")
    compared = compare_calls(plain, second)
    if compared.difference:
        raise UnplannedError(kernel_sha256, "calls-differ", f"at a second call: {compared.difference}")
    return TimedPlan(stored=plain.stored, prepared=compared.left_out)


def different_plans(
    records: Sequence[ConfigRecord], plans: Sequence[TimedPlan | None]
) -> tuple[TimedPlan, ...]:
    """Return the plans that do something else than those before them; those that cannot run are left out."""
    kept = {id(each) for each in different_records(records)}
    return tuple(
        plan for each, plan in zip(records, plans, strict=True) if plan is not None and id(each) in kept
    )


def different_records(records: Sequence[ConfigRecord]) -> list[ConfigRecord]:
    """Return the first of the records that do the same; those that cannot run are left out."""
    first: dict[str, ConfigRecord] = {}
    for each in records:
        if each.launches:
            first.setdefault(each.plan_sha256, each)
    return list(first.values())


def name_plan(plan: TimedPlan) -> str:
    """Return what a report calls the configuration of a plan."""
    return str(plan.stored.plan.config or "no configurations")


def find_plans(sandbox: Sandbox, kernel: KernelFile) -> tuple[TimedPlan, ...]:
    """Return the plans that the compile of a kernel file for the GPU at hand has left.

    Raises UnplannedError if there are none: no configuration of the file runs on this GPU.
    """
    plans = sandbox.timed_plans.get(kernel.sha256, ())
    if not plans:
        detail = f"{kernel.path}: no configuration runs on the GPU at hand"
        raise UnplannedError(kernel.sha256, "raises", detail)
    return plans
