"""Is this machine fit to judge 1 %? What NVML says of the GPU, and what to do about each thing found.

Nothing is changed: the advice names the commands. What NVML does not support is unknown, which is not unfit.
"""

from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec
import pynvml

from kernelgate.baselines.records import SpeedRecord
from kernelgate.machine.gpu import Gpu, ask_nvml, read_health
from kernelgate.machine.gpu_lock import DEFAULT_MODE, WHOLE_GPU, is_sliced
from kernelgate.machine.versions import Provenance

Status = Literal["ok", "look", "unfit", "unknown"]

GIB = 2**30
COOL_BELOW_LIMIT_C = 10
"""So far under its own limit a GPU does not slow itself down yet."""


OTHERS = "end the other programs, or judge on another GPU"
NO_DISPLAY = "stop the desktop (systemctl isolate multi-user.target), or attach the screen elsewhere"
PERSIST = "nvidia-smi -pm 1: without it the driver sleeps between the processes"
POWER = "nvidia-smi -pl, with the default limit"
COOLING = "let it cool, clean it, or raise the fans' speed; lock a clock that it can hold (nvidia-smi -lgc)"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at. `look` may cost precision, `unfit` makes every verdict worthless."""

    name: str
    status: Status
    seen: str
    advice: str = ""


def check_gpu(gpu: Gpu, needed_bytes: int, own_pids: set[int]) -> Iterator[Check]:
    """Yield what NVML says of the GPU; `needed_bytes` is what a worker may take of its memory."""
    yield Check(name="GPU", status="ok", seen=f"{gpu.name}, sm_{gpu.capability}, driver {gpu.driver}")
    yield _check(gpu, "MIG", is_sliced, lambda on: ("unfit", "on") if on else ("ok", "off"), WHOLE_GPU)
    yield _check(gpu, "compute mode", pynvml.nvmlDeviceGetComputeMode, _judge_compute_mode, DEFAULT_MODE)
    yield _check(gpu, "memory", _free_bytes, lambda free: _judge_memory(free, needed_bytes), OTHERS)
    yield _check(gpu, "other programs", lambda h: _others(h, own_pids), _judge_others, OTHERS)
    yield _check(gpu, "display", pynvml.nvmlDeviceGetDisplayActive, _judge_display, NO_DISPLAY)
    yield _check(gpu, "persistence", pynvml.nvmlDeviceGetPersistenceMode, _judge_persistence, PERSIST)
    yield _check(gpu, "power limit", _power_limits, _judge_power, POWER)
    yield _check(gpu, "temperature", _temperatures, _judge_temperature, COOLING)
    throttled = read_health(gpu, own_pids).throttled
    if throttled is None:
        yield Check(name="throttling", status="unknown", seen="NVML does not say")
    else:
        status: Status = "look" if throttled else "ok"
        yield Check(name="throttling", status=status, seen=", ".join(throttled) or "none", advice=COOLING)


def check_record(record: SpeedRecord | None, environment: Provenance) -> Check:
    """Return whether the stored record was made with today's versions."""
    if record is None:
        advice = "run `kernelgate judge kernels/OPERATION.py`, and accept the baseline that it proposes"
        return Check(name="baseline", status="look", seen="none for this GPU", advice=advice)
    then = record.environment
    changed = [
        f"{key} {getattr(then, key)} -> {getattr(environment, key)}"
        for key in then.__struct_fields__
        if getattr(then, key) != getattr(environment, key)
    ]
    if not changed:
        return Check(name="baseline", status="ok", seen="made with today's versions")
    advice = "judge the accepted kernel; if it is off its record, accept a new one in a change of its own"
    return Check(name="baseline", status="look", seen="; ".join(changed), advice=advice)


def _check(
    gpu: Gpu,
    name: str,
    question: Callable[[Any], Any],
    judge: Callable[[Any], tuple[Status, str]],
    advice: str,
) -> Check:
    answer = ask_nvml(gpu, question)
    if answer is None:
        return Check(name=name, status="unknown", seen="NVML does not say")
    status, seen = judge(answer)
    return Check(name=name, status=status, seen=seen, advice="" if status == "ok" else advice)


def _judge_compute_mode(mode: int) -> tuple[Status, str]:
    return ("ok", "default") if mode == pynvml.NVML_COMPUTEMODE_DEFAULT else ("unfit", f"restricted ({mode})")


def _free_bytes(handle: Any) -> int:
    return int(pynvml.nvmlDeviceGetMemoryInfo(handle).free)


def _judge_memory(free: int, needed: int) -> tuple[Status, str]:
    seen = f"{free / GIB:.1f} GiB free, a worker may take {needed / GIB:.1f}"
    return ("ok" if free >= needed else "unfit"), seen


def _others(handle: Any, own_pids: set[int]) -> set[int]:
    computing = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
    drawing = pynvml.nvmlDeviceGetGraphicsRunningProcesses(handle)
    return {process.pid for process in (*computing, *drawing)} - own_pids


def _judge_others(pids: set[int]) -> tuple[Status, str]:
    return ("unfit", f"process {', '.join(map(str, sorted(pids)))}") if pids else ("ok", "none")


def _judge_display(active: int) -> tuple[Status, str]:
    return ("look", "a screen is drawn on it") if active else ("ok", "none")


def _judge_persistence(on: int) -> tuple[Status, str]:
    return ("ok", "on") if on else ("look", "off")


def _power_limits(handle: Any) -> tuple[int, int]:
    enforced = pynvml.nvmlDeviceGetEnforcedPowerLimit(handle)
    return enforced, pynvml.nvmlDeviceGetPowerManagementDefaultLimit(handle)


def _judge_power(limits_mw: tuple[int, int]) -> tuple[Status, str]:
    enforced, default = limits_mw
    seen = f"{enforced / 1000:.0f} W, by default {default / 1000:.0f} W"
    return ("ok" if enforced >= default else "look"), seen


def _temperatures(handle: Any) -> tuple[int, int]:
    now = pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)
    return now, pynvml.nvmlDeviceGetTemperatureThreshold(handle, pynvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN)


def _judge_temperature(degrees: tuple[int, int]) -> tuple[Status, str]:
    now, limit = degrees
    return ("ok" if now < limit - COOL_BELOW_LIMIT_C else "look"), f"{now} C, slows down at {limit} C"
