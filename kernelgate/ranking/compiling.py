"""Each kernel of a race compiled for the GPU at hand, all in one sandbox."""

from collections.abc import Sequence

from kernelgate.compilation.compiler import TooManyConfigsError, compile_each
from kernelgate.compilation.machine_code.compiled_kernel import CompiledKernel, target_at_hand
from kernelgate.compilation.recording import UnplannedError
from kernelgate.compilation.timed_plans import find_plans
from kernelgate.kernel_file.source import KernelFile
from kernelgate.machine.cores import usable_cores
from kernelgate.machine.gpu import Gpu
from kernelgate.ranking.race import RankError
from kernelgate.sandbox.blame import blame
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.verdict import Reason, Verdict, conclude


def compile_racers(
    sandbox: Sandbox, kernels: Sequence[KernelFile], accepted: KernelFile | None, gpu: Gpu
) -> dict[str, Verdict]:
    """Return why those kernels cannot be timed that do not compile, by their sha256; the others can.

    Raises RankError if the accepted kernel does not.
    """
    wanted = {each.sha256: each for each in (*kernels, accepted) if each is not None}
    target = target_at_hand(gpu.capability, None)
    done = compile_each(sandbox, {kernel: [target] for kernel in wanted.values()}, usable_cores())
    faults = {kernel.sha256: why for kernel, each in done.items() if (why := _why_not(sandbox, kernel, each))}
    if accepted is not None and accepted.sha256 in faults:
        raise RankError(f"the accepted kernel cannot be timed: {faults[accepted.sha256].detail}")
    return faults


def _why_not(
    sandbox: Sandbox, kernel: KernelFile, done: list[CompiledKernel] | BaseException
) -> Verdict | None:
    """Return why a kernel cannot be timed, None if it can."""
    try:
        if isinstance(done, BaseException):
            raise done
        find_plans(sandbox, kernel)
    except WorkerFault as fault:
        return blame(fault, kernel.path, is_candidate=True)
    except UnplannedError as error:
        reason = Reason.of(error.reason)
        return conclude(reason.outcome, reason, f"{kernel.path}: {error}")
    except TooManyConfigsError as error:
        return conclude(Reason.TOO_MANY_CONFIGS.outcome, Reason.TOO_MANY_CONFIGS, str(error))
    return None
