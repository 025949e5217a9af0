"""Which GPU is at hand, who else is on it, is it throttled, and the lock that keeps other judges off it."""

import itertools
import os
from collections.abc import Callable
from typing import TypeVar

import msgspec
import pynvml

from kernelgate.errors import KernelgateError
from kernelgate.execution.cards import Card, read_card
from kernelgate.verdict import Reason

Reading = TypeVar("Reading")

NO_GPU = "no NVIDIA GPU: CUDA found no device or no driver. Run where nvidia-smi lists one."

THROTTLE_REASONS = {
    0x04: "software power cap",
    0x08: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
}
"""Bits of nvmlDeviceGetCurrentClocksEventReasons (NVML API reference, nvmlClocksEventReasons)."""


class GpuError(KernelgateError, RuntimeError):
    """There is no GPU to measure on, or it cannot be had alone; the text says which and what to do."""

    def __init__(self, detail: str, reason: Reason = Reason.GPU_NOT_TO_BE_HAD) -> None:
        super().__init__(detail)
        self.reason = reason


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """The GPU that the judge and its workers use: the first that the caller may see."""

    name: str
    uuid: str
    capability: int
    driver: str
    l2_bytes: int


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """One reading while kernels run; what NVML does not support is None: unknown, not healthy."""

    sm_clock_mhz: int | None
    temperature_c: int | None
    throttled: tuple[str, ...] | None
    foreign_processes: int | None


def read_card_at_hand() -> Card | None:
    """Return the properties of the GPU at hand, as host code may ask for them; None without one."""
    import torch  # noqa: PLC0415 - as in `find_gpu`

    return read_card(torch.cuda.get_device_properties(0)) if torch.cuda.is_available() else None


def find_gpu() -> Gpu:
    """Return the GPU; raises GpuError if there is none, or NVML does not answer for it."""
    if not visible_gpus():
        raise GpuError(NO_GPU)
    import torch  # noqa: PLC0415 - it takes seconds, and is not needed to see that there is no GPU

    if not torch.cuda.is_available():
        raise GpuError(NO_GPU)
    try:
        properties = torch.cuda.get_device_properties(0)
    except RuntimeError as error:
        raise GpuError(f"CUDA lists a GPU but cannot reach it: {error}. Check nvidia-smi.") from error
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
    try:
        handle = _handle(gpu.uuid)
    except pynvml.NVMLError as error:
        raise GpuError(f"NVML has lost {gpu.name}: {error}. Check nvidia-smi and the kernel log.") from error
    reasons = _ask(pynvml.nvmlDeviceGetCurrentClocksEventReasons, handle)
    pids = _ask(lambda h: [process.pid for process in pynvml.nvmlDeviceGetComputeRunningProcesses(h)], handle)
    return Health(
        sm_clock_mhz=_ask(lambda h: pynvml.nvmlDeviceGetClockInfo(h, pynvml.NVML_CLOCK_SM), handle),
        temperature_c=_ask(lambda h: pynvml.nvmlDeviceGetTemperature(h, pynvml.NVML_TEMPERATURE_GPU), handle),
        throttled=None if reasons is None else _name_reasons(reasons),
        foreign_processes=None if pids is None else _count_foreign(set(pids), own_pids),
    )


def visible_gpus() -> tuple[str, ...]:
    """Return the GPUs that the caller may see, as CUDA_VISIBLE_DEVICES names them; touches none."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return tuple(map(str, range(_count_gpus())))
    tokens = [part.strip() for part in named.split(",")]
    return tuple(itertools.takewhile(lambda token: token and not token.startswith("-"), tokens))


def _count_gpus() -> int:
    """Return how many GPUs the driver lists, as `torch.cuda.device_count` does; 0 without a driver."""
    try:
        pynvml.nvmlInit()
        return int(pynvml.nvmlDeviceGetCount())
    except pynvml.NVMLError:
        return 0


def least_memory_bytes() -> int:
    """Return the memory of the GPU that has the least, of all that the driver lists; 0 without one."""
    handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(_count_gpus()))
    try:
        return min((int(pynvml.nvmlDeviceGetMemoryInfo(each).total) for each in handles), default=0)
    except pynvml.NVMLError:
        return 0


def narrow_to_one_gpu(visible: tuple[str, ...], worker: str | None) -> None:
    """Let a worker of pytest-xdist (gw0, gw1, ...) see one GPU only; before the first CUDA call."""
    if worker is not None and visible:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible[int(worker.removeprefix("gw")) % len(visible)]


def ask_nvml(gpu: Gpu, question: Callable[[object], Reading]) -> Reading | None:
    """Return NVML's answer for the GPU's handle, None where it has none."""
    return _ask(lambda _: question(_handle(gpu.uuid)), None)


def _handle(uuid: str) -> object:
    return pynvml.nvmlDeviceGetHandleByUUID(uuid)


def _ask(question: Callable[[object], Reading], handle: object) -> Reading | None:
    try:
        return question(handle)
    except pynvml.NVMLError:
        return None


def _name_reasons(bits: int) -> tuple[str, ...]:
    return tuple(name for bit, name in THROTTLE_REASONS.items() if bits & bit)


def _count_foreign(pids: set[int], own: set[int]) -> int | None:
    """Return how many are not ours; None where NVML does not show ours, so that its numbers mean nothing."""
    return len(pids - own) if pids & own else None
