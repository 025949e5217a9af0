"""The correctness stage at work: on the GPUs at hand, in the interpreter where there is none."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec
import torch

from kernelgate.compilation.machine_code.compiled_kernel import CompiledKernel, Target, target_at_hand
from kernelgate.correctness.callers.book_calls import draw_from_book
from kernelgate.correctness.callers.plan_calls import PlanCaller
from kernelgate.correctness.callers.planner import MAX_RECORDERS, Planner
from kernelgate.correctness.callers.scout import scout
from kernelgate.correctness.callers.use_calls import UseCaller
from kernelgate.correctness.case import Case
from kernelgate.correctness.case_runner import CaseResult, CaseRunner
from kernelgate.correctness.coverage.both_sides import gather, near_cases
from kernelgate.correctness.coverage.watching import SEEDS_OF_NEAR, watch
from kernelgate.correctness.diagnosis.diagnose import diagnose
from kernelgate.correctness.lanes import WHOLE, Kind, Lane, lanes_of
from kernelgate.correctness.planning.hypothesis_profile import Profile
from kernelgate.correctness.planning.plan import (
    CasePlan,
    batches_of,
    plan_for_gpu,
    plan_for_interpreter,
    probe_cases,
)
from kernelgate.correctness.planning.programs import running_pins, samplable
from kernelgate.correctness.result import Correctness
from kernelgate.correctness.search import CaseSearch, explore, try_fewer_items
from kernelgate.execution.cards import ADA
from kernelgate.interpreter.memory.heap import keep_freed_memory
from kernelgate.kernel_file.named_sizes import named_items
from kernelgate.kernel_file.source import KernelFile
from kernelgate.machine.cores import usable_cores
from kernelgate.machine.gpu import GpuError, read_card_at_hand
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.settings import LawLimits
from kernelgate.verdict import Reason

MAX_INTERPRETERS = 4
"""Workers side by side: each may use several gigabytes at the end of the domain."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """How a kernel is tried; `entropy` seeds every draw, `replay` asks for one case and no other.

    `gpus` name those to use, as CUDA_VISIBLE_DEVICES would; none means the interpreter. With `by_book`
    the sandbox has a plan book of the file, which is not called.
    """

    gpus: tuple[str, ...]
    profile: Profile
    laws: LawLimits
    programs: int
    entropy: int
    replay: Case | None
    workers: int | None = None
    by_book: bool = False


def try_kernel(
    sandbox: Sandbox, kernel: KernelFile, compiled: CompiledKernel, trial: Trial, tick: Callable[[], None]
) -> Correctness:
    """Return the result of the stage for a kernel that was compiled before.

    Raises WorkerFault, kind `crowded`, if the GPU has not the memory that a worker is promised, kind
    `no-sandbox` if a worker cannot be confined, and GpuError if it has not what the judge needs beside that.
    """
    started = time.monotonic()
    with one_core_each(), _case_runners(sandbox, kernel, compiled, trial) as runners:
        case_runners, planner, pool = runners
        search = CaseSearch(case_runners, pool, tick)
        plan = _plan(search, kernel, compiled, trial)
        if plan is not None and trial.by_book:
            plan = draw_from_book(plan, case_runners[0], planner)
        if plan is not None:
            for case_runner in case_runners:
                case_runner.sampled, case_runner.covers_at = plan.sampled, plan.max_batch
            beside_gpu = partial(_watch, sandbox, kernel, compiled, trial)
            _judge(search, plan, trial, beside_gpu, partial(scout, planner, case_runners[0], plan))
        where = "GPU" if trial.gpus else "interpreter"
        seconds = time.monotonic() - started
        seen = search.conclude(where, trial.profile, trial.entropy, seconds, by_book=trial.by_book)
        if seen.finding is None:
            return seen
        runner = search.runner_for(seen.finding.case)
        found = diagnose(runner, seen.finding, Path(kernel.path).resolve())
        return msgspec.structs.replace(seen, finding=found)


@contextmanager
def one_core_each() -> Iterator[None]:
    """Keep PyTorch to one core: threads judge answers side by side, and share out none of their work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    keep_freed_memory()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _judge(
    search: CaseSearch,
    plan: CasePlan,
    trial: Trial,
    beside_gpu: Callable[[], list[CaseResult]],
    find_others: Callable[[], tuple[Case, ...]],
) -> None:
    """Judge all that is planned and drawn, and watch beside a GPU unless the first cases there fail.

    Where values decide something, others near the numbers that they are compared with are tried too; and
    other cases, if any are found, where the file does what it does in none of those planned.
    """
    try:
        search.judge_all(plan.planned[: len(trial.gpus)])
        beside = None if search.finding else search.pool.submit(beside_gpu)
        others = search.pool.submit(find_others) if plan.draws else None
        search.judge_all(plan.planned)
        if others is not None and search.finding is None:
            search.judge_all(others.result())
        if beside is not None:
            search.outcomes |= {each.case: each for each in beside.result()}
        if plan.draws:
            if search.finding is None:
                decided = gather(search.outcomes.values())
                operation, seed = plan.operation, trial.entropy + SEEDS_OF_NEAR + len(decided)
                search.judge_all(near_cases(operation, decided, seed))
            try_fewer_items(search, plan)
            if search.finding is None or not search.finding.case.near:
                explore(search, plan, trial.profile, trial.entropy)
            search.ask_both_sides()
    except torch.OutOfMemoryError as error:
        detail = f"too little memory is left on the GPU to judge an answer: {error}"
        raise GpuError(detail, Reason.GPU_MEMORY) from error


