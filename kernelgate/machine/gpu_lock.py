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
    _require_room(gpu)
    file = Path(tempfile.gettempdir()) / f"kernelgate-{gpu.uuid}.lock"
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise GpuError(f"the lock of {gpu.name} cannot be taken: {error}") from error
    try:
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        while not _try_lock(descriptor, kind):
            if time.monotonic() > deadline:
                held = f"another judge has held {gpu.name} for {LOCK_TIMEOUT_S} s"
                raise GpuError(f"{held}: {file}")
            time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)  # which releases it, as the end of the process would (flock(2))


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
