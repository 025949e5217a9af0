"""Which GPU is at hand, who else is on it, is it throttled, and the lock that keeps other judges off it."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import filelock
import msgspec
import psutil
import pynvml
import torch

from kernelgate.operations import Convolution

Reading = TypeVar("Reading")

LOCK_TIMEOUT_S = 60

THROTTLE_REASONS = {
    0x04: "software power cap",
    0x08: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
}
"""Bits of nvmlDeviceGetCurrentClocksEventReasons (NVML API reference, nvmlClocksEventReasons)."""

PEAKS = {
    "RTX 4090": (1008e9, 82.6e12),
    "H200": (4.8e12, 494.7e12),
    "H100": (3.35e12, 494.7e12),
}
"""Bytes a second and dense TF32 FLOP a second, from NVIDIA's data sheets, by a part of the GPU's name."""


class GpuError(RuntimeError):
    """There is no GPU to measure on, or it cannot be had; the text says which and what to do."""


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """The GPU that the judge and its contestants use: the first that the caller may see."""

    name: str
    uuid: str
    capability: int
    driver: str
    l2_bytes: int


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """One reading while kernels run; what NVML does not support is None, which is unknown, not healthy."""

    sm_clock_mhz: int | None
    temperature_c: int | None
    throttled: tuple[str, ...]
    foreign_processes: int | None


def find_gpu() -> Gpu:
    """Return the GPU; raises GpuError if there is none, or NVML does not answer for it."""
    if not torch.cuda.is_available():
        raise GpuError("no NVIDIA GPU: CUDA found no device or no driver. Run where nvidia-smi lists one.")
    properties = torch.cuda.get_device_properties(0)
    try:
        pynvml.nvmlInit()
        driver = pynvml.nvmlSystemGetDriverVersion()
        handle = _handle(f"GPU-{properties.uuid}")
        name = pynvml.nvmlDeviceGetName(handle)
    except pynvml.NVMLError as error:
        raise GpuError(f"NVML does not answer for {properties.name}: {error}. Check nvidia-smi.") from error
    return Gpu(
        name=name,
        uuid=f"GPU-{properties.uuid}",
        capability=properties.major * 10 + properties.minor,
        driver=driver,
        l2_bytes=properties.L2_cache_size,
    )


def read_health(gpu: Gpu, own_pids: set[int]) -> Health:
    """Return one reading; processes on the GPU beside `own_pids` count as foreign."""
    handle = _handle(gpu.uuid)
    reasons = _ask(pynvml.nvmlDeviceGetCurrentClocksEventReasons, handle)
    pids = _ask(lambda h: [process.pid for process in pynvml.nvmlDeviceGetComputeRunningProcesses(h)], handle)
    return Health(
        sm_clock_mhz=_ask(lambda h: pynvml.nvmlDeviceGetClockInfo(h, pynvml.NVML_CLOCK_SM), handle),
        temperature_c=_ask(lambda h: pynvml.nvmlDeviceGetTemperature(h, pynvml.NVML_TEMPERATURE_GPU), handle),
        throttled=tuple(name for bit, name in THROTTLE_REASONS.items() if (reasons or 0) & bit),
        foreign_processes=None if pids is None else _count_foreign(set(pids), own_pids),
    )


@contextmanager
def locked(gpu: Gpu) -> Iterator[None]:
    """Hold the GPU against other judges on this machine; raises GpuError if one keeps it."""
    lock = filelock.FileLock(Path(tempfile.gettempdir()) / f"kernelgate-{gpu.uuid}.lock")
    try:
        with lock.acquire(timeout=LOCK_TIMEOUT_S):
            yield
    except filelock.Timeout as error:
        raise GpuError(
            f"another judge has held {gpu.name} for {LOCK_TIMEOUT_S} s: {lock.lock_file}"
        ) from error


def physical_floor_ms(operation: Convolution, batch: int, gpu_name: str) -> float | None:
    """Return the time that no honest launch can undercut on that GPU, None if its peaks are not known."""
    for part, (bytes_per_s, flops_per_s) in PEAKS.items():
        if part in gpu_name:
            seconds = max(operation.min_bytes(batch) / bytes_per_s, operation.flops(batch) / flops_per_s)
            return 1000 * seconds
    return None


def _handle(uuid: str) -> object:
    return pynvml.nvmlDeviceGetHandleByUUID(uuid)


def _ask(question: Callable[[object], Reading], handle: object) -> Reading | None:
    try:
        return question(handle)
    except pynvml.NVMLError:
        return None


def _count_foreign(pids: set[int], own: set[int]) -> int:
    """Return how many are not ours. In another process namespace the numbers mean nothing: then count."""
    strangers = pids - own
    if any(not psutil.pid_exists(pid) for pid in strangers):
        return max(0, len(pids) - len(own))
    return len(strangers)
