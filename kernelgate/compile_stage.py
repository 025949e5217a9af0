"""The compile stage: candidate and accepted kernel for each target, what changed, and is it the same code."""

from pathlib import Path

import msgspec

from kernelgate.baselines import BaselineError, CompileRecord, load_compile
from kernelgate.candidate import KernelFile
from kernelgate.compile_check import CompiledKernel, compile_kernel, describe_changes, describe_twins
from kernelgate.environment import assembler_version, triton_version
from kernelgate.renaming import same_host_code
from kernelgate.workplace import Workplace

ADA = 89
"""The target of the project, an RTX 4090; every kernel file is compiled for it, whatever the GPU at hand."""


class CompileResult(msgspec.Struct, frozen=True, kw_only=True):
    """Both kernels on sm_89; `same_code` holds on every target, and for the host code too."""

    candidate: CompiledKernel
    accepted: CompiledKernel
    targets: tuple[str, ...]
    accepted_from_record: bool
    same_code: bool
    changes: tuple[str, ...]
    twins: tuple[str, ...]


def compile_both(
    workplace: Workplace,
    candidate: KernelFile,
    accepted: KernelFile,
    record: CompileRecord | None,
    targets: list[int],
) -> CompileResult:
    """Return both kernels compiled for every target.

    The record spares the accepted kernel's compile for sm_89 where it was made of the same bytes by the same
    compiler. Raises ContestantFault and TooManyConfigsError as `compile_kernel` does.
    """
    usable = record is not None and _matches(record, accepted)
    ours = compile_kernel(workplace, candidate, targets)
    if candidate.sha256 == accepted.sha256:
        theirs = ours
    elif record is not None and usable:
        known = CompiledKernel(
            target=record.target, kernel_sha256=record.kernel_sha256, configs=record.configs
        )
        others = [target for target in targets if target != ADA]
        compiled = compile_kernel(workplace, accepted, others) if others else []
        theirs = [known if target == ADA else compiled[others.index(target)] for target in targets]
    else:
        theirs = compile_kernel(workplace, accepted, targets)
    same_programs = all(
        mine.programs() == other.programs() != frozenset() for mine, other in zip(ours, theirs, strict=True)
    )
    on_ada = targets.index(ADA)
    return CompileResult(
        candidate=ours[on_ada],
        accepted=theirs[on_ada],
        targets=tuple(f"sm_{target}" for target in targets),
        accepted_from_record=usable,
        same_code=same_programs and same_host_code(candidate, accepted),
        changes=describe_changes(ours[on_ada], theirs[on_ada]),
        twins=describe_twins(ours[on_ada]),
    )


def make_compile_record(operation: str, compiled: CompiledKernel) -> CompileRecord:
    """Return the record that the compiled kernel would have as the accepted one."""
    return CompileRecord(
        operation=operation,
        target=compiled.target,
        kernel_sha256=compiled.kernel_sha256,
        triton=triton_version(),
        ptxas=assembler_version(),
        configs=compiled.configs,
        history=(),
    )


def load_compile_record(path: Path, operation: str) -> CompileRecord | None:
    """Return the stored record for sm_89, None if there is none; raises BaselineError for a broken one."""
    try:
        return load_compile(path, operation=operation, target=f"sm_{ADA}")
    except BaselineError as error:
        if error.reason == "missing":
            return None
        raise


def _matches(record: CompileRecord, accepted: KernelFile) -> bool:
    made_of = (record.kernel_sha256, record.triton, record.ptxas)
    return made_of == (accepted.sha256, triton_version(), assembler_version())
