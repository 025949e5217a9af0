"""The correctness stage at work: on the GPU at hand, in the interpreter where there is none."""

from collections.abc import Callable

import msgspec

from kernelgate.candidate import KernelFile
from kernelgate.case_plan import CasePlan, plan_for_gpu, plan_for_interpreter
from kernelgate.cases import Case
from kernelgate.compile_check import CompiledKernel
from kernelgate.correctness import Correctness, Examiner, check_correctness
from kernelgate.runners import Runner
from kernelgate.settings import CorrectnessSettings
from kernelgate.workplace import Workplace


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """How a kernel is tried; `entropy` seeds every draw, `replay` asks for one case and no other."""

    on_gpu: bool
    settings: CorrectnessSettings
    entropy: int
    replay: Case | None


def try_kernel(
    workplace: Workplace, kernel: KernelFile, compiled: CompiledKernel, trial: Trial, tick: Callable[[], None]
) -> Correctness:
    """Return the result of the stage for a kernel that was compiled before."""
    runner = Runner(workplace, kernel, "gpu" if trial.on_gpu else "interpret")
    try:
        examiner = Examiner(workplace.operation, runner, tick)
        return check_correctness(examiner, _plan(workplace, compiled, trial), trial.settings, trial.entropy)
    finally:
        runner.close()


def _plan(workplace: Workplace, compiled: CompiledKernel, trial: Trial) -> CasePlan:
    if trial.on_gpu:
        plan = plan_for_gpu(workplace.operation, compiled, trial.entropy)
    else:
        programs = trial.settings.sampled_programs
        plan = plan_for_interpreter(workplace.operation, compiled, programs, trial.entropy)
    if trial.replay is not None:
        return msgspec.structs.replace(plan, planned=(trial.replay,), draws=False)
    return plan
