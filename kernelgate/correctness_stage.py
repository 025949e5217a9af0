"""The correctness stage at work: on the GPUs at hand, in the interpreter where there is none."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import msgspec
import torch

from kernelgate import wire
from kernelgate.candidate import KernelFile
from kernelgate.case_plan import CasePlan, plan_for_gpu, plan_for_interpreter, probe_cases, samplable
from kernelgate.cases import Case
from kernelgate.compile_check import CompiledKernel
from kernelgate.correctness import Correctness, Examination, explore
from kernelgate.examiner import Examined, Examiner
from kernelgate.gpu import GpuError
from kernelgate.literals import named_batches
from kernelgate.profiles import Profile
from kernelgate.runners import Runner
from kernelgate.workplace import Workplace

MAX_INTERPRETERS = 4
"""Contestants side by side: each may use several gigabytes at the end of the domain."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """How a kernel is tried; `entropy` seeds every draw, `replay` asks for one case and no other.

    `gpus` name those to use, as CUDA_VISIBLE_DEVICES would; none means the interpreter.
    """

    gpus: tuple[str, ...]
    profile: Profile
    programs: int
    entropy: int
    replay: Case | None
    workers: int | None = None


def try_kernel(
    workplace: Workplace, kernel: KernelFile, compiled: CompiledKernel, trial: Trial, tick: Callable[[], None]
) -> Correctness:
    """Return the result of the stage for a kernel that was compiled before.

    Raises ContestantFault, kind `crowded`, if the GPU has not the memory that a contestant is promised, and
    GpuError if it has not what the judge needs beside that.
    """
    started = time.monotonic()
    with _examiners(workplace, kernel, trial) as (examiners, pool):
        examination = Examination(examiners, pool, tick)
        plan = _plan(examination, kernel, compiled, trial)
        if plan is not None:
            for examiner in examiners:
                examiner.sampled = plan.sampled
            watch = partial(_watch_memory, workplace, kernel, compiled, trial)
            _judge(examination, plan, trial, watch)
        where = "GPU" if trial.gpus else "interpreter"
        return examination.conclude(where, trial.profile, trial.entropy, time.monotonic() - started)


def _judge(
    examination: Examination, plan: CasePlan, trial: Trial, watch: Callable[[], Examined | None]
) -> None:
    """Judge all that is planned and drawn, and watch beside a GPU unless the first cases there fail."""
    try:
        examination.judge_all(plan.planned[: len(trial.gpus)])
        beside = None if examination.finding else examination.pool.submit(watch)
        examination.judge_all(plan.planned)
        if plan.draws:
            explore(examination, plan, trial.profile, trial.entropy)
        if beside is not None and (watched := beside.result()) is not None:
            examination.outcomes[watched.case] = watched
    except torch.OutOfMemoryError as error:
        raise GpuError(f"too little memory is left on the GPU to judge an answer: {error}") from error


def _watch_memory(
    workplace: Workplace, kernel: KernelFile, compiled: CompiledKernel, trial: Trial
) -> Examined | None:
    """Return what one interpreted image shows beside a GPU, which hides a read whose value is dropped."""
    if not trial.gpus or trial.replay is not None:
        return None
    runner = Runner(workplace, kernel, "interpret")
    try:
        watched = Examiner(runner).examine(probe_cases(compiled, trial.entropy)[0])
    finally:
        runner.close()
    if watched.finding is None:
        return watched
    detail = f"in the interpreter (to replay it, set CUDA_VISIBLE_DEVICES=): {watched.finding.detail}"
    return msgspec.structs.replace(watched, finding=msgspec.structs.replace(watched.finding, detail=detail))


def _plan(
    examination: Examination, kernel: KernelFile, compiled: CompiledKernel, trial: Trial
) -> CasePlan | None:
    """Return the plan, None if a probe fails."""
    operation = examination.examiners[0].operation
    named = named_batches(kernel, operation.max_batch)
    if trial.gpus:
        return _or_replay(plan_for_gpu(operation, compiled, named, trial.entropy), trial.replay)
    probed = _probe(examination, compiled, trial)
    runs = [each.first_run for each in probed if each.first_run is not None]
    if len(runs) < len(probed) and trial.replay is None:
        return None
    sampled = samplable([launch for run in runs for launch in run.ran.launches])
    plan = plan_for_interpreter(operation, compiled, named, sampled, trial.programs, trial.entropy)
    return _or_replay(plan, trial.replay)


def _probe(examination: Examination, compiled: CompiledKernel, trial: Trial) -> list[Examined]:
    """Return what the first cases showed, as far as they were tried: one that fails ends them."""
    probes = probe_cases(compiled, trial.entropy)
    if trial.replay is not None:
        # For a replay one tells what can be sampled; how it ends is no part of the answer.
        return [examination.examiners[0].examine(probes[0])]
    examination.judge_all(probes)
    return list(examination.outcomes.values())


def _or_replay(plan: CasePlan, replay: Case | None) -> CasePlan:
    return plan if replay is None else msgspec.structs.replace(plan, planned=(replay,), draws=False)


@contextmanager
def _examiners(
    workplace: Workplace, kernel: KernelFile, trial: Trial
) -> Iterator[tuple[list[Examiner], ThreadPoolExecutor]]:
    """Give one examiner a GPU, or some for the interpreter, and threads for them; contestants end with it."""
    workers = trial.workers or min(os.cpu_count() or 1, MAX_INTERPRETERS)
    places = trial.gpus or ("",) * workers
    mode: wire.Mode = "gpu" if trial.gpus else "interpret"
    runners = [Runner(workplace, kernel, mode, gpu) for gpu in places]
    with ThreadPoolExecutor(len(runners) + 1) as pool:
        try:
            yield [Examiner(runner) for runner in runners], pool
        finally:
            for runner in runners:
                runner.close()
