"""The compile stage: candidate and accepted kernel for each target, what changed, and is it the same code."""

from collections.abc import Mapping, Sequence

import msgspec

from kernelgate.baselines.folder import RecordFolder
from kernelgate.baselines.kernels import Kernels
from kernelgate.baselines.records import CompileRecord
from kernelgate.baselines.store import ABSENT, BaselineError, load_compile
from kernelgate.compilation.compare import describe_changes, describe_twins
from kernelgate.compilation.compiled_before import COMPILED_BEFORE
from kernelgate.compilation.compiler import compile_kernels
from kernelgate.compilation.machine_code.compiled_kernel import CompiledKernel, Target, target_at_hand
from kernelgate.compilation.machine_code.ptx import narrower_than
from kernelgate.kernel_file.same_source import same_source
from kernelgate.kernel_file.source import KernelFile
from kernelgate.machine.versions import assembler_version, triton_version
from kernelgate.operations.declaration.operation import Operation
from kernelgate.sandbox.sandbox import Sandbox

ADA = 89
"""The target of the project, an RTX 4090; every kernel file is compiled for it, whatever the GPU at hand."""


OTHER_SPECIALISATIONS = (1, 3)
"""The JIT makes programs of their own for a batch of 1 and for one that 16 does not divide."""


class CompileResult(msgspec.Struct, frozen=True, kw_only=True, tag="compile"):
    """Both kernels on sm_89, None where PyTorch stands in the accepted one's place.

    `at_hand` is the candidate on the GPU at hand, sm_89 where there is none. `same_code` holds on every
    target, and for the source too.
    """

    candidate: CompiledKernel
    accepted: CompiledKernel | None
    at_hand: CompiledKernel
    accepted_from_record: bool
    same_code: bool
    changes: tuple[str, ...]
    twins: tuple[str, ...]


def compile_all(
    sandbox: Sandbox, kernels: Kernels, record: CompileRecord | None, gpu_capability: int | None
) -> CompileResult:
    """Return candidate and accepted kernel compiled for sm_89 and for the GPU at hand.

    In a sandbox with `ada_on` the latter gets the PTX of sm_89.
    For a GPU the original is compiled too, for the timing. Without one the record spares the accepted kernel
    its compile, if made of the same bytes by the same compiler. Raises WorkerFault and
    TooManyConfigsError as `compile_kernels` does.
    """
    usable = gpu_capability is None and _is_of(record, kernels.accepted)
    held_against = [] if gpu_capability is None else [kernels.original]
    held_against += [] if usable else [kernels.accepted]
    wanted = {each.sha256: each for each in (*held_against, kernels.candidate) if each is not None}
    targets = {
        kernel: _targets(gpu_capability, sandbox.ada_on, kernel is kernels.candidate)
        for kernel in wanted.values()
    }
    done = _compile(sandbox, targets, kernels.candidate)
    compiled = {kernel.sha256: each for kernel, each in done.items()}
    if kernels.accepted is None:
        return _alone(compiled[kernels.candidate.sha256])
    if usable and record is not None:
        compiled.setdefault(kernels.accepted.sha256, [_from_record(record)])
    ours, theirs = compiled[kernels.candidate.sha256], compiled[kernels.accepted.sha256]
    same_programs = all(
        mine.programs() == other.programs() != frozenset() and mine.refused() == other.refused()
        for mine, other in zip(ours, theirs, strict=True)
    )
    return msgspec.structs.replace(
        _alone(ours),
        accepted=theirs[0],
        accepted_from_record=usable,
        same_code=same_programs and same_source(kernels.candidate, kernels.accepted),
        changes=describe_changes(ours[0], theirs[0]),
    )


def _compile(
    sandbox: Sandbox, wanted: Mapping[KernelFile, Sequence[Target]], candidate: KernelFile
) -> dict[KernelFile, list[CompiledKernel]]:
    """Return what each file compiles to; what a candidate is held against is compiled once a process."""
    known = {
        kernel: before
        for kernel, targets in wanted.items()
        if kernel is not candidate and (before := COMPILED_BEFORE.find(sandbox, kernel, targets))
    }
    fresh = {kernel: targets for kernel, targets in wanted.items() if kernel not in known}
    done = compile_kernels(sandbox, fresh)
    for kernel, compiled in done.items():
        if kernel is not candidate:
            COMPILED_BEFORE.keep(sandbox, kernel, fresh[kernel], compiled)
    return known | done


def _alone(ours: list[CompiledKernel]) -> CompileResult:
    """Return what is known of the candidate, for each target, with nothing to hold it against."""
    return CompileResult(
        candidate=ours[0],
        accepted=None,
        at_hand=ours[-1],
        accepted_from_record=False,
        same_code=False,
        changes=(),
        twins=describe_twins(ours[0]),
    )


def describe_narrow(compiled: CompileResult, operation: Operation) -> str:
    """Return which configuration computes in less than the declared math, and by what; empty if none does."""
    for kernel in (compiled.candidate, compiled.at_hand):
        for record in kernel.configs:
            found = {name for launch in record.launches for name in launch.narrow}
            if narrow := sorted(narrower_than(operation.dtype, found)):
                less = f"computes in less than the declared {operation.math} on {kernel.target}"
                return f"{record.config}: {less}: {', '.join(narrow)}"
    return ""


def _targets(gpu_capability: int | None, ada_on: int | None, is_candidate: bool) -> list[Target]:
    if gpu_capability is None:
        return [Target(capability=ADA)]
    on_gpu = target_at_hand(gpu_capability, ada_on, OTHER_SPECIALISATIONS if is_candidate else ())
    return [on_gpu] if gpu_capability == ADA else [Target(capability=ADA), on_gpu]


def _from_record(record: CompileRecord) -> CompiledKernel:
    return CompiledKernel(target=record.target, kernel_sha256=record.kernel_sha256, configs=record.configs)


def make_compile_record(records: RecordFolder, compiled: CompiledKernel) -> CompileRecord:
    """Return the record that the compiled kernel would have as the accepted one."""
    return CompileRecord(
        operation=records.name,
        target=compiled.target,
        kernel_sha256=compiled.kernel_sha256,
        triton=triton_version(),
        ptxas=assembler_version(),
        configs=compiled.configs,
        history=(),
        problem=records.problem,
    )


def load_compile_record(records: RecordFolder) -> CompileRecord | None:
    """Return the stored record for sm_89, None if there is none of the problem file as it is now.

    Raises BaselineError for a broken one.
    """
    target = f"sm_{ADA}"
    try:
        return load_compile(
            records.path(target), operation=records.name, target=target, problem=records.problem
        )
    except BaselineError as error:
        if error.reason in ABSENT:
            return None
        raise


def _is_of(record: CompileRecord | None, accepted: KernelFile | None) -> bool:
    """Whether the record spares the accepted kernel its compile."""
    if record is None or accepted is None:
        return False
    made_of = (record.kernel_sha256, record.triton, record.ptxas)
    return made_of == (accepted.sha256, triton_version(), assembler_version())
