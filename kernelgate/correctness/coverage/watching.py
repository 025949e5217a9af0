"""What the interpreter sees beside a GPU: reads whose value is dropped, and which way decisions go."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from kernelgate.compilation.machine_code.compiled_kernel import CompiledKernel, Target
from kernelgate.correctness.callers.plan_calls import PlanCaller
from kernelgate.correctness.callers.planner import Planner
from kernelgate.correctness.case import Case
from kernelgate.correctness.case_runner import CaseResult, CaseRunner
from kernelgate.correctness.coverage.both_sides import family_cases, gather, near_cases
from kernelgate.correctness.planning.plan import probe_cases
from kernelgate.correctness.planning.planned_cases import families_of
from kernelgate.kernel_file.source import KernelFile
from kernelgate.operations.declaration.operation import Operation
from kernelgate.sandbox.faults import FaultKind
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.settings import LawLimits

SEEDS_OF_FAMILIES, SEEDS_OF_NEAR = 10_000, 20_000
"""Far behind those of planned cases: equal cases are tried once."""


def watch(
    sandbox: Sandbox, kernel: KernelFile, compiled: CompiledKernel, limits: LawLimits, entropy: int
) -> list[CaseResult]:
    """Return what one item of each configuration shows, and more values where these decide something.

    It ends at the first case that fails, or that the interpreter lacks an operation for: the GPU has run it.
    """
    found: list[CaseResult] = []
    with _interpreting(sandbox, kernel, compiled, limits) as case_runner:
        for case in _cases(sandbox.operation, compiled, entropy, found):
            try:
                found.append(_told(case_runner.run(case)))
            except WorkerFault as fault:
                if fault.kind is not FaultKind.NOT_INTERPRETED:
                    raise
                return found
            if found[-1].finding is not None:
                return found
    return found


def _cases(
    operation: Operation, compiled: CompiledKernel, entropy: int, found: Sequence[CaseResult]
) -> Iterator[Case]:
    """Yield the cases, those that depend on decisions once others have shown these."""
    yield from probe_cases(compiled, entropy)
    if any(each.decisions for each in found):
        deciding = next(each.case.pin for each in found if each.decisions)
        yield from family_cases(deciding, families_of(operation), entropy + SEEDS_OF_FAMILIES)
        yield from near_cases(operation, gather(found), entropy + SEEDS_OF_NEAR)


@contextmanager
def _interpreting(
    sandbox: Sandbox, kernel: KernelFile, compiled: CompiledKernel, limits: LawLimits
) -> Iterator[CaseRunner]:
    with Planner(sandbox, kernel, Target(capability=compiled.capability)) as planner:
        caller = PlanCaller(planner)
        try:
            yield CaseRunner(caller, limits)
        finally:
            caller.close()


def _told(watched: CaseResult) -> CaseResult:
    """Return the result with how to see its finding again."""
    if watched.finding is None:
        return watched
    detail = f"in the interpreter (to replay it, set CUDA_VISIBLE_DEVICES=): {watched.finding.detail}"
    return msgspec.structs.replace(watched, finding=msgspec.structs.replace(watched.finding, detail=detail))
