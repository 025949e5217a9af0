"""Kernel files that this process has compiled before: what candidates are held against comes with each."""

import atexit
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from kernelgate.compilation.machine_code.compiled_kernel import CompiledKernel, Target
from kernelgate.execution.plan_files import keep_plan
from kernelgate.execution.timed_plan import TimedPlan
from kernelgate.kernel_file.source import KernelFile
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.scratch import make_scratch

MOST = 8
"""Files that are remembered: accepted and original kernel of a few operations."""


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What a file was compiled to, and the plans that it is timed by."""

    compiled: list[CompiledKernel]
    timed: tuple[TimedPlan, ...]


class CompiledBefore:
    """Files by their bytes, with the operation and the targets that they were compiled for."""

    def __init__(self) -> None:
        self._known: dict[object, Known] = {}
        self._folder: Path | None = None

    def find(
        self, sandbox: Sandbox, kernel: KernelFile, targets: Sequence[Target]
    ) -> list[CompiledKernel] | None:
        """Return what the file was compiled to, after putting its plans into the sandbox; None if unknown."""
        known = self._known.get(_key(sandbox, kernel, targets))
        if known is None:
            return None
        sandbox.timed_plans[kernel.sha256] = _copied(known.timed, sandbox.plans)
        return known.compiled

    def keep(
        self, sandbox: Sandbox, kernel: KernelFile, targets: Sequence[Target], compiled: list[CompiledKernel]
    ) -> None:
        """Remember what the sandbox has of the file; of too many the oldest is forgotten."""
        if self._folder is None:
            self._folder = make_scratch()
            atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
        timed = _copied(sandbox.timed_plans.get(kernel.sha256, ()), self._folder)
        self._known[_key(sandbox, kernel, targets)] = Known(compiled=compiled, timed=timed)
        if len(self._known) > MOST:
            del self._known[next(iter(self._known))]


COMPILED_BEFORE = CompiledBefore()


def _key(sandbox: Sandbox, kernel: KernelFile, targets: Sequence[Target]) -> object:
    operation = sandbox.operation
    declared = operation.name if operation.problem is None else str(operation.problem)
    return kernel.sha256, kernel.path, declared, str(operation.algorithm), tuple(targets)


def _copied(plans: Sequence[TimedPlan], folder: Path) -> tuple[TimedPlan, ...]:
    return tuple(
        msgspec.structs.replace(plan, stored=keep_plan(plan.stored, folder, Path.write_bytes))
        for plan in plans
    )