def _watch(sandbox: Sandbox, kernel: KernelFile, compiled: CompiledKernel, trial: Trial) -> list[CaseResult]:
    """Return what the interpreter shows beside a GPU, which hides a read whose value is dropped."""
    if not trial.gpus or trial.replay is not None:
        return []
    return watch(sandbox, kernel, compiled, trial.laws, trial.entropy)


def _plan(search: CaseSearch, kernel: KernelFile, compiled: CompiledKernel, trial: Trial) -> CasePlan | None:
    """Return the plan, None if a probe fails."""
    operation = search.case_runners[0].operation
    named = batches_of(kernel, operation)
    if trial.gpus:
        swept, calls_file = trial.profile.swept, not trial.by_book
        plan = plan_for_gpu(operation, compiled, named, trial.entropy, swept=swept, calls_file=calls_file)
        return _or_replay(plan, trial.replay)
    probed = _probe(search, compiled, trial)
    ran = [each.first for each in probed if each.first is not None]
    if len(ran) < len(probed) and trial.replay is None:
        return None
    sampled = samplable([launch for each in ran for launch in each.launches], compiled)
    plan = plan_for_interpreter(operation, compiled, named, sampled, trial.programs, trial.entropy)
    return _or_replay(plan, trial.replay)


def _probe(search: CaseSearch, compiled: CompiledKernel, trial: Trial) -> list[CaseResult]:
    """Return what the first cases showed, as far as they were tried: one that fails ends them."""
    probes = probe_cases(compiled, trial.entropy)
    if trial.replay is not None:
        # For a replay one tells what can be sampled; how it ends is no part of the answer.
        return [search.case_runners[0].run(probes[0])]
    search.judge_all(probes)
    return list(search.outcomes.values())


def _or_replay(plan: CasePlan, replay: Case | None) -> CasePlan:
    return plan if replay is None else msgspec.structs.replace(plan, planned=(replay,), draws=False)


@contextmanager
def _case_runners(
    sandbox: Sandbox, kernel: KernelFile, compiled: CompiledKernel, trial: Trial
) -> Iterator[tuple[list[CaseRunner], Planner, ThreadPoolExecutor]]:
    """Give a case runner for each GPU, or some for the interpreter, planner and threads; workers end with it.

    Beside a GPU's plans the file itself is called there, unless they are those of a book.
    """
    cores = usable_cores()
    planner = Planner(sandbox, kernel, _target(sandbox, trial), min(max(1, cores // 2), MAX_RECORDERS))
    places = _places(sandbox, trial) or [("", WHOLE)] * (trial.workers or min(cores, MAX_INTERPRETERS))
    runners = [_case_runner(planner, gpu, lane, compiled, trial) for gpu, lane in places]
    for each in runners:
        each.named_items = named_items(kernel, sandbox.operation.pixels)
    with ThreadPoolExecutor(len(runners) + 2) as pool:
        try:
            yield runners, planner, pool
        finally:
            for each in runners:
                each.close()
            planner.close()


def _places(sandbox: Sandbox, trial: Trial) -> list[tuple[str, Lane]]:
    """Return the lanes of every GPU, with the GPU that each is on."""
    if not trial.gpus:
        return []
    spare = torch.cuda.get_device_properties(0).total_memory - sandbox.limits.gpu_memory_bytes
    # The lanes of one GPU side by side: the first cases go to all GPUs.
    return [(gpu, lane) for lane in lanes_of(spare) for gpu in trial.gpus]


def _case_runner(
    planner: Planner, gpu: str, lane: Lane, compiled: CompiledKernel, trial: Trial
) -> CaseRunner:
    caller = PlanCaller(planner, gpu)
    calls_file = gpu and Kind.FILE in lane and not trial.by_book
    user = UseCaller(caller, running_pins(compiled)) if calls_file else None
    return CaseRunner(caller, trial.laws, user=user, lane=lane)


def _target(sandbox: Sandbox, trial: Trial) -> Target:
    """Return what launch plans are recorded for: the GPU at hand, an RTX 4090 where there is none."""
    card = read_card_at_hand() if trial.gpus else None
    if card is None:
        return Target(capability=ADA.capability)
    return target_at_hand(card.capability, sandbox.ada_on)
