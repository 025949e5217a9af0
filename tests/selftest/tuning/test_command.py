"""The command `tune`, with a compiler and a GPU that only pretend."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from kernelgate.baselines.compiled import ConfigRecord
from kernelgate.cli.main import main
from kernelgate.compilation.machine_code.compiled_kernel import CompiledKernel
from kernelgate.compilation.stage_rules import nearby_configs
from kernelgate.kernel_file.config_list import ConfigListError
from kernelgate.kernel_file.source import KernelFile, read_kernel
from kernelgate.machine.gpu import Gpu, GpuError
from kernelgate.operations import name_of
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.declaration.kernel_config import KernelConfig
from kernelgate.performance.explanation.hardware_counters import Counters
from kernelgate.performance.samples import Arm
from kernelgate.sandbox.faults import FaultKind
from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.settings import load_settings
from kernelgate.tuning import command as tune_stage
from kernelgate.tuning.command import Job, TuneError, tune
from kernelgate.tuning.page import render_page
from kernelgate.tuning.state import Tuned, read_state
from kernelgate.verdict import Outcome, conclude
from tests.selftest.kernel_file.test_config_list import configs_in
from tests.selftest.support.any_reason import any_reason
from tests.selftest.support.made_up_launches import make_launch
from tests.selftest.support.project_settings import RULES

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = load_settings(ROOT / "pyproject.toml")
FILE = ROOT / "docs" / "examples" / "pipelined" / "kernel.py"
GPU = Gpu(name="NVIDIA Test", uuid="GPU-0", capability=90, driver="1", l2_bytes=1024)
ORIGINAL = ALEXNET_CONV1.original.config
EIGHT = msgspec.structs.replace(ORIGINAL, num_warps=8)
DEEP = msgspec.structs.replace(ORIGINAL, num_stages=3)


def record(
    config: KernelConfig, warps_per_sm: int = 16, grid: tuple[int, int, int] = (24200, 2, 1)
) -> ConfigRecord:
    code = f"{config.num_warps:032x}{config.num_stages:032x}"
    launch = make_launch(code_sha256=code, warps_per_sm=warps_per_sm, grid=grid)
    return ConfigRecord(config=config, launches=(launch,), error="")


class Machine:
    """Compiles to what has room for eight warps only, and times by the gains that a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gains: dict[int, float] = {3: 0.05}
        self.list_outcome = Outcome.KEEP
        self.timed: list[list[str]] = []
        self.error: Exception | None = None
        self.compiled: list[KernelFile] = []
        self.without_gain = Outcome.REVERT
        self.grid = (24200, 2, 1)
        monkeypatch.setattr(tune_stage, "compile_kernels", self.compile)
        monkeypatch.setattr(tune_stage, "measure_performance", self.measure)
        monkeypatch.setattr(tune_stage, "read_counters", self.count)
        self.counted: list[list[str]] = []

    def compile(self, _sandbox: object, kernels: dict[KernelFile, object]) -> dict[KernelFile, Any]:
        self.compiled += kernels
        accepted = CompiledKernel(target="sm_89", kernel_sha256="0" * 64, configs=(record(ORIGINAL),))
        near = nearby_configs(ALEXNET_CONV1, accepted, RULES)
        configs = tuple(
            record(each, 24 if each.num_warps == EIGHT.num_warps else 16, self.grid) for each in near
        )
        wide = msgspec.structs.replace(accepted, configs=configs)
        return {kernel: [wide if len(configs_in(kernel.source)) == 12 else accepted] for kernel in kernels}

    def count(self, _sandbox: object, kernel: KernelFile, _configs: object, _gpu: Gpu) -> Counters:
        self.counted.append(configs_in(kernel.source))
        return Counters(missing="not read: no profiler in this test")

    def measure(
        self, _sandbox: object, kernels: Any, conditions: Any, _tick: object
    ) -> tuple[Any, list[Any]]:
        if self.error is not None:
            raise self.error
        assert conditions.gpu == GPU
        configs = configs_in(kernels.candidate.source)
        self.timed.append(configs)
        gain = max(self.gains.get(int(text[-2]), 0.0) for text in configs)
        outcome = Outcome.KEEP if gain >= 0.02 else self.without_gain
        if len(configs) > 1:
            outcome = self.list_outcome
        contrast = SimpleNamespace(gain=gain, gain_low=gain - 0.001, gain_high=gain + 0.001)
        return (
            SimpleNamespace(
                candidate=contrast,
                candidate_to_original=contrast,
                time_ms={Arm.CANDIDATE: 1.7},
                verdict=conclude(outcome, any_reason(outcome), "because"),
            ),
            [],
        )


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def run(folder: Path, gpu: Gpu | None = GPU, file: Path = FILE) -> Tuned:
    accepted = str(ROOT / "kernels" / "alexnet_conv1_original.py")
    job = Job(root=ROOT, file=file, operation="alexnet_conv1", accepted=accepted, report_dir=folder, gpu=gpu)
    return tune(job, SETTINGS, lambda *_: None)


