"""Compiling every configuration of kernel files, with no GPU."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import msgspec

from kernelgate import protocol
from kernelgate.baselines.compiled import ConfigRecord, LaunchRecord
from kernelgate.compilation.crew import Crew
from kernelgate.compilation.forms import try_forms, try_imports
from kernelgate.compilation.machine_code.compiled_kernel import CompiledKernel, Target
from kernelgate.compilation.machine_code.cubin import CubinError
from kernelgate.compilation.machine_code.launch_record import digest_work, measure_launches
from kernelgate.compilation.recorders import Recorder, open_recorder
from kernelgate.compilation.recording import PlannedCall, Recorded, UnplannedError
from kernelgate.compilation.timed_plans import different_plans, plan_for_timing
from kernelgate.execution.plan_check import PlanError
from kernelgate.execution.timed_plan import TimedPlan
from kernelgate.execution.work import PlanWork, weigh_plan
from kernelgate.kernel_file.source import KernelFile
from kernelgate.machine.cores import usable_cores
from kernelgate.operations.declaration.kernel_config import KernelConfig
from kernelgate.sandbox.faults import FaultKind
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.worker_process import WorkerFault

Compiles = dict[KernelFile, list[CompiledKernel] | BaseException]
"""Each kernel file compiled for each of its targets, or why it is not."""


class TooManyConfigsError(ValueError):
    """The file has more configurations than the gate will compile."""


Task = tuple[Target, int, list[int]]
"""Target, batch, and the pins to compile for them."""


class Planned(NamedTuple):
    """What the recorder said of a configuration, what that launches, and its plan for timing if wanted."""

    recorded: Recorded
    launches: tuple[LaunchRecord, ...] = ()
    work: PlanWork | None = None
    timed: TimedPlan | None = None


Answers = dict[tuple[Target, int, int], Planned]
"""By target, batch and pin."""


def compile_kernels(
    sandbox: Sandbox, kernels: Mapping[KernelFile, Sequence[Target]]
) -> dict[KernelFile, list[CompiledKernel]]:
    """Return each kernel file compiled for each of its targets, side by side over the processor's cores.

    Raises WorkerFault if a file fails, TooManyConfigsError if one has too many configurations, and
    UnplannedError if a call of one is no launch plan.
    """
    return _all_done(compile_each(sandbox, kernels, usable_cores()))


def compile_kernel(
    sandbox: Sandbox, kernel: KernelFile, targets: Sequence[Target], workers: int
) -> list[CompiledKernel]:
    """Return every configuration of the file at the measured batch, for each target.

    Raises what `compile_kernels` raises.
    """
    return _all_done(compile_each(sandbox, {kernel: targets}, workers))[kernel]


def compile_each(sandbox: Sandbox, kernels: Mapping[KernelFile, Sequence[Target]], workers: int) -> Compiles:
    """Return each kernel file compiled, or what `compile_kernels` would raise."""
    jobs = [_FileToCompile(sandbox, kernel, targets) for kernel, targets in kernels.items()]
    errors = Crew(jobs).work_off(workers)
    return {job.kernel: error or job.result() for job, error in zip(jobs, errors, strict=True)}


def _all_done(compiles: Compiles) -> dict[KernelFile, list[CompiledKernel]]:
    for each in compiles.values():
        if isinstance(each, BaseException):
            raise each
    return {kernel: each for kernel, each in compiles.items() if not isinstance(each, BaseException)}


class _FileToCompile:
    """One kernel file: what it has, and the plans of its calls so far."""

    def __init__(self, sandbox: Sandbox, kernel: KernelFile, targets: Sequence[Target]) -> None:
        self.sandbox, self.kernel, self.targets = sandbox, kernel, targets
        self.loaded = protocol.Loaded(autotuned=())
        self.answers: Answers = {}

    def open(self) -> Recorder:
        """Return one more recorder of the file, which it has imported; raises WorkerFault."""
        recorder = open_recorder(self.sandbox, self.kernel, self.kernel.sha256)
        self.loaded = recorder.load()
        return recorder

    def plan(self) -> list[Task]:
        """Return what is to be recorded; raises TooManyConfigsError."""
        pins, allowed = count_pins(self.loaded), self.sandbox.limits.open_configs
        if pins > allowed:
            raise TooManyConfigsError(f"{self.kernel.path}: {pins} configurations, allowed {allowed}")
        measured = self.sandbox.operation.measured_batch
        return _list_tasks(_group_pins(self.loaded), self.targets, measured)

    def do(self, hand: Recorder, task: Task) -> None:
        """Record the plans of a task; raises WorkerFault, UnplannedError."""
        with self._own_faults():
            of_task = _record_task(self.sandbox, hand, self.kernel, task, self.loaded.asks_time)
            self.answers.update(of_task)

    def result(self) -> list[CompiledKernel] | WorkerFault:
        """Return what was compiled for each target."""
        try:
            with self._own_faults():
                return [
                    _keep(self.sandbox, self.kernel, self.loaded, target, self.answers)
                    for target in self.targets
                ]
        except WorkerFault as fault:
            return fault

    @contextmanager
    def _own_faults(self) -> Iterator[None]:
        """Lay what is no compiled kernel to the process that sent it."""
        try:
            yield
        except (CubinError, PlanError) as error:
            detail = f"sent what is no compiled kernel: {error}"
            raise WorkerFault(FaultKind.PROTOCOL, detail, self.kernel.sha256) from error


def count_pins(loaded: protocol.Loaded) -> int:
    """Return how many configurations there are to pin: those of the autotuned kernel that has most."""
    return max((len(tuned.configs) for tuned in loaded.autotuned), default=1)


def _group_pins(loaded: protocol.Loaded) -> list[list[int]]:
    """Return the pins in groups that may be one program, which one process then compiles once."""
    groups: dict[str, list[int]] = {}
    for pin, config in enumerate(_named_configs(loaded)):
        groups.setdefault(str(msgspec.structs.replace(config, num_stages=0)), []).append(pin)
    return list(groups.values()) or [[0]]


def _list_tasks(groups: Sequence[list[int]], targets: Sequence[Target], measured: int) -> list[Task]:
    """Return what is to be recorded, the longest tasks first.

    Every form of the measured call is tried in the first configuration. Of the others the largest blocks
    compile longest, and tend to stand last.
    """
    tasks = [
        (target, batch, group)
        for target in targets
        for batch in (measured, *target.batches)
        for group in reversed(groups)
    ]
    return sorted(tasks, key=lambda task: task[1:] != (measured, groups[0]))


def _record_task(
    sandbox: Sandbox, recorder: Recorder, kernel: KernelFile, task: Task, asks_time: bool
) -> Answers:
    """Return the plans of a task; of the first configuration every form of the measured call is tried."""
    target, batch, pins = task
    is_measured = batch == sandbox.operation.measured_batch
    answers: Answers = {}
    for pin in pins:
        call = PlannedCall(batch=batch, pin=pin, card=target.gpu, assembled_for=target.card)
        recorded = recorder.record(call)
        broken = recorded.broken
        if pin == 0 and is_measured and broken is None:
            broken = try_forms(sandbox.operation, recorder, call, recorded)
            if broken is None and asks_time:
                broken = try_imports(sandbox, kernel, call, recorded)
        if broken is not None:
            raise UnplannedError(kernel.sha256, *broken)
        planned = Planned(recorded)
        if is_measured and recorded.stored is not None:
            planned = Planned(
                recorded,
                launches=tuple(measure_launches(recorded.stored, target.card or target.capability)),
                work=weigh_plan(recorded.stored, sandbox.operation),
            )
        if target.is_timed and is_measured:
            planned = planned._replace(timed=plan_for_timing(recorder, call, recorded, kernel.sha256))
        answers[target, batch, pin] = planned
    return answers


def _keep(
    sandbox: Sandbox, kernel: KernelFile, loaded: protocol.Loaded, target: Target, answers: Answers
) -> CompiledKernel:
    """Return what was compiled for a target, after keeping the plans to time it by."""
    measured = sandbox.operation.measured_batch
    planned = [answers[target, measured, pin] for pin in range(count_pins(loaded))]
    compiled = _gather(kernel, loaded, target, planned)
    if target.is_timed:
        plans = tuple(each.timed for each in planned)
        sandbox.timed_plans[kernel.sha256] = different_plans(compiled.configs, plans)
    return compiled


def _gather(
    kernel: KernelFile, loaded: protocol.Loaded, target: Target, planned: Sequence[Planned]
) -> CompiledKernel:
    configs = _named_configs(loaded) or (_untuned_config(planned[0].recorded),)
    return CompiledKernel(
        target=str(target),
        kernel_sha256=kernel.sha256,
        configs=tuple(_record(config, each) for config, each in zip(configs, planned, strict=True)),
        works=tuple(each.work for each in planned),
    )


def _named_configs(loaded: protocol.Loaded) -> tuple[KernelConfig, ...]:
    """Return the configurations that name the pins: those of the autotuned kernel that has the most."""
    return max(loaded.autotuned, key=lambda tuned: len(tuned.configs)).configs if loaded.autotuned else ()


def _untuned_config(answer: Recorded) -> KernelConfig:
    """Return what the launch of a kernel without an autotuner amounts to."""
    program = next(iter(answer.stored.plan.programs), None) if answer.stored else None
    warps, stages = (program.num_warps, program.num_stages) if program else (4, 1)
    return KernelConfig(blocks={}, num_warps=warps, num_stages=stages)


def _record(config: KernelConfig, planned: Planned) -> ConfigRecord:
    launches = planned.launches
    if planned.recorded.stored is None:
        return ConfigRecord(config=config, launches=(), error=planned.recorded.refused)
    error = "" if launches else "launches no Triton kernel"
    return ConfigRecord(
        config=config, launches=launches, error=error, plan_sha256=digest_work(launches) if launches else ""
    )
