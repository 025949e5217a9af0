"""Which GPU, who is on it, and the lock, with an NVML that only pretends."""

from types import SimpleNamespace

import pytest
import torch

from kernelgate import gpu as gpu_module
from kernelgate.gpu import Gpu, GpuError, find_gpu, locked, read_health

GPU = Gpu(name="NVIDIA Test", uuid="GPU-0", capability=89, driver="1", l2_bytes=1024)


class PretendedNvml:
    """Answers what the test says; what is an exception is raised."""

    NVML_CLOCK_SM = NVML_TEMPERATURE_GPU = 0

    class NVMLError(Exception):
        """As the library's own."""

    def __init__(self) -> None:
        self.reasons: object = 0
        self.pids: object = [1]
        self.handle: object = "handle"

    @staticmethod
    def give(answer: object) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    def nvmlDeviceGetHandleByUUID(self, _uuid: str) -> object:  # noqa: N802
        return self.give(self.handle)

    def nvmlDeviceGetCurrentClocksEventReasons(self, _handle: object) -> object:  # noqa: N802
        return self.give(self.reasons)

    def nvmlDeviceGetComputeRunningProcesses(self, _handle: object) -> object:  # noqa: N802
        pids = self.give(self.pids)
        assert isinstance(pids, list)
        return [SimpleNamespace(pid=pid) for pid in pids]

    def nvmlDeviceGetClockInfo(self, _handle: object, _kind: int) -> int:  # noqa: N802
        return 1980

    def nvmlDeviceGetTemperature(self, _handle: object, _kind: int) -> int:  # noqa: N802
        return 50


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> PretendedNvml:
    pretended = PretendedNvml()
    monkeypatch.setattr(gpu_module, "pynvml", pretended)
    return pretended


@pytest.mark.parametrize(
    ("listed", "own", "foreign"),
    [([1, 2], {1, 2}, 0), ([1, 2, 3], {1, 2}, 1), ([1], {1, 7}, 0), ([], {1}, None), ([8, 9], {1}, None)],
)
def test_processes_beside_our_own_are_foreign(
    nvml: PretendedNvml, listed: list[int], own: set[int], foreign: int | None
) -> None:
    """Where NVML does not show our own, its numbers are of another namespace: unknown."""
    nvml.pids = listed
    assert read_health(GPU, own).foreign_processes == foreign


@pytest.mark.parametrize(
    ("bits", "names"),
    [
        (0, ()),
        (1, ()),
        (0x8, ("hardware slowdown",)),
        (0x24, ("software power cap", "software thermal slowdown")),
    ],
)
def test_throttle_reasons_are_named(nvml: PretendedNvml, bits: int, names: tuple[str, ...]) -> None:
    """An idle GPU is not a throttled one."""
    nvml.reasons = bits
    assert read_health(GPU, {1}).throttled == names


def test_what_nvml_does_not_support_is_unknown(nvml: PretendedNvml) -> None:
    """Neither healthy nor not."""
    nvml.reasons = nvml.pids = nvml.NVMLError("not supported")
    health = read_health(GPU, {1})
    assert (health.throttled, health.foreign_processes) == (None, None)


def test_a_gpu_that_falls_off_is_a_clear_error(nvml: PretendedNvml) -> None:
    """The next step is in it."""
    nvml.handle = nvml.NVMLError("GPU is lost")
    with pytest.raises(GpuError, match=r"GPU is lost.*nvidia-smi"):
        read_health(GPU, {1})


def test_no_gpu_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so, and where to run."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(GpuError, match="no NVIDIA GPU"):
        find_gpu()


def test_a_gpu_that_another_judge_holds_is_not_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two judges on one GPU would measure each other; when the first has gone, the second may."""
    monkeypatch.setattr(gpu_module, "LOCK_TIMEOUT_S", 0.1)
    with locked(GPU), pytest.raises(GpuError, match="another judge"), locked(GPU):
        pass
    with locked(GPU):
        pass