def test_without_a_gpu_the_compile_is_the_end(machine: Machine, tmp_path: Path) -> None:
    """And it says so; what was dropped has its reason."""
    tuned = run(tmp_path, gpu=None)
    assert (tuned.ended, machine.timed, tuned.source) == ("compiled", [], "")
    fates = {str(option.config): option.dropped for option in tuned.options}
    assert len(fates) == 12
    assert fates[str(ORIGINAL)] == fates[str(DEEP)] == fates[str(EIGHT)] == ""
    assert all("occupancy" in why for config, why in fates.items() if ", 2 warps" in config)
    page = render_page(tuned, "")
    assert "# Compiled, not timed" in page
    assert "machine with an NVIDIA GPU" in page
    assert "NVIDIA Test" not in page


def test_what_is_left_is_timed_one_by_one_and_then_as_a_list(machine: Machine, tmp_path: Path) -> None:
    """The kept ones come after the original; the rest of the file is as it was."""
    tuned = run(tmp_path)
    assert tuned.ended == "kept"
    assert [len(configs) for configs in machine.timed] == [1, 1, 1, 1, 1, 1, 3]
    assert tuned.configs == (ORIGINAL, DEEP, msgspec.structs.replace(EIGHT, num_stages=3))
    assert configs_in(tuned.source) == machine.timed[-1]
    assert "num_warps=4, num_stages=2" in configs_in(tuned.source)[0]
    page = render_page(tuned, "some.py")
    assert "KEEP +5.00 % \\[+4.90, +5.10], +5.00 % to the original, 1.7000 ms" in page
    assert "kernelgate judge some.py" in page
    assert page.count("dropped:") == 6


def test_nothing_proven_is_reverted(machine: Machine, tmp_path: Path) -> None:
    """No list is made, none is timed."""
    machine.gains = {}
    tuned = run(tmp_path)
    assert (tuned.ended, tuned.configs, tuned.source) == ("reverted", (), "")
    assert max(map(len, machine.timed)) == 1


@pytest.mark.parametrize(
    ("outcome", "ended"),
    [(Outcome.UNSTABLE, "undecided"), (Outcome.INVALID, "undecided"), (Outcome.REVERT, "reverted")],
)
def test_a_list_that_is_not_kept_as_a_whole_is_not_written(
    machine: Machine, tmp_path: Path, outcome: Outcome, ended: str
) -> None:
    """Its autotuner may choose in several ways: that is what users would get."""
    machine.list_outcome = outcome
    tuned = run(tmp_path)
    assert (tuned.ended, tuned.source) == (ended, "")
    assert f"the list as a whole is {outcome}" in tuned.detail
    assert tuned.final is not None


