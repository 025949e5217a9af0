"""The judge's scratch folder: copies of kernel files, tensors in transit, workers started there."""

import os
import shutil
import tempfile
import uuid
from pathlib import Path

from kernelgate import protocol
from kernelgate.kernel_file.source import KernelFile
from kernelgate.operations.convolution import Convolution
from kernelgate.sandbox.confinement import find_confinement, require_confinement
from kernelgate.sandbox.scratch import PREFIX, roomy_folder, sweep
from kernelgate.sandbox.worker_process import Worker
from kernelgate.settings import Limits


class Sandbox:
    """A folder that is gone when the judge closes it.

    With `ada_on`, a compute capability, workers on a GPU of it run what an RTX 4090 would. Raises
    NoSandboxError if the limits require that workers are confined, and this system cannot.
    """

    def __init__(self, operation: Convolution, limits: Limits, ada_on: int | None = None) -> None:
        require_confinement(limits.require_sandbox, find_confinement())
        self.operation, self.limits, self.ada_on = operation, limits, ada_on
        folder = roomy_folder()
        sweep(folder)
        self.root = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=folder))
        self.plans = self.root / "plans"
        self.plans.mkdir()

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
        return fresh.replace(file)

    def cache_of(self, kernel: KernelFile | None) -> Path:
        """Return the folder of a kernel file's compiled programs, where no other file's worker writes."""
        return self.root / f"cache-{kernel.sha256[:16] if kernel else 'vendor'}"

    def start(self, mode: protocol.Mode, kernel: KernelFile | None, name: str = "", gpu: str = "") -> Worker:
        """Return a worker that is importing the kernel file; None is the vendor implementation.

        Its faults carry the name. `gpu` is the one that it may see, those of the judge if it is empty.
        """
        folder = self.root / f"worker-{uuid.uuid4().hex[:8]}"
        file = str(self.place(kernel)) if kernel is not None else None
        reads = [Path(file).parent] if file else []
        worker = Worker(mode, folder, self.limits, self.cache_of(kernel), name, gpu, reads)
        worker.send(
            protocol.Load(
                operation=self.operation.name,
                file=file,
                gpu_memory_bytes=self.limits.gpu_memory_bytes,
                ada_on=self.ada_on,
            )
        )
        return worker

    def await_loaded(self, worker: Worker) -> protocol.Loaded:
        """Return what the worker imported; raises WorkerFault."""
        return worker.receive(protocol.Loaded, self.limits.load_timeout_s)
