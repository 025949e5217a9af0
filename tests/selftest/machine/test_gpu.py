"""Which GPU, who is on it, and the lock, with an NVML that only pretends."""

import os
import tempfile
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from kernelgate.machine import gpu as gpu_module
from kernelgate.machine import gpu_lock
from kernelgate.machine.gpu import Gpu, GpuError, find_gpu, narrow_to_one_gpu, read_health, visible_gpus
from kernelgate.machine.gpu_lock import locked, shared

GPU = Gpu(name="NVIDIA Test", uuid="GPU-0", capability=89, driver="1", l2_bytes=1024)


class PretendedNvml:
    """Answers what the test says; what is an exception is raised."""

    NVML_CLOCK_SM = NVML_TEMPERATURE_GPU = NVML_COMPUTEMODE_DEFAULT = 0

    class NVMLError(Exception):
        """As the library's own."""

    def __init__(self) -> None:
        self.reasons: object = 0
        self.pids: object = [1]
        self.handle: object = "handle"
        self.sliced: object = (0, 0)
        self.mode: object = 0

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

    def nvmlDeviceGetMigMode(self, _handle: object) -> object:  # noqa: N802
        return self.give(self.sliced)

    def nvmlDeviceGetComputeMode(self, _handle: object) -> object:  # noqa: N802
        return self.give(self.mode)

    def nvmlDeviceGetClockInfo(self, _handle: object, _kind: int) -> int:  # noqa: N802
        return 1980

    def nvmlDeviceGetTemperature(self, _handle: object, _kind: int) -> int:  # noqa: N802
        return 50


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> PretendedNvml:
    pretended = PretendedNvml()
    monkeypatch.setattr(gpu_module, "pynvml", pretended)
    monkeypatch.setattr(gpu_lock, "pynvml", pretended)
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


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("sliced", "mode", "reason"),
    [
        ((0, 0), 0, None),
        ((0, 1), 0, None),
        ((1, 1), 0, "gpu-sliced"),
        ((0, 0), 1, "gpu-exclusive"),
        ((0, 0), 2, "gpu-exclusive"),
        ((0, 0), 3, "gpu-exclusive"),
        (PretendedNvml.NVMLError("not supported"), PretendedNvml.NVMLError("not supported"), None),
    ],
)
@pytest.mark.parametrize("hold", [locked, shared], ids=lambda way: way.__name__)
def test_a_gpu_that_has_no_room_for_all_arms_is_refused(
    nvml: PretendedNvml, hold: Any, sliced: object, mode: object, reason: str | None
) -> None:
    """Before any of them fails on it and is blamed; what NVML does not tell is no ground."""
    nvml.sliced, nvml.mode = sliced, mode
    if reason is None:
        with hold(GPU):
            return
    with pytest.raises(GpuError, match=r"whole GPU|nvidia-smi -c DEFAULT") as caught, hold(GPU):
        pytest.fail("was let in")
    assert caught.value.reason == reason


def test_no_gpu_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so, and where to run."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(GpuError, match="no NVIDIA GPU"):
        find_gpu()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Wait a moment for a lock, in a folder that no judge of this machine uses."""
    monkeypatch.setattr(gpu_lock, "LOCK_TIMEOUT_S", 0.1)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("first", "second"), [(locked, locked), (locked, shared), (shared, locked)], ids=lambda way: way.__name__
)
def test_a_gpu_that_another_judge_holds_is_not_to_be_had(
    first: Callable[[Gpu], AbstractContextManager[None]],
    second: Callable[[Gpu], AbstractContextManager[None]],
) -> None:
    """Whoever times is alone; when the first has gone, the second may."""
    with first(GPU), pytest.raises(GpuError, match="other judges"), second(GPU):
        pass
    with second(GPU):
        pass


@pytest.mark.usefixtures("impatient")
def test_judges_that_do_not_time_share_a_gpu() -> None:
    """None of them waits for another, and the last to go gives it free."""
    with shared(GPU), shared(GPU), shared(GPU):
        pass
    with locked(GPU):
        pass


def test_who_times_is_not_kept_out_by_sharers_that_come_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They stand in line behind it, until it has had its turn."""
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    order: list[str] = []
    waits = threading.Event()
    take = gpu_lock._try_lock

    def note(descriptor: int, kind: int) -> bool:
        taken = take(descriptor, kind)
        if not taken:
            waits.set()
        return taken

    def hold(how: Callable[[Gpu], AbstractContextManager[None]]) -> None:
        with how(GPU):
            order.append(how.__name__)

    monkeypatch.setattr(gpu_lock, "_try_lock", note)
    with shared(GPU):
        first = threading.Thread(target=hold, args=(locked,))
        first.start()
        assert waits.wait(10)
        waits.clear()
        later = threading.Thread(target=hold, args=(shared,))
        later.start()
        later.join(0.5)
        assert order == []
    first.join()
    later.join()
    assert order == ["locked", "shared"]


@pytest.mark.usefixtures("impatient")
def test_each_gpu_has_a_lock_of_its_own() -> None:
    """Two judges on two GPUs do not meet."""
    other = Gpu(name=GPU.name, uuid="GPU-1", capability=89, driver="1", l2_bytes=1024)
    with locked(GPU), locked(other):
        pass


@pytest.mark.usefixtures("impatient")
def test_a_lock_is_given_up_with_an_error_in_hand() -> None:
    """A judgement that fails does not keep the next one waiting."""
    with pytest.raises(ZeroDivisionError), locked(GPU):
        raise ZeroDivisionError
    with locked(GPU):
        pass


@pytest.mark.parametrize(
    ("named", "visible"),
    [("0,1", ("0", "1")), ("GPU-ab, 3 ,", ("GPU-ab", "3")), ("", ()), ("7", ("7",)), (None, ("0", "1", "2"))],
)
def test_the_gpus_that_a_caller_may_see_are_those_it_names(
    monkeypatch: pytest.MonkeyPatch, named: str | None, visible: tuple[str, ...]
) -> None:
    """In the words of the variable, so that a worker can be handed one; all where none is named."""
    monkeypatch.setattr("pynvml.nvmlInit", lambda: None)
    monkeypatch.setattr("pynvml.nvmlDeviceGetCount", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert visible_gpus() == visible


@pytest.mark.parametrize(
    ("visible", "worker", "seen"),
    [
        (("4", "GPU-ab"), "gw0", "4"),
        (("4", "GPU-ab"), "gw1", "GPU-ab"),
        (("4", "GPU-ab"), "gw2", "4"),
        (("4", "GPU-ab"), "gw11", "GPU-ab"),
        (("4", "GPU-ab"), None, "before"),
        ((), "gw1", "before"),
    ],
)
def test_workers_side_by_side_are_spread_over_the_gpus(
    monkeypatch: pytest.MonkeyPatch, visible: tuple[str, ...], worker: str | None, seen: str
) -> None:
    """Each sees one; a judge that works alone keeps what it had, and where there is none, none is named."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "before")
    narrow_to_one_gpu(visible, worker)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == seen