def test_a_run_that_was_ended_goes_on_where_it_was(machine: Machine, tmp_path: Path) -> None:
    """With the same files, settings and GPU; with another kernel nothing is taken over."""
    real, count = machine.measure, 0

    def end_at_third(*arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tune_stage, "measure_performance", end_at_third)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    state = read_state(tmp_path)
    assert state is not None
    assert (state.ended, sum(option.timed is not None for option in state.options)) == ("undecided", 2)
    machine.timed.clear()
    assert run(tmp_path).ended == "kept"
    assert [len(configs) for configs in machine.timed] == [1, 1, 1, 1, 3]
    machine.timed.clear()
    other = tmp_path / "other.py"
    other.write_text(FILE.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    run(tmp_path, file=other)
    assert len(machine.timed) == 7


def test_a_file_that_launches_another_grid_has_nothing_to_time(machine: Machine, tmp_path: Path) -> None:
    """Which the page says, with the reason."""
    machine.grid = (1, 1, 1)
    tuned = run(tmp_path)
    assert (tuned.ended, machine.timed) == ("reverted", [])
    assert tuned.detail.startswith("nothing is worth timing; the original: launches grids ((1, 1, 1),)")


def test_the_compiler_says_what_occupancy_suggests(tmp_path: Path) -> None:
    """Nothing pretended: two warps fill a multiprocessor of a 4090 less, eight fill it more."""
    fates = {str(option.config): option.dropped for option in run(tmp_path, gpu=None).options}
    assert "occupancy does not suggest it" in fates["32/64/32, 2 warps, 1 stages"]
    assert fates[str(ORIGINAL)] == fates[str(EIGHT)] == ""


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"schema": "another"}'])
def test_a_state_that_cannot_be_read_is_none(machine: Machine, tmp_path: Path, broken: str) -> None:
    """All is timed anew."""
    (tmp_path / "tune.json").write_text(broken, encoding="utf-8")
    assert read_state(tmp_path) is None
    run(tmp_path)
    assert len(machine.timed) == 7


@pytest.mark.parametrize("outcome", [Outcome.UNSTABLE, Outcome.INVALID])
def test_what_could_not_be_decided_is_timed_again(machine: Machine, tmp_path: Path, outcome: Outcome) -> None:
    """The run says that it was not decided, and the next one tries those alone."""
    machine.gains, machine.without_gain = {}, outcome
    tuned = run(tmp_path)
    assert (tuned.ended, len(machine.timed)) == ("undecided", 6)
    assert "6 could not be decided" in tuned.detail
    machine.timed.clear()
    machine.without_gain = Outcome.REVERT
    assert run(tmp_path).ended == "reverted"
    assert len(machine.timed) == 6
    machine.timed.clear()
    run(tmp_path)
    assert machine.timed == []


def test_the_counters_of_what_was_timed_are_read_once(machine: Machine, tmp_path: Path) -> None:
    """Of all configurations together, whatever becomes of them; the page has them or says why not."""
    tuned = run(tmp_path)
    (counted,) = machine.counted
    assert counted == [configs for (configs,) in machine.timed[:-1]]
    page = render_page(tuned, "tuned.py")
    assert "not read: no profiler in this test." in page
    assert page.index("What was tried") < page.index("counted") < page.index("## The list")


