"""A gate whose slow stages answer what a test says."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kernelgate.baselines.compiled import ConfigRecord
from kernelgate.compilation.machine_code.compiled_kernel import CompiledKernel
from kernelgate.compilation.stage import CompileResult
from kernelgate.correctness.case import Case
from kernelgate.correctness.result import Correctness, Finding, LawLine
from kernelgate.correctness.stage import Trial
from kernelgate.kernel_file.source import KernelFile
from kernelgate.machine.gpu import Gpu, GpuError
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.performance.explanation.hardware_counters import Counters
from kernelgate.performance.explanation.users_choice import UsersChoice
from kernelgate.pipeline import compile_step, correctness_step, format_step, performance_step
from kernelgate.pipeline.pipeline import Gate
from kernelgate.pipeline.stage import Request
from kernelgate.settings import load_settings
from tests.selftest.support.made_up_launches import make_launch

ROOT = Path(__file__).parents[3]
SETTINGS = load_settings(ROOT / "pyproject.toml")
ACCEPTED = ROOT / "kernels" / "alexnet_conv1_original.py"
GPU = Gpu(name="NVIDIA Test", uuid="GPU-0", capability=90, driver="1", l2_bytes=1024)
CASE = Case(batch=1, family="normal", seed=0, pin=0, programs=0)


def compiled(code: str, narrow: tuple[str, ...] = ()) -> CompiledKernel:
    launch = make_launch(
        kernel="conv2d_fwd_kernel",
        code_sha256=code * 64,
        narrow=narrow,
    )
    configs = tuple(
        ConfigRecord(
            config=msgspec.structs.replace(ALEXNET_CONV1.original.config, num_stages=stages),
            launches=(launch,),
            error="",
        )
        for stages in (1, 2, 3)
    )
    return CompiledKernel(target="sm_89", kernel_sha256="0" * 64, configs=configs)


def compile_result(*, same: bool) -> CompileResult:
    ours = compiled("a" if same else "b")
    return CompileResult(
        candidate=ours,
        accepted=compiled("a"),
        at_hand=ours,
        accepted_from_record=False,
        same_code=same,
        changes=(),
        twins=(),
    )


def correctness(finding: Finding | None = None) -> Correctness:
    return Correctness(
        where="interpreter",
        profile="default",
        examples=1,
        calls=1,
        seconds=0.0,
        entropy=0,
        bound_fraction=0.0,
        error_ratio=0.0,
        vendor_ratio=None,
        laws=(
            LawLine(law="form", says="a tensor", status="held", cases=1),
            LawLine(law="second-opinion", says="as cuDNN", status="not tried", cases=0, note="needs a GPU"),
        ),
        finding=finding,
    )


def unchanged(request: Request) -> Request:
    return request


class PretendedStages:
    """Builds gates whose slow stages answer what the test says; `trials` are what correctness was asked."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.patch = folder, monkeypatch
        self.gates: list[Gate] = []
        self.trials: list[Trial] = []
        self.holds: list[str] = []
        self.counted: list[tuple[str, object, Gpu]] = []
        self.compile: Any = compile_result(same=False)
        self.correctness: Any = correctness()
        self.performance: Any = GpuError("not in this test")
        self.prepared: list[tuple[str, ...]] = []
        for step in (format_step, compile_step):
            monkeypatch.setattr(step, "prepare", lambda *modes: self.prepared.append(modes))
        monkeypatch.setattr(compile_step, "compile_all", lambda *_: self._give(self.compile))
        monkeypatch.setattr(correctness_step, "try_kernel", self._try)
        monkeypatch.setattr(correctness_step, "shared", self._hold)
        monkeypatch.setattr(performance_step, "measure_performance", lambda *_: self._give(self.performance))
        monkeypatch.setattr(compile_step, "propose", lambda *_: None)
        monkeypatch.setattr(performance_step, "profiler_ready", self._make_ready)
        monkeypatch.setattr(performance_step, "find_users_choice", self._choose)
        self.candidate = folder / "candidate.py"
        self.candidate.write_text(ACCEPTED.read_text().replace("patch", "field"))

    def close(self) -> None:
        """Close every gate that was made; each leaves nothing behind."""
        for gate in self.gates:
            gate.close()
            assert gate.open_sandbox is None or not gate.open_sandbox.root.exists()

    def _try(self, _sandbox: object, _kernel: object, _compiled: object, trial: Trial, _tick: object) -> Any:
        self.trials.append(trial)
        return self._give(self.correctness)

    @contextmanager
    def _hold(self, gpu: Gpu) -> Iterator[None]:
        self.holds.append("takes")
        yield
        self.holds.append(f"gives back {gpu.name}")

    @contextmanager
    def _make_ready(
        self, _sandbox: object, kernel: KernelFile, configs: object, gpu: Gpu
    ) -> Iterator[Callable[[], Counters]]:
        def count() -> Counters:
            self.counted.append((kernel.path, configs, gpu))
            return Counters(missing="not read: no profiler in this test")

        yield count

    def _choose(self, _sandbox: object, kernel: KernelFile, _gpu: Gpu, fastest: str) -> UsersChoice:
        assert kernel.path == str(self.candidate)
        return UsersChoice(config="what users take", fastest=fastest, slower=0.03)

    def _give(self, answer: object) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    def gate(self, find_gpus: Callable[[Request], Request] = unchanged, **changes: object) -> Gate:
        request = Request(
            root=ROOT,
            candidate=self.candidate,
            operation="alexnet_conv1",
            accepted=str(ACCEPTED),
            stage="final-micro-tuning",
            rule=None,
            report_dir=self.folder,
            gpu=None,
            measure=False,
            replay=None,
        )
        asked = msgspec.structs.replace(request, **changes)
        self.gates.append(Gate(asked, SETTINGS, lambda _: None, find_gpus))
        return self.gates[-1]
