"""The doctor looks before it times, and its exit code is its answer."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from kernelgate.baselines.store import BaselineError
from kernelgate.cli.main import main
from kernelgate.doctor import noise as doctor
from kernelgate.doctor.checks import Check
from kernelgate.machine.gpu import Gpu, GpuError
from kernelgate.performance.samples import MeasuredReplicate
from kernelgate.settings import load_settings
from kernelgate.verdict import Outcome, conclude
from tests.selftest.support.made_up_samples import make_replicate, make_replicates

ROOT = Path(__file__).parents[3]
SETTINGS = load_settings(ROOT / "pyproject.toml")
GPU = Gpu(name="NVIDIA Test", uuid="GPU-0", capability=89, driver="1", l2_bytes=1024)
OK = Check(name="GPU", status="ok", seen="NVIDIA Test")
Examine = Callable[..., dict[str, Check]]


@pytest.fixture
def examine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Examine:
    """Return what examines a pretended machine by what it measured, and by what was seen of its GPU."""
    monkeypatch.setattr(doctor, "find_gpu", lambda: GPU)
    monkeypatch.setattr(doctor, "compile_kernels", lambda *_: None)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))

    def examine(
        measured: Sequence[MeasuredReplicate] | Exception = (), checks: Sequence[Check] = (OK,)
    ) -> Any:
        monkeypatch.setattr(doctor, "check_gpu", lambda *_: iter(checks))
        monkeypatch.setattr(doctor, "measure_replicates", lambda *_: give(measured))
        return {check.name: check for check in doctor.examine(ROOT, SETTINGS)}

    return examine


def give(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer


def test_a_quiet_machine_is_fit(examine: Examine) -> None:
    """Its noise is said in numbers."""
    checks = examine(make_replicates((0.0, 1e-3, -1e-3, 0.0)))
    assert [checks[name].status for name in ("A/A run", "clock under load")] == ["ok", "ok"]
    assert checks["A/A run"].seen.startswith("gain 0.00 % [-0.13, 0.13], processes vary by 0.08 %")
    assert checks["clock under load"].seen == "1980 to 1980 MHz"
    assert doctor.answer(list(checks.values())).startswith("This machine is fit to judge 1 %.")


@pytest.mark.parametrize(
    ("slowdowns", "status"),
    [((0.0, 0.01, -0.01, 0.0), "look"), ((0.006, 0.006, 0.006, 0.006), "unfit")],
    ids=["noisy", "biased"],
)
def test_a_machine_that_cannot_tell_one_percent_is_told_apart(
    examine: Examine, slowdowns: tuple[float, ...], status: str
) -> None:
    """Noise asks for more replicates; a kernel that differs from itself makes every verdict worthless."""
    check = examine(make_replicates(slowdowns))["A/A run"]
    assert check.status == status
    assert "quiet the machine" in check.advice


def test_a_clock_that_wanders_is_told(examine: Examine) -> None:
    """Over 1 % between the readings under load."""
    measured = [*make_replicates((0.0, 0.0, 0.0)), make_replicate(3, clocks_mhz={"candidate": 1900})]
    check = examine(measured)["clock under load"]
    assert (check.status, check.seen) == ("look", "1900 to 1980 MHz")


def test_an_unfit_gpu_is_not_timed(examine: Examine) -> None:
    """What is wrong with it comes first."""
    unfit = Check(name="MIG", status="unfit", seen="on", advice="judge on a whole GPU")
    checks = examine(AssertionError("must not be timed"), [OK, unfit])
    assert checks["A/A run"].seen == "not tried"
    assert doctor.answer(list(checks.values())) == "This machine is not fit to judge 1 %: MIG, A/A run."


def test_a_run_that_cannot_be_trusted_is_not_judged(
    examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said once, with its reason."""
    shared = conclude(Outcome.INVALID, "gpu-shared", "1 other processes were on the GPU")
    monkeypatch.setattr(doctor, "find_invalid", lambda *_: shared)
    checks = examine(make_replicates((0.0,) * 4))
    assert (checks["A/A run"].status, checks["A/A run"].seen.split(":")[0]) == ("unfit", "gpu-shared")


def test_a_stale_record_is_no_fault_of_the_machine(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the change that renews it could never be judged."""

    def refuse(*_: object) -> None:
        raise BaselineError("stale", Path("nvidia-h200.json"), "is of another kernel")

    monkeypatch.setattr(doctor, "load_record", refuse)
    checks = examine(make_replicates((0.0,) * 4))
    assert (checks["baseline"].status, checks["A/A run"].status) == ("look", "ok")
    assert "stale" in checks["baseline"].seen


def test_another_judge_on_the_gpu_is_told(examine: Examine) -> None:
    """It is no fault of the machine's, but there is nothing to be measured."""
    check = examine(GpuError("another judge has held it"))["A/A run"]
    assert (check.status, check.seen) == ("unfit", "another judge has held it")


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("look", 0), ("unknown", 0), ("unfit", 1)])
def test_the_exit_code_is_the_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], status: Any, code: int
) -> None:
    """Only what is unfit fails; what to do stands under what was seen."""
    check = Check(name="persistence", status=status, seen="off", advice="nvidia-smi -pm 1")
    monkeypatch.setattr("kernelgate.doctor.noise.examine", lambda *_: iter([check]))
    assert main(["doctor", "--root", str(ROOT)]) == code
    said = capsys.readouterr().out
    assert ("-> nvidia-smi -pm 1" in said) == (status in ("look", "unfit"))
    assert ("not fit" in said) == bool(code)


def test_a_machine_without_a_gpu_is_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """And that is all there is to say."""

    def find_none() -> Gpu:
        raise GpuError("no NVIDIA GPU")

    monkeypatch.setattr(doctor, "find_gpu", find_none)
    (check,) = doctor.examine(ROOT, SETTINGS)
    assert (check.status, check.seen) == ("unfit", "no NVIDIA GPU")
