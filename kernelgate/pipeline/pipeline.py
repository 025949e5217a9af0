"""The gate: runs the stages in order, each at most once, stops at the first that fails, and answers."""

import time
from collections.abc import Callable
from contextlib import nullcontext

import msgspec

from kernelgate.baselines.kernels import Kernels, find_accepted, find_original
from kernelgate.baselines.records import SpeedRecord
from kernelgate.baselines.store import BaselineError, propose, record_path
from kernelgate.compilation.compiler import TooManyConfigsError
from kernelgate.compilation.stage import (
    ADA,
    CompileResult,
    compile_all,
    describe_narrow,
    load_compile_record,
    make_compile_record,
)
from kernelgate.compilation.stage_rules import check_runs, check_stage
from kernelgate.correctness.hypothesis_profile import current_profile
from kernelgate.correctness.result import describe_correctness
from kernelgate.correctness.stage import Trial, try_kernel
from kernelgate.kernel_file.allowed_names import check_names
from kernelgate.kernel_file.format import check_format
from kernelgate.kernel_file.source import KernelFile, read_kernel
from kernelgate.kernel_file.violation import UnreadableKernel, Violation
from kernelgate.machine.gpu import Gpu, GpuError
from kernelgate.machine.gpu_lock import shared
from kernelgate.machine.versions import describe_environment
from kernelgate.operations.operation import find_operation
from kernelgate.performance.conclusion import Conditions
from kernelgate.performance.hardware_counters import Counters, read_counters
from kernelgate.performance.samples import CANDIDATE
from kernelgate.performance.stage import keep_samples, load_record, measure_performance, propose_speed
from kernelgate.pipeline.stage import ORDER, Request, Result, StageName, StageResult, Stopped
from kernelgate.sandbox.faults import blame
from kernelgate.sandbox.fork_server import prepare
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.settings import Settings
from kernelgate.verdict import Outcome, Reason, Rule, Verdict, conclude


