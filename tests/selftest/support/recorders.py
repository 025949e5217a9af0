"""Workers of mode `record` for kernel files that a test writes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kernelgate.kernel_file.source import KernelFile, read_kernel
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.worker_process import Worker
from kernelgate.settings import load_settings

ROOT = Path(__file__).resolve().parents[3]

Starting = tuple[Sandbox, Worker]
"""A worker that may still be importing its file, and where it runs."""

Start = Callable[[str], Starting]


@contextmanager
def starting_recorders(folder: Path) -> Iterator[Start]:
    """Give a function that starts a worker on a source; all of them end with the context."""
    sandbox = Sandbox(ALEXNET_CONV1, load_settings(ROOT / "pyproject.toml").limits)
    started: list[Worker] = []

    def start(source: str) -> Starting:
        started.append(sandbox.start("record", as_kernel_file(source, folder)))
        return sandbox, started[-1]

    try:
        yield start
    finally:
        for worker in started:
            worker.close()
        sandbox.close()


def as_kernel_file(source: str, folder: Path) -> KernelFile:
    """Return the source as the gate reads it."""
    file = folder / "kernel.py"
    file.write_text(source, encoding="utf-8")
    return read_kernel(file, 100_000)
