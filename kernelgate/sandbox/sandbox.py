"""The judge's scratch folder: copies of kernel files, tensors in transit, workers started there."""

import os
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path

from kernelgate import protocol
from kernelgate.execution.plan_files import plan_file
from kernelgate.execution.timed_plan import TimedPlan
from kernelgate.kernel_file.source import KernelFile
from kernelgate.operations import Declared
from kernelgate.operations.declaration.operation import Operation
from kernelgate.plan_book.book import PlanBook
from kernelgate.plan_book.notes import BookNotes
from kernelgate.sandbox.confinement import find_confinement, require_confinement
from kernelgate.sandbox.scratch import make_scratch
from kernelgate.sandbox.worker_process import Worker
from kernelgate.settings import Limits


class Sandbox:
    """A folder that is gone when the judge closes it.

    With `ada_on`, a compute capability, workers on a GPU of it run what an RTX 4090 would. `timed_plans` are
    those of kernel files on the GPU at hand, by the files' sha256. The file that a `book` is of is not run;
    of the one that `notes` are of, what recorders say is noted down. Raises NoSandboxError if the limits
    require that workers are confined, and this system cannot.
    """

    def __init__(self, operation: Operation, limits: Limits, ada_on: int | None = None) -> None:
        require_confinement(limits.require_sandbox, find_confinement())
        self.operation, self.limits, self.ada_on = operation, limits, ada_on
        self.root = make_scratch()
        self.plans = self.root / "plans"
        self.plans.mkdir()
        self.timed_plans: dict[str, tuple[TimedPlan, ...]] = {}
        self.book: PlanBook | None = None
        self.notes: BookNotes | None = None

    def has_book_of(self, kernel_sha256: str) -> bool:
        """Return whether the launch plans of a kernel file are those of a book."""
        return self.book is not None and self.book.index.kernel_sha256 == kernel_sha256

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.root, ignore_errors=True)

    def place(self, kernel: KernelFile) -> Path:
        """Return a copy of the source as it was read: a file changed since then changes nothing.

        It has its own name, in a folder of its own: what it is called tells it nothing.
        """
        file = self.root / f"kernel-{kernel.sha256[:16]}" / f"{Path(kernel.path).stem}.py"
        file.parent.mkdir(exist_ok=True)
        # Written anew each time, since a worker of another file runs as the same user; and put in place
        # whole, since one of this file may be reading it.
        fresh = self.root / f"{uuid.uuid4().hex}.py"
        with fresh.open("x", encoding="utf-8", newline="") as stream:
            stream.write(kernel.source)
        fresh.chmod(0o400)
        os.utime(fresh, (0, 0))  # machine code holds the date: the same file compiles to the same bytes
        return fresh.replace(file)

    def cache_of(self, kernel: KernelFile) -> Path:
        """Return the folder of a kernel file's compiled programs, where no other file's worker writes."""
        return self.root / f"cache-{kernel.sha256[:16]}"

    def start(
        self, mode: protocol.Mode, kernel: KernelFile, name: str = "", gpu: str = "", later_s: int = 0
    ) -> Worker:
        """Return a worker that is importing the kernel file.

        Its faults carry the name. `gpu` is the one that it may see, those of the judge if it is empty. In
        mode `record` it is `later_s` later than elsewhere.
        """
        file = self.place(kernel)
        worker = self._start(mode, self.cache_of(kernel), name, gpu, [file.parent])
        worker.send(
            protocol.Load(
                operation=_declared(self.operation, with_file=False),
                file=str(file),
                gpu_memory_bytes=self.limits.gpu_memory_bytes,
                later_s=later_s,
                ada_on=self.ada_on,
            )
        )
        return worker

    def start_executor(self, mode: protocol.Mode, name: str = "", gpu: str = "") -> Worker:
        """Return a worker that runs launch plans, and never sees a kernel file."""
        return self._start_on_plans(mode, name, gpu, None)

    def start_arm(self, plans: Sequence[TimedPlan] | None, name: str = "") -> Worker:
        """Return a worker that times the calls of a kernel file by its plans; None times the vendor's."""
        return self._start_on_plans("execute", name, "", plans)

    def _start_on_plans(
        self, mode: protocol.Mode, name: str, gpu: str, timed: Sequence[TimedPlan] | None
    ) -> Worker:
        is_vendor = mode == "execute" and timed is None
        reads = [self.plans, *_files_of(self.operation)] if is_vendor else [self.plans]
        worker = self._start(mode, self.root / f"cache-{mode}", name, gpu, reads)
        worker.send(
            protocol.LoadPlans(
                operation=_declared(self.operation, with_file=is_vendor),
                gpu_memory_bytes=self.limits.gpu_memory_bytes,
                timed=None if timed is None else tuple(map(_as_asked, timed)),
            )
        )
        return worker

    def _start(self, mode: protocol.Mode, cache: Path, name: str, gpu: str, reads: Sequence[Path]) -> Worker:
        folder = self.root / f"worker-{uuid.uuid4().hex[:8]}"
        return Worker(mode, folder, self.limits, cache, name, gpu, reads)

    def await_loaded(self, worker: Worker) -> protocol.Loaded:
        """Return what the worker imported; raises WorkerFault."""
        return worker.receive(protocol.Loaded, self.limits.load_timeout_s)


def _declared(operation: Operation, *, with_file: bool) -> Declared:
    """Return how a worker is told the operation; only the vendor's own may import a problem file."""
    if operation.problem is None:
        return operation.name
    return operation.problem if with_file else operation.problem.without_file()


def _files_of(operation: Operation) -> list[Path]:
    """Return the folder of the problem file, which may import what lies beside it."""
    return [] if operation.problem is None else [Path(operation.problem.file).parent]


def _as_asked(plan: TimedPlan) -> protocol.PlannedCall:
    return protocol.PlannedCall(plan=str(plan_file(plan.stored)), prepared=plan.prepared)