class Gate:
    """One judgement of one candidate. Raises AcceptedError or KeyError if it cannot even begin."""

    def __init__(self, request: Request, settings: Settings, progress: Callable[[str], None]) -> None:
        self.request, self.settings, self.progress = request, settings, progress
        self.operation = find_operation(request.operation)
        self.limits = settings.limits
        max_bytes = self.limits.kernel_file_bytes
        self.original = find_original(request.root, self.operation, max_bytes)
        self.accepted = find_accepted(request.root, self.operation, request.accepted, max_bytes)
        self.environment = describe_environment(request.gpu.driver if request.gpu else "unknown")
        ada_on = request.gpu.capability if request.ada_path and request.gpu else None
        self.sandbox = Sandbox(self.operation, self.limits, ada_on)
        self.results: dict[StageName, StageResult] = {}
        self._verdict: Verdict | None = None
        self._candidate: KernelFile | None = None
        self._compiled: CompileResult | None = None
        self.counters: Counters | None = None

    def close(self) -> None:
        """Remove the scratch folder."""
        self.sandbox.close()

    def stage(self, name: StageName) -> StageResult:
        """Return how the stage ended, after running what comes before it and has not run yet."""
        for each in ORDER[: ORDER.index(name) + 1]:
            if each not in self.results:
                self.results[each] = self._run(each)
        return self.results[name]

    @property
    def candidate_sha256(self) -> str | None:
        """The digest of the candidate's bytes, None if they could not be read."""
        return self._candidate.sha256 if self._candidate else None

    @property
    def rule(self) -> Rule:
        """The rule asked for; by itself `guard` where the candidate is the accepted kernel, else `tune`."""
        same_file = self.candidate_sha256 == self.accepted.sha256
        return self.request.rule or (Rule.GUARD if same_file else Rule.TUNE)

    def verdict(self) -> Verdict:
        """Return the answer that the stages so far give; never a pass for a stage that has not run."""
        if self._verdict is not None:
            return self._verdict
        missing = [name for name in ORDER[:-1] if name not in self.results]
        if missing:
            return conclude(
                Outcome.INVALID, Reason.INCOMPLETE, f"stages that did not run: {', '.join(missing)}"
            )
        if self._is_same_code():
            return conclude(Outcome.SAME_CODE, Reason.SAME_CODE, self._describe_same_code())
        right = f"right and compiling for sm_{ADA}"
        if self.sandbox.ada_on is not None:
            right += f", tried as sm_{ADA}'s code on sm_{self.sandbox.ada_on}"
        detail = f"{right}; speed unknown, the performance stage did not run"
        return conclude(Outcome.NOT_MEASURED, Reason.NOT_MEASURED, detail)

    def _run(self, name: StageName) -> StageResult:
        if self._verdict is not None:
            return StageResult(status="not-run", detail=f"an earlier stage gave {self._verdict.outcome}")
        if name in ("correctness", "performance") and self._is_same_code():
            return StageResult(status="not-needed", detail=self._describe_same_code())
        self.progress(name)
        run = {
            "format": self._format,
            "compile": self._compile,
            "stage-rules": self._stage_rules,
            "correctness": self._correctness,
            "performance": self._performance,
        }[name]
        started = time.monotonic()
        # An error of the gate's own must not leave a verdict that passes.
        self._verdict = conclude(
            Outcome.INVALID, Reason.GATE_ERROR, f"stage {name} ended in an error of the gate"
        )
        try:
            detail, result = run()
        except Stopped as stop:
            self._verdict = stop.verdict
            seconds = time.monotonic() - started
            return StageResult(
                status="failed", detail=stop.verdict.detail, seconds=seconds, result=stop.result
            )
        if name != "performance":
            self._verdict = None
        return StageResult(status="passed", detail=detail, seconds=time.monotonic() - started, result=result)

    def _format(self) -> tuple[str, Result]:
        try:
            kernel = read_kernel(self.request.candidate, self.limits.kernel_file_bytes)
        except UnreadableKernel as error:
            verdict = conclude(Outcome.FORBIDDEN, Reason.of(f"format-{error.violation.rule}"), str(error))
            raise Stopped(verdict, (error.violation,)) from error
        self._candidate = kernel
        broken = check_format(kernel) or check_names(kernel)
        if broken:
            raise Stopped(_forbid("format", kernel.path, broken), broken)
        return f"{kernel.path} follows the format", None

    def _compile(self) -> tuple[str, Result]:
        candidate, target = self._judged(), f"sm_{ADA}"
        gpu = self.request.gpu
        if gpu:
            prepare("gpu", "interpret")  # a GPU has cores beside it to import on while this compiles
        path = record_path(self.request.root, self.operation.name, target)
        try:
            record = load_compile_record(path, self.operation.name)
            compiled = compile_all(self.sandbox, self._kernels(), record, gpu.capability if gpu else None)
        except BaselineError as error:
            raise Stopped(
                conclude(Outcome.INVALID, Reason.of(f"record-{error.reason}"), str(error))
            ) from error
        except TooManyConfigsError as error:
            raise Stopped(conclude(Outcome.FORBIDDEN, Reason.TOO_MANY_CONFIGS, str(error))) from error
        except WorkerFault as fault:
            raise Stopped(self._blame(fault, is_candidate=fault.worker == candidate.sha256)) from fault
        if narrow := describe_narrow(compiled, self.operation.math):
            detail = f"{candidate.path}, {narrow}"
            raise Stopped(conclude(Outcome.WRONG, Reason.DECLARED_MATH, detail), compiled)
        self._compiled = compiled
        fresh = make_compile_record(self.operation.name, compiled.candidate)
        if record is None or msgspec.structs.replace(record, history=()) != fresh:
            propose(fresh, self.request.report_dir)
        running = sum(bool(each.launches) for each in compiled.candidate.configs)
        programs = len(compiled.candidate.programs())
        detail = f"{running} of {len(compiled.candidate.configs)} configurations compile for {target}"
        changes = "".join(f"; {change}" for change in compiled.changes)
        return f"{detail}: {programs} different programs{changes}", compiled

    def _stage_rules(self) -> tuple[str, Result]:
        assert self._compiled is not None
        # Also the accepted kernel, on a GPU that it was not made for.
        if idle := check_runs(self._compiled.at_hand):
            raise Stopped(_forbid(self.request.stage, self._judged().path, idle), idle)
        if self._is_same_code() or self._judged().sha256 == self.accepted.sha256:
            return "the accepted kernel's own programs: nothing was changed", None
        broken = check_stage(
            self.request.stage, self._compiled.candidate, self._compiled.accepted, self.operation
        )
        if broken:
            raise Stopped(_forbid(self.request.stage, self._judged().path, broken), broken)
        return f"within stage {self.request.stage}", None

    def _correctness(self) -> tuple[str, Result]:
        assert self._compiled is not None
        profile = current_profile(self.settings.correctness, self.request.root)
        trial = Trial(
            gpus=self.request.gpus,
            profile=profile,
            programs=self.settings.correctness.sampled_programs,
            entropy=profile.draw_entropy() if self.request.entropy is None else self.request.entropy,
            replay=self.request.replay,
            workers=self.request.workers,
        )
        try:
            with shared(self.request.gpu) if self.request.gpu else nullcontext():
                result = try_kernel(
                    self.sandbox,
                    self._judged(),
                    self._compiled.at_hand,
                    trial,
                    lambda: self.progress("correctness"),
                )
        except GpuError as error:
            raise Stopped(conclude(Outcome.INVALID, error.reason, str(error))) from error
        except WorkerFault as fault:
            raise Stopped(self._blame(fault, is_candidate=True)) from fault
        if result.finding is not None:
            finding = result.finding
            outcome = Outcome.FORBIDDEN if finding.forbidden else Outcome.WRONG
            place = f"{self.operation.name}[{finding.case}]"
            detail = f"{place} {finding.law}: {finding.detail}. Replay: --replay {finding.case.replay}"
            raise Stopped(conclude(outcome, Reason.of(finding.law), detail), result)
        if not result.passed:
            why = next((line.note for line in result.laws if line.note), "no case ran")
            detail = f"no case could be tried in the {result.where}: {why}"
            raise Stopped(conclude(Outcome.INVALID, Reason.NOTHING_TRIED, detail), result)
        if self.request.replay is not None:
            # One case chosen on the command line must not stand for all of them.
            detail = f"the replayed case holds: {self.request.replay}; run without --replay for a verdict"
            raise Stopped(conclude(Outcome.INVALID, Reason.REPLAY_ONLY, detail), result)
        return describe_correctness(result), result

    def _performance(self) -> tuple[str, Result]:
        gpu = self.request.gpu
        assert gpu is not None
        assert self._compiled is not None
        try:
            conditions = Conditions(
                operation=self.operation,
                gpu=gpu,
                rule=self.rule,
                settings=self.settings.performance,
                record=self._load_record(gpu),
                environment=self.environment,
                ada_path=self.request.ada_path,
            )
            result, attempts = measure_performance(
                self.sandbox, self._kernels(), conditions, lambda: self.progress("performance")
            )
        except BaselineError as error:
            raise Stopped(
                conclude(Outcome.INVALID, Reason.of(f"baseline-{error.reason}"), str(error))
            ) from error
        except WorkerFault as fault:
            raise Stopped(self._blame(fault, is_candidate=fault.worker == CANDIDATE)) from fault
        except GpuError as error:
            raise Stopped(conclude(Outcome.INVALID, error.reason, str(error))) from error
        keep_samples(conditions, attempts, self.request.report_dir)
        propose_speed(result, self._kernels(), conditions, self.request.report_dir)
        if result.verdict.outcome is not Outcome.INVALID:
            self.progress("performance")
            self.counters = read_counters(self.sandbox, self._judged(), self._compiled.at_hand.configs, gpu)
        self._verdict = result.verdict
        if not result.verdict.outcome.passes:
            raise Stopped(result.verdict, result)
        return result.verdict.detail, result

    def _load_record(self, gpu: Gpu) -> SpeedRecord | None:
        if self.request.ada_path:
            return None  # of the GPU's own code, which is not what runs
        return load_record(self.request.root, self.operation, gpu, self.accepted.sha256)

    def _blame(self, fault: WorkerFault, *, is_candidate: bool) -> Verdict:
        return blame(fault, self._judged().path, is_candidate=is_candidate)

    def _kernels(self) -> Kernels:
        return Kernels(candidate=self._judged(), accepted=self.accepted, original=self.original)

    def _judged(self) -> KernelFile:
        assert self._candidate is not None
        return self._candidate

    def _is_same_code(self) -> bool:
        """Whether there is nothing to try: other bytes, the same code. The accepted file itself is tried."""
        return (
            self._compiled is not None
            and self._compiled.same_code
            and self.rule is Rule.TUNE
            and self._judged().sha256 != self.accepted.sha256
        )

    def _describe_same_code(self) -> str:
        assert self._compiled is not None
        targets = (self._compiled.candidate.target, self._compiled.at_hand.target)
        return (
            "the accepted kernel's machine code and launches on "
            f"{' and '.join(dict.fromkeys(targets))}, and its source but for names"
        )


def _forbid(rules: str, path: str, broken: tuple[Violation, ...]) -> Verdict:
    named = "; ".join(str(violation) for violation in broken)
    return conclude(Outcome.FORBIDDEN, Reason.of(f"{rules}-{broken[0].rule}"), f"{path}: {named}")