def test_a_list_that_does_not_compile_for_the_profiler_ends_nothing(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a reason to have no counters."""
    machine.gains = {}

    def compile_but_the_list(sandbox: object, kernels: dict[KernelFile, object]) -> Any:
        if any(len(configs_in(kernel.source)) == 6 for kernel in kernels):
            raise WorkerFault(FaultKind.RAISES, "no such code here")
        return machine.compile(sandbox, kernels)

    monkeypatch.setattr(tune_stage, "compile_kernels", compile_but_the_list)
    tuned = run(tmp_path)
    assert tuned.ended == "reverted"
    assert tuned.counters == Counters(missing="not read: raises: no such code here")


@pytest.mark.parametrize("kind", ["raises", "prints"])
def test_what_was_wrong_or_forbidden_is_not_counted(machine: Machine, tmp_path: Path, kind: str) -> None:
    """Under a profiler it would do so again, and take the others with it."""
    machine.error = WorkerFault(FaultKind(kind), "an error", Arm.CANDIDATE)
    assert run(tmp_path).counters is None
    assert machine.counted == []


def test_accepted_kernel_and_original_are_compiled_once(machine: Machine, tmp_path: Path) -> None:
    """Each configuration that is timed, once; for sm_89 the accepted kernel and all that are near.

    For the profiler those that are timed, together, and then the list.
    """
    run(tmp_path)
    assert len(machine.compiled) == 2 + 2 + 6 + 1 + 1


def test_a_configuration_that_fails_is_wrong_and_the_others_go_on(machine: Machine, tmp_path: Path) -> None:
    """Another arm that fails is nobody's configuration's fault."""
    machine.error = WorkerFault(FaultKind.RAISES, "an error", Arm.CANDIDATE)
    tuned = run(tmp_path)
    assert tuned.ended == "reverted"
    assert {str(option.timed.outcome) for option in tuned.options if option.timed} == {"WRONG"}
    for kind in ("timer", "crowded", "no-sandbox"):
        machine.error = WorkerFault(FaultKind(kind), "nobody's fault", Arm.CANDIDATE)
        tuned = run(tmp_path / kind)
        assert {str(option.timed.outcome) for option in tuned.options if option.timed} == {"INVALID"}
    machine.error = WorkerFault(FaultKind.RAISES, "an error", Arm.ACCEPTED)
    with pytest.raises(WorkerFault):
        run(tmp_path / "fresh")


@pytest.mark.parametrize(
    ("edit", "error", "says"),
    [
        (("import torch\n", "import os\nimport torch\n"), TuneError, "breaks the format.*import os"),
        (("conv1 = self.conv1", "conv1 = self.conv1; open"), TuneError, "breaks the format.*open"),
        (("@triton.autotune(", "@triton.heuristics("), ConfigListError, "no kernel is autotuned"),
    ],
)
def test_a_file_that_cannot_be_tuned_says_why(
    machine: Machine, tmp_path: Path, edit: tuple[str, str], error: type[Exception], says: str
) -> None:
    """Before anything is compiled; and the file stays as it is."""
    file = tmp_path / "kernel.py"
    file.write_text(FILE.read_text(encoding="utf-8").replace(*edit), encoding="utf-8")
    before = file.read_bytes()
    with pytest.raises(error, match=f"(?s){says}"):
        run(tmp_path / "report", file=file)
    assert file.read_bytes() == before
    assert machine.timed == []


def call(
    monkeypatch: pytest.MonkeyPatch, folder: Path, *more: str, gpu: Gpu | None = GPU, file: Path = FILE
) -> int:
    def find() -> Gpu:
        if gpu is None:
            raise GpuError("no NVIDIA GPU")
        return gpu

    monkeypatch.setattr("kernelgate.machine.gpu.find_gpu", find)
    operation = name_of(file.stem) or "alexnet_conv1"
    accepted = ROOT / "kernels" / f"{operation}_original.py"
    given = ("--root", str(ROOT), "--accepted", str(accepted), "--report-dir", str(folder))
    return main(["tune", str(file), *given, *more])


def test_a_file_is_tuned_as_what_its_name_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With that operation's own original configuration."""
    file = ROOT / "kernels" / "softmax.py"
    assert call(monkeypatch, tmp_path, gpu=None, file=file) == 0
    said = capsys.readouterr().out
    assert "COMPILED, NOT TIMED" in said
    assert "4 warps, 1 stages            worth timing" in said


@pytest.mark.usefixtures("machine")
def test_the_command_writes_the_kept_list_beside_its_report(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says what to do with it."""
    assert call(monkeypatch, tmp_path) == 0
    written = tmp_path / "kernel.tuned.py"
    assert len(configs_in(read_kernel(written, 10**6).source)) == 3
    out = capsys.readouterr().out
    assert out.startswith(f"KEPT  {FILE}")
    assert f"kernelgate judge {written}" in out
    assert (tmp_path / "tune.md").read_text(encoding="utf-8").startswith("# Kept")
    assert call(monkeypatch, tmp_path) == 0, "its own folder it may write again"


@pytest.mark.usefixtures("machine")
def test_the_command_writes_over_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Least of all over the file that it tunes."""
    mine = tmp_path / "mine.py"
    mine.write_text("# mine\n", encoding="utf-8")
    for output in (mine, FILE):
        before = output.read_bytes()
        assert call(monkeypatch, tmp_path / "report", "--output", str(output)) == 1
        assert "nothing is written over" in capsys.readouterr().err
        assert output.read_bytes() == before
    assert call(monkeypatch, tmp_path / "report", "--output", str(tmp_path / "fresh.py")) == 0
    assert (tmp_path / "fresh.py").exists()


def test_the_exit_code_is_one_where_nothing_was_decided(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A revert is an answer; no GPU is said."""
    machine.list_outcome = Outcome.UNSTABLE
    assert call(monkeypatch, tmp_path / "unstable") == 1
    assert not (tmp_path / "unstable" / "kernel.tuned.py").exists()
    machine.gains = {}
    assert call(monkeypatch, tmp_path / "reverted") == 0
    capsys.readouterr()
    assert call(monkeypatch, tmp_path / "compiled", gpu=None) == 0
    said = capsys.readouterr()
    assert "no NVIDIA GPU" in said.err
    assert said.out.startswith("COMPILED, NOT TIMED")
