"""The stage of final micro-tuning at work: compile what it allows, time what is left, write the kept list."""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from kernelgate.baselines.kernels import Kernels, find_accepted, find_original
from kernelgate.compilation.compiler import compile_kernels
from kernelgate.compilation.machine_code.compiled_kernel import CompiledKernel, Target, target_at_hand
from kernelgate.compilation.stage import ADA
from kernelgate.compilation.stage_rules import nearby_configs
from kernelgate.errors import KernelgateError
from kernelgate.kernel_file.config_list import with_configs
from kernelgate.kernel_file.format import check_format
from kernelgate.kernel_file.reach import find_reaches
from kernelgate.kernel_file.source import KernelFile, read_kernel
from kernelgate.machine.gpu import Gpu
from kernelgate.machine.versions import describe_environment
from kernelgate.operations import find_operation
from kernelgate.operations.declaration.kernel_config import KernelConfig
from kernelgate.operations.declaration.operation import Operation
from kernelgate.performance.conclusion import Conditions
from kernelgate.performance.explanation.hardware_counters import Counters, read_counters
from kernelgate.performance.samples import Arm
from kernelgate.performance.stage import measure_performance
from kernelgate.sandbox.blame import blame
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.settings import Settings
from kernelgate.tuning.options import FAILED, Option, Timed, choose_configs, sort_out
from kernelgate.tuning.state import Ending, Tuned, read_state, write_state
from kernelgate.verdict import Outcome, Rule

Note = Callable[[str, int, int], None]
"""Told what is worked on, how many steps are done and how many there are."""


class TuneError(KernelgateError, ValueError):
    """The file cannot be tuned; the text says why."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be tuned; without a GPU the compile is the end of it."""

    root: Path
    file: Path
    operation: str
    accepted: str | None
    report_dir: Path
    gpu: Gpu | None


def tune(job: Job, settings: Settings, note: Note) -> Tuned:
    """Return what the stage finds; its state is kept in the report folder, so that it can go on.

    Raises TuneError, ConfigListError or UnreadableKernel for a file that cannot be tuned, WorkerFault
    for one that fails to load, GpuError if the GPU is not to be had alone.
    """
    tuning = _Tuning(job, settings)
    try:
        options = tuning.compile(note)
        left = sum(not option.dropped for option in options)
        if not left:
            return tuning.end(
                "reverted", f"nothing is worth timing; the original: {options[0].dropped}", options
            )
        if job.gpu is None:
            detail = f"{left} of {len(options)} configurations are worth timing, and there is no GPU for that"
            return tuning.end("compiled", detail, options)
        return tuning.time(options, job.gpu, note)
    finally:
        tuning.close()


