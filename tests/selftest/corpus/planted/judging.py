"""Judges a kernel file of the corpus by what it does, on several seeds, with a GPU where there is one."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec

from kernelgate.compilation.compiler import compile_kernel
from kernelgate.compilation.machine_code.compiled_kernel import CompiledKernel, Target
from kernelgate.compilation.machine_code.ptx import narrower_than
from kernelgate.compilation.recording import UnplannedError
from kernelgate.compilation.stage import ADA, OTHER_SPECIALISATIONS
from kernelgate.compilation.stage_rules import check_runs
from kernelgate.correctness import stage
from kernelgate.correctness.planning.hypothesis_profile import Profile
from kernelgate.correctness.planning.plan import CasePlan, plan_for_interpreter
from kernelgate.correctness.stage import Trial, try_kernel
from kernelgate.kernel_file.open_form import check_open_form
from kernelgate.kernel_file.reach import find_reaches, refused
from kernelgate.kernel_file.source import KernelFile, read_kernel
from kernelgate.machine.gpu import Gpu
from kernelgate.operations import find_operation
from kernelgate.operations.declaration.relations import Relations
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.settings import Settings
from tests.selftest.corpus.planted.cases import Choose, as_planned

NO_RELATIONS = Relations(independent=False)

FEW_SECONDS = Profile(
    name="planned cases alone", fixed=True, examples=1, draw_seconds=0.01, shrink_seconds=0.01
)
"""Nothing is drawn: what is found must be found by the cases that every kernel is tried on."""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """How one file fared on one seed: the law that it broke, empty if none, and the seconds to that answer.

    `names` is whether its text alone is refused, which the other stages were not told.
    """

    group: str
    name: str
    says: str
    honest: bool
    on_gpu: bool
    seed: int
    law: str
    detail: str
    names: bool
    seconds: float

    @property
    def is_found(self) -> bool:
        """Whether the gate turns the file down."""
        return bool(self.law) or self.names


class Corpus(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how strictly the corpus is judged."""

    settings: Settings
    gpu: Gpu | None
    gpus: tuple[str, ...]
    with_relations: bool = True
    """Whether an operation's relations are asked, or the laws alone that hold of any."""

    def judge(
        self,
        file: Path,
        seeds: Sequence[int],
        choose: Choose = as_planned,
        operation: str = "alexnet_conv1",
    ) -> Iterator[tuple[int, str, str, float]]:
        """Yield seed, broken law, detail and seconds for each seed, by the chosen cases."""
        kernel = read_kernel(file, self.settings.limits.kernel_file_bytes)
        judged = find_operation(operation)
        if not self.with_relations:
            judged = msgspec.structs.replace(judged, relations=NO_RELATIONS)
        sandbox = Sandbox(judged, self.settings.limits)
        try:
            started = time.monotonic()
            compiled, law, detail = self._compile(sandbox, kernel)
            compile_seconds = time.monotonic() - started
            for seed in seeds:
                started = time.monotonic()
                if compiled is not None:
                    with interpreting(choose):
                        law, detail = self._try(sandbox, kernel, compiled, seed)
                yield seed, law, detail, compile_seconds + time.monotonic() - started
        finally:
            sandbox.close()

    def names(self, file: Path) -> bool:
        """Return whether the text is refused for what it names, as it is where there is no GPU."""
        kernel = read_kernel(file, self.settings.limits.kernel_file_bytes)
        return bool(refused(find_reaches(kernel), is_bound=self.gpu is not None))

    def _compile(self, sandbox: Sandbox, kernel: KernelFile) -> tuple[CompiledKernel | None, str, str]:
        if broken := check_open_form(kernel, sandbox.operation):
            return None, "format", str(broken[0])
        targets = [Target(capability=ADA)]
        if self.gpu is not None:
            targets.append(Target(capability=self.gpu.capability, batches=OTHER_SPECIALISATIONS))
        try:
            compiled = compile_kernel(sandbox, kernel, targets, workers=1)
        except WorkerFault as fault:
            return None, fault.kind, fault.detail
        except UnplannedError as error:
            return None, error.reason, str(error)
        records = [record for each in compiled for record in each.configs]
        found = {name for record in records for launch in record.launches for name in launch.narrow}
        if narrow := narrower_than(sandbox.operation.dtype, found):
            return None, "declared-math", ", ".join(sorted(narrow))
        if idle := [violation for each in compiled for violation in check_runs(each)]:
            return None, idle[0].rule, idle[0].message
        return compiled[-1], "", ""

    def _try(
        self, sandbox: Sandbox, kernel: KernelFile, compiled: CompiledKernel, seed: int
    ) -> tuple[str, str]:
        trial = Trial(
            gpus=self.gpus if self.gpu else (),
            profile=FEW_SECONDS,
            laws=self.settings.laws,
            programs=self.settings.correctness.sampled_programs,
            entropy=seed,
            replay=None,
            workers=1,
        )
        result = try_kernel(sandbox, kernel, compiled, trial, lambda: None)
        return (result.finding.law, result.finding.detail) if result.finding else ("", "")


@contextmanager
def interpreting(choose: Choose) -> Iterator[None]:
    """Have the interpreter's plans hold the planned cases that are chosen; the probes before them stay."""

    def plan(*args: Any) -> CasePlan:
        whole = plan_for_interpreter(*args)
        return msgspec.structs.replace(whole, planned=choose(whole.planned))

    with mock.patch.object(stage, plan_for_interpreter.__name__, plan):
        yield
