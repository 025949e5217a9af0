"""What NVML may say of a GPU, and what the doctor makes of it."""

from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from kernelgate.doctor import checks as fitness
from kernelgate.doctor.checks import Check, check_gpu, check_record
from kernelgate.machine import gpu as gpu_module
from kernelgate.machine.gpu import Gpu
from kernelgate.machine.versions import Provenance
from tests.selftest.support.made_up_records import ENVIRONMENT, make_record

GPU = Gpu(name="NVIDIA GeForce RTX 4090", uuid="GPU-0", capability=89, driver="580", l2_bytes=2**26)
GIB = 2**30
OWN = 7
HEALTHY = {
    "nvmlDeviceGetMigMode": (0, 0),
    "nvmlDeviceGetComputeMode": pynvml.NVML_COMPUTEMODE_DEFAULT,
    "nvmlDeviceGetMemoryInfo": SimpleNamespace(free=23 * GIB),
    "nvmlDeviceGetComputeRunningProcesses": [],
    "nvmlDeviceGetGraphicsRunningProcesses": [],
    "nvmlDeviceGetDisplayActive": 0,
    "nvmlDeviceGetPersistenceMode": 1,
    "nvmlDeviceGetEnforcedPowerLimit": 450_000,
    "nvmlDeviceGetPowerManagementDefaultLimit": 450_000,
    "nvmlDeviceGetTemperature": 60,
    "nvmlDeviceGetTemperatureThreshold": 90,
    "nvmlDeviceGetCurrentClocksEventReasons": 1,
    "nvmlDeviceGetClockInfo": 2520,
    "nvmlDeviceGetHandleByUUID": "handle",
}


def look(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> dict[str, Check]:
    """Return the checks of a GPU that answers as a healthy one does, but for the changes."""
    for name, answer in {**HEALTHY, **changes}.items():
        monkeypatch.setattr(pynvml, name, lambda *_, answer=answer: give(answer))
    return {check.name: check for check in check_gpu(GPU, 20 * GIB, {OWN})}


def give(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer


def test_a_healthy_gpu_is_fit_in_every_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """And there is nothing to do about it."""
    checks = look(monkeypatch)
    assert {check.status for check in checks.values()} == {"ok"}
    assert not any(check.advice for check in checks.values() if check.name != "throttling")
    assert checks["GPU"].seen == "NVIDIA GeForce RTX 4090, sm_89, driver 580"


@pytest.mark.parametrize(
    ("changes", "name", "status", "seen"),
    [
        ({"nvmlDeviceGetMigMode": (1, 1)}, "MIG", "unfit", "on"),
        ({"nvmlDeviceGetComputeMode": 3}, "compute mode", "unfit", "restricted (3)"),
        ({"nvmlDeviceGetMemoryInfo": SimpleNamespace(free=19 * GIB)}, "memory", "unfit", "19.0 GiB free"),
        (
            {"nvmlDeviceGetComputeRunningProcesses": [SimpleNamespace(pid=9), SimpleNamespace(pid=OWN)]},
            "other programs",
            "unfit",
            "process 9",
        ),
        (
            {"nvmlDeviceGetGraphicsRunningProcesses": [SimpleNamespace(pid=9)]},
            "other programs",
            "unfit",
            "process 9",
        ),
        ({"nvmlDeviceGetDisplayActive": 1}, "display", "look", "a screen"),
        ({"nvmlDeviceGetPersistenceMode": 0}, "persistence", "look", "off"),
        ({"nvmlDeviceGetEnforcedPowerLimit": 300_000}, "power limit", "look", "300 W, by default 450 W"),
        ({"nvmlDeviceGetTemperature": 80}, "temperature", "look", "80 C, slows down at 90 C"),
        ({"nvmlDeviceGetCurrentClocksEventReasons": 0x20}, "throttling", "look", "software thermal slowdown"),
    ],
)
def test_each_fault_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], name: str, status: str, seen: str
) -> None:
    """And no other check minds it."""
    checks = look(monkeypatch, **changes)
    assert checks[name].status == status
    assert seen in checks[name].seen
    assert checks[name].advice
    assert {check.status for check in checks.values() if check.name != name} == {"ok"}


@pytest.mark.parametrize(
    "question", [name for name in HEALTHY if "Handle" not in name and "Clock" not in name]
)
def test_what_nvml_does_not_support_is_unknown(monkeypatch: pytest.MonkeyPatch, question: str) -> None:
    """Which is not unfit."""
    unsupported = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    statuses = [check.status for check in look(monkeypatch, **{question: unsupported}).values()]
    assert statuses.count("unknown") == 1
    assert set(statuses) == {"ok", "unknown"}


def test_a_record_of_other_versions_is_looked_at() -> None:
    """Each that differs is named, before and after; none at all is no fault of the machine."""
    assert check_record(make_record(), ENVIRONMENT).status == "ok"
    today = Provenance(python="3", torch="2", triton="3.7", cuda="13", cudnn="9", driver="590")
    changed = check_record(make_record(), today)
    assert (changed.status, changed.seen) == ("look", "triton 3.6 -> 3.7; driver 580 -> 590")
    assert check_record(None, ENVIRONMENT).status == "look"


def test_the_library_is_the_one_that_is_asked() -> None:
    """What stands in for it here is what both modules use."""
    assert fitness.pynvml is gpu_module.pynvml is pynvml
