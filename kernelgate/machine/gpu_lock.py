"""The lock that keeps other judges off a GPU."""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pynvml

from kernelgate.machine.gpu import Gpu, GpuError, ask_nvml
from kernelgate.verdict import Reason

LOCK_TIMEOUT_S = 300

WHOLE_GPU = "judge on a whole GPU: a slice shares clocks and memory with the others"

DEFAULT_MODE = "nvidia-smi -c DEFAULT: the arms are processes of their own"


@contextmanager
def locked(gpu: Gpu) -> Iterator[None]:
    """Hold the GPU alone, for timing; raises GpuError if it is not to be had."""
    with _hold(gpu, fcntl.LOCK_EX):
        yield


@contextmanager
def shared(gpu: Gpu) -> Iterator[None]:
    """Hold the GPU beside other judges that do not time; raises GpuError if one does, for too long."""
    with _hold(gpu, fcntl.LOCK_SH):
        yield


@contextmanager
def _hold(gpu: Gpu, kind: int) -> Iterator[None]:
    """Hold the GPU's lock. Whoever wants it stands in line, so that many who share it cannot keep one out."""
    _require_room(gpu)
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    with _opened(gpu, "lock") as lock:
        with _opened(gpu, "line") as line:
            _take(line, fcntl.LOCK_EX, gpu, deadline)
            _take(lock, kind, gpu, deadline)
        yield


@contextmanager
def _opened(gpu: Gpu, name: str) -> Iterator[int]:
    """Give a descriptor of a file of the GPU's; what is locked by it is free again in the end (flock(2))."""
    file = Path(tempfile.gettempdir()) / f"kernelgate-{gpu.uuid}.{name}"
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise GpuError(f"the lock of {gpu.name} cannot be taken: {error}") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _take(descriptor: int, kind: int, gpu: Gpu, deadline: float) -> None:
    while not _try_lock(descriptor, kind):
        if time.monotonic() > deadline:
            raise GpuError(f"other judges have held {gpu.name} for {LOCK_TIMEOUT_S} s")
        time.sleep(0.1)


def _require_room(gpu: Gpu) -> None:
    """Raise GpuError if workers cannot run on the whole GPU, each in a process beside the judge's."""
    if ask_nvml(gpu, is_sliced):
        raise GpuError(f"{gpu.name} is cut into slices (MIG): {WHOLE_GPU}", Reason.GPU_SLICED)
    if ask_nvml(gpu, pynvml.nvmlDeviceGetComputeMode) not in (None, pynvml.NVML_COMPUTEMODE_DEFAULT):
        raise GpuError(f"{gpu.name} lets one process in, or none: {DEFAULT_MODE}", Reason.GPU_EXCLUSIVE)


def is_sliced(handle: object) -> bool:
    """Return whether the GPU of that handle of NVML's is in MIG mode."""
    current, _pending = pynvml.nvmlDeviceGetMigMode(handle)
    return bool(current)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
