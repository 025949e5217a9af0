"""What is asked of the gate in one judgement, and what its stages have left so far."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from kernelgate.baselines.folder import RecordFolder
from kernelgate.baselines.kernels import Kernels, find_accepted, find_original, find_to_beat
from kernelgate.baselines.records import ProblemVersion
from kernelgate.compilation.stage import CompileResult
from kernelgate.files import digest_file
from kernelgate.kernel_file.source import KernelFile
from kernelgate.kernel_file.violation import Violation
from kernelgate.machine.versions import describe_environment, describe_installation, triton_version
from kernelgate.operations import find_operation
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.problem.order import ExaminationOrder, read_problem
from kernelgate.performance.explanation.hardware_counters import Counters
from kernelgate.pipeline.stage import Request, StageName, StageResult
from kernelgate.plan_book.book import PlanBook, read_book
from kernelgate.plan_book.notes import BookNotes
from kernelgate.sandbox.confinement import find_confinement
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.settings import Settings
from kernelgate.verdict import Rule, Verdict


class Judgement:
    """One judgement of one candidate; each stage reads what those before it left, and adds its own.

    `verdict_so_far` is None while no stage has decided anything. Raises AcceptedError or KeyError if the
    judgement cannot even begin.
    """

    def __init__(self, request: Request, settings: Settings, progress: Callable[[StageName], None]) -> None:
        self.request, self.settings, self.progress = request, settings, progress
        self.original: KernelFile | None = None
        self.accepted: KernelFile | None = None
        self._operation: Operation | None = None
        max_bytes = settings.limits.kernel_file_bytes
        if request.problem is None:
            self._take(find_operation(request.operation))
        if self.project is not None:
            self.original = find_original(self.project, self.operation, max_bytes)
            self.accepted = request.to_beat or find_accepted(
                self.project, self.operation, request.accepted, max_bytes
            )
        else:
            self.accepted = request.to_beat or find_to_beat(
                request.root, request.accepted_name, request.accepted, max_bytes
            )
        self.environment = describe_installation()
        self.confinement = find_confinement()
        self.candidate: KernelFile | None = None
        self.advice: tuple[Violation, ...] = ()
        self.open_sandbox: Sandbox | None = None
        self.compiled: CompileResult | None = None
        self.counters: Counters | None = None
        self.entropy = request.entropy
        self.kept_book: PlanBook | None = None
        self.results: dict[StageName, StageResult] = {}
        self.verdict_so_far: Verdict | None = None

    @property
    def project(self) -> Path | None:
        """The folder of kernels, originals and plan books that hold here; a problem has none."""
        request = self.request
        return request.root if request.problem is None and request.accepted_name is None else None

    @property
    def records(self) -> RecordFolder | None:
        """Where the records of what is judged lie; None where none are kept.

        They are of the project's accepted kernel alone, not of another file that `--against` names.
        """
        if self.project is not None:
            own = RecordFolder(root=self.project, name=self.operation.name)
            return None if self._is_against_another_file(own) else own
        request, problem = self.request, self.operation.problem
        if request.root is None or request.accepted_name is None or problem is None or request.accepted:
            return None
        version = ProblemVersion(sha256=problem.sha256, math=problem.math)
        return RecordFolder(root=request.root, name=request.accepted_name, problem=version)

    def _is_against_another_file(self, own: RecordFolder) -> bool:
        named, kept = self.request.accepted, own.root / own.kernel
        if named is None or self.accepted is None or not Path(named).is_file():
            return False
        return not kept.is_file() or digest_file(kept) != self.accepted.sha256

    def read_problem(self) -> None:
        """Have the problem file read, if there is one, and take its operation. Raises ProblemError."""
        request = self.request
        if self._operation is None and request.problem is not None:
            order = ExaminationOrder.within(self.settings.limits, request.problem, request.math)
            self._take(find_operation(read_problem(order)))

    def _take(self, operation: Operation) -> None:
        self._operation = msgspec.structs.replace(operation, algorithm=self.request.algorithm)

    @property
    def operation(self) -> Operation:
        """What the candidate must compute; a problem's is there once `format` has read it."""
        assert self._operation is not None
        return self._operation

    def meet_machine(self, find_gpus: Callable[[Request], Request]) -> None:
        """Look up the GPU and the versions in force, open the sandbox and the plan book, if there is one.

        `format` needs none of them. Raises BookError.
        """
        self.request = find_gpus(self.request)
        gpu = self.request.gpu
        self.environment = describe_environment(gpu.driver if gpu else "unknown")
        ada_on = gpu.capability if self.request.ada_path and gpu else None
        self.open_sandbox = Sandbox(self.operation, self.settings.limits, ada_on)
        named = self.kernel.sha256, triton_version()
        if self.request.plans is not None:
            self.open_sandbox.book = read_book(self.request.plans, self.operation, *named)
        if self.request.keep_plans is not None:
            self.open_sandbox.notes = BookNotes(self.operation.name, *named)

    def close(self) -> None:
        """Remove the scratch folder."""
        if self.open_sandbox is not None:
            self.open_sandbox.close()

    @property
    def sandbox(self) -> Sandbox:
        """Where workers start; it is open from the stage after `format` on."""
        assert self.open_sandbox is not None
        return self.open_sandbox

    @property
    def kernel(self) -> KernelFile:
        """The candidate as it was read; `format` has read it."""
        assert self.candidate is not None
        return self.candidate

    @property
    def kernels(self) -> Kernels:
        """The candidate and what it is held against."""
        return Kernels(candidate=self.kernel, accepted=self.accepted, original=self.original)

    @property
    def programs(self) -> CompileResult:
        """What the compile stage made."""
        assert self.compiled is not None
        return self.compiled

    @property
    def candidate_sha256(self) -> str | None:
        """The digest of the candidate's bytes, None if they could not be read."""
        return self.candidate.sha256 if self.candidate else None

    @property
    def is_accepted_file(self) -> bool:
        """Whether the candidate is the accepted kernel, byte for byte."""
        return self.accepted is not None and self.candidate_sha256 == self.accepted.sha256

    @property
    def rule(self) -> Rule:
        """The rule asked for; by itself `guard` where the candidate is the accepted kernel, else `tune`."""
        return self.request.rule or (Rule.GUARD if self.is_accepted_file else Rule.TUNE)

    @property
    def is_same_code(self) -> bool:
        """Whether there is nothing to try: other bytes, the same code. The accepted file itself is tried."""
        same_code = self.compiled is not None and self.compiled.same_code
        return same_code and self.rule is Rule.TUNE and not self.is_accepted_file