class _Tuning:
    """The kernel files of a job, and the sandbox they are compiled and timed in."""

    def __init__(self, job: Job, settings: Settings) -> None:
        self.job, self.settings = job, settings
        self.operation: Operation = find_operation(job.operation)
        max_bytes = settings.limits.kernel_file_bytes
        self.kernel = read_kernel(job.file, max_bytes)
        if broken := [*check_format(self.kernel, self.operation), *find_reaches(self.kernel)]:
            raise TuneError(f"{job.file} breaks the format: {'; '.join(map(str, broken))}")
        self.accepted = find_accepted(job.root, self.operation, job.accepted, max_bytes)
        self.original = find_original(job.root, self.operation, max_bytes)
        self.environment = describe_environment(job.gpu.driver if job.gpu else "unknown")
        with_configs(self.kernel, (self.operation.original.config,))  # or there is no list to exchange
        self.sandbox = Sandbox(self.operation, settings.limits)
        self.counters: Counters | None = None

    def close(self) -> None:
        """Remove the sandbox."""
        self.sandbox.close()

    def compile(self, note: Note) -> tuple[Option, ...]:
        """Return every configuration that the stage allows, compiled for sm_89, and which are dropped."""
        note("accepted kernel", 0, 2)
        accepted = self._compile(self.accepted)
        note("nearby configurations", 1, 2)
        wide = with_configs(self.kernel, nearby_configs(self.operation, accepted, self.settings.stage_rules))
        return sort_out(self._compile(wide), accepted, self.operation, self.settings.stage_rules)

    def time(self, options: tuple[Option, ...], gpu: Gpu, note: Note) -> Tuned:
        """Return the options timed, and what the revert rule leaves of them."""
        known = self._known_times()
        left = [option for option in options if not option.dropped]
        steps = len(left) + 3
        note("accepted kernel and original", 0, steps)
        for kernel in (self.accepted, self.original):
            self._compile(kernel, gpu)
        for done, option in enumerate(left):
            timed = known.get(str(option.config))
            if timed is None:
                note(str(option.config), done + 1, steps)
                timed = self._time(with_configs(self.kernel, (option.config,)), gpu)
            fresh = msgspec.structs.replace(option, timed=timed)
            options = tuple(fresh if each.config == option.config else each for each in options)
            self.end("undecided", f"{done + 1} of {len(left)} configurations are timed", options)
        note("the GPU's counters", steps - 2, steps)
        running = [each.config for each in options if each.timed and each.timed.outcome not in FAILED]
        self.counters = self._count(running, gpu) if running else None
        note("the whole list", steps - 1, steps)
        return self._conclude(options, gpu)

    def end(
        self,
        ended: Ending,
        detail: str,
        options: tuple[Option, ...],
        configs: tuple[KernelConfig, ...] = (),
        final: Timed | None = None,
    ) -> Tuned:
        """Return the state, and keep it."""
        tuned = Tuned(
            key=self._key(),
            file=str(self.job.file),
            operation=self.operation.name,
            gpu=self.job.gpu.name if self.job.gpu else None,
            ended=ended,
            detail=detail,
            options=options,
            configs=configs,
            final=final,
            source=with_configs(self.kernel, configs).source if ended == "kept" else "",
            counters=self.counters,
        )
        write_state(tuned, self.job.report_dir)
        return tuned

    def _conclude(self, options: tuple[Option, ...], gpu: Gpu) -> Tuned:
        configs = choose_configs(options, self.operation, self.settings.stage_rules)
        if not configs:
            open_ones = [option for option in options if option.timed and not _is_settled(option.timed)]
            detail = "no configuration is proven faster than the accepted kernel"
            detail += f"; {len(open_ones)} could not be decided" if open_ones else ""
            return self.end("undecided" if open_ones else "reverted", detail, options)
        if len(configs) < (fewest := self.settings.stage_rules.min_configs):
            few = f"{len(configs)} configurations are left, the format asks for {fewest}"
            return self.end("undecided", few, options, configs)
        final = self._time(with_configs(self.kernel, configs), gpu)
        if final.outcome is not Outcome.KEEP:
            detail = f"the list as a whole is {final.outcome}, {final.reason}: {final.detail}"
            ended: Ending = "reverted" if final.outcome is Outcome.REVERT else "undecided"
            return self.end(ended, detail, options, configs, final)
        return self.end("kept", final.detail, options, configs, final)

    def _count(self, configs: list[KernelConfig], gpu: Gpu) -> Counters:
        listed = with_configs(self.kernel, tuple(configs))
        try:
            compiled = self._compile(listed, gpu)
        except WorkerFault as fault:
            return Counters(missing=f"not read: {fault}")
        return read_counters(self.sandbox, listed, compiled.configs, gpu)

    def _compile(self, kernel: KernelFile, gpu: Gpu | None = None) -> CompiledKernel:
        """Return the file compiled for the GPU, for sm_89 without one."""
        target = Target(capability=ADA) if gpu is None else target_at_hand(gpu.capability, None)
        return compile_kernels(self.sandbox, {kernel: [target]})[kernel][0]

    def _time(self, candidate: KernelFile, gpu: Gpu) -> Timed:
        conditions = Conditions(
            operation=self.operation,
            gpu=gpu,
            rule=Rule.TUNE,
            settings=self.settings.performance,
            laws=self.settings.laws,
            record=None,
            environment=self.environment,
        )
        kernels = Kernels(candidate=candidate, accepted=self.accepted, original=self.original)
        started = time.monotonic()
        try:
            self._compile(candidate, gpu)
            result, _ = measure_performance(self.sandbox, kernels, conditions, lambda: None)
        except WorkerFault as fault:
            if fault.worker not in (Arm.CANDIDATE, candidate.sha256):
                raise
            verdict = blame(fault, self.kernel.path, is_candidate=True)
            return Timed(outcome=verdict.outcome, reason=verdict.reason, detail=verdict.detail)
        verdict = result.verdict
        return Timed(
            outcome=verdict.outcome,
            reason=verdict.reason,
            detail=verdict.detail,
            gain=result.candidate.gain,
            gain_low=result.candidate.gain_low,
            gain_high=result.candidate.gain_high,
            gain_to_original=result.candidate_to_original.gain,
            time_ms=result.time_ms[Arm.CANDIDATE],
            seconds=time.monotonic() - started,
        )

    def _known_times(self) -> dict[str, Timed]:
        state = read_state(self.job.report_dir)
        if state is None or state.key != self._key():
            return {}
        timed = ((option.config, option.timed) for option in state.options if option.timed is not None)
        return {str(config): found for config, found in timed if _is_settled(found)}

    def _key(self) -> str:
        """Return the digest of all that a time depends on."""
        parts = (
            self.kernel.sha256,
            self.accepted.sha256,
            self.original.sha256,
            self.job.gpu.uuid if self.job.gpu else "",
            msgspec.json.encode(self.settings.performance).decode(),
            msgspec.json.encode(self.settings.laws).decode(),
            msgspec.json.encode(self.environment).decode(),
        )
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _is_settled(timed: Timed) -> bool:
    """Whether timing it again on a quieter machine could say nothing else."""
    return timed.outcome not in (Outcome.UNSTABLE, Outcome.INVALID)
