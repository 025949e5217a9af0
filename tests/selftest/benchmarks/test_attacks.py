"""Attacks on the timing are kernel files that deceive, and what becomes of them is told as it was."""

import ast
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import attacks, decision, decisions
from benchmarks.attack_kernels import ATTACKS, Attack
from benchmarks.decision import Decision, decide
from benchmarks.variants import make_variant
from kernelgate.compilation.compiler import compile_kernel
from kernelgate.compilation.machine_code.compiled_kernel import Target
from kernelgate.kernel_file.format import check_format
from kernelgate.kernel_file.reach import find_reaches
from kernelgate.kernel_file.source import KernelFile, read_kernel
from kernelgate.machine.gpu import GpuError
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.performance import replicate
from kernelgate.performance.samples import Arm, MeasuredReplicate
from kernelgate.sandbox.faults import FaultKind
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.settings import load_settings
from kernelgate.verdict import Outcome, conclude
from tests.selftest.support.any_reason import any_reason
from tests.selftest.support.made_up_samples import CONDITIONS, make_replicates

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = load_settings(ROOT / "pyproject.toml")
GPU = CONDITIONS.gpu
WAITING = [attack for attack in ATTACKS if "_sleep(" in attack.forward]
REVERT = Decision(outcome=Outcome.REVERT, detail="gain-too-small", told_gain=0.0, seconds=20, gpu_seconds=6)
KEEP = Decision(
    outcome=Outcome.KEEP, detail="proven-gain: a | b\nc", told_gain=0.1, seconds=30, gpu_seconds=8
)

HARMLESS = {"global-backends"}
"""Settings of the whole process, which honest files make too."""


@pytest.fixture
def accepted(tmp_path: Path) -> KernelFile:
    return make_variant(Arm.ACCEPTED, tmp_path)


def written(attack: Attack, accepted: KernelFile, folder: Path) -> KernelFile:
    """Return the attack as the gate reads it."""
    file = folder / "attack.py"
    file.write_text(attack.source(accepted.source), encoding="utf-8")
    return read_kernel(file, SETTINGS.limits.kernel_file_bytes)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_is_the_accepted_kernel_with_one_deceit(
    attack: Attack, accepted: KernelFile, tmp_path: Path
) -> None:
    """It is a kernel file by its form; what reaches into the process around it is refused by its names."""
    kernel = written(attack, accepted, tmp_path)
    assert check_format(kernel, ALEXNET_CONV1) == ()
    reaches = attack.name.startswith(("patches", "global")) and attack.name not in HARMLESS
    reaches = reaches or "torch.sys" in kernel.source
    assert bool(find_reaches(kernel)) == (reaches or "torch.calls" in kernel.source)
    model = ast.parse(kernel.source).body[-1]
    assert isinstance(model, ast.ClassDef)
    assert {"__init__", "forward", "compute"} <= {getattr(node, "name", "") for node in model.body}


@pytest.mark.parametrize("attack", WAITING, ids=lambda attack: attack.name)
def test_an_attack_that_has_the_gpu_wait_compiles_without_one(
    attack: Attack, accepted: KernelFile, tmp_path: Path
) -> None:
    """It must first come as far as being timed."""
    kernel = written(attack, accepted, tmp_path)
    sandbox = Sandbox(ALEXNET_CONV1, SETTINGS.limits)
    try:
        (compiled,) = compile_kernel(sandbox, kernel, [Target(capability=90)], 1)
        assert all(record.launches for record in compiled.configs)
    finally:
        sandbox.close()


def test_an_attack_that_fails_in_the_compile_is_a_row_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others are timed all the same."""
    pretend(monkeypatch, attacks, WorkerFault(FaultKind.RAISES, "an error", Arm.CANDIDATE), REVERT)
    assert attacks.main(["sleeps", "honest"]) == 0
    failed, honest = capsys.readouterr().out.splitlines()[2:]
    assert failed.endswith("| WRONG |  | raises: sleeps.py raises: an error |")
    assert "| REVERT |" in honest


def test_an_attack_that_no_longer_fits_says_so(accepted: KernelFile) -> None:
    """Nothing is timed that does not deceive."""
    attack = Attack(name="none", does="nothing", edit=("no such text", ""))
    with pytest.raises(ValueError, match="change the attacks with it"):
        attack.source(accepted.source)


def pretend(monkeypatch: pytest.MonkeyPatch, module: Any, *found: Decision | Exception) -> list[str]:
    """Have decisions come out like this, in this order; return the names of what they were made on."""
    outcomes, names = iter(found), list[str]()

    @contextmanager
    def compiled(*_: object) -> Iterator[None]:
        yield

    def decide_so(
        _sandbox: object, _gpu: object, _settings: object, kernel: KernelFile, _: object
    ) -> Decision:
        names.append(Path(kernel.path).stem)
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(module, "compiled", compiled)
    monkeypatch.setattr(module, "decide", decide_so)
    monkeypatch.setattr(module, "find_gpu", lambda: GPU)
    return names


def test_an_attack_that_is_kept_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row for each that was asked for; all of them without names."""
    pretend(monkeypatch, attacks, REVERT, KEEP)
    assert attacks.main(["honest", "patches-flush"]) == 1
    honest, kept = capsys.readouterr().out.splitlines()[2:]
    assert honest.endswith("twin | passes | REVERT | +0.00 % | gain-too-small |")
    assert kept.endswith("| FORBIDDEN | KEEP | +10.00 % | proven-gain: a / b c |")
    pretend(monkeypatch, attacks, KEEP, REVERT)
    assert attacks.main(["patches-flush", "honest"]) == 1, "whichever comes last"
    names = pretend(monkeypatch, attacks, *[REVERT] * len(ATTACKS))
    assert attacks.main([]) == 0
    assert names == [attack.name for attack in ATTACKS]


@pytest.mark.parametrize("module", [attacks, decisions])
def test_without_a_gpu_there_is_nothing_to_time(
    module: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The cause is said, and an argument that is not known is refused."""
    pretend(monkeypatch, module, GpuError("no NVIDIA GPU"))
    assert module.main([]) == 1
    assert "benchmarks: no NVIDIA GPU" in capsys.readouterr().err
    for arguments in (["tickles"], ["--count", "0"]):
        with pytest.raises(SystemExit):
            module.main(arguments)


def test_decisions_are_told_one_by_one_and_summed_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Candidates take turns; the medians of what they cost are of all."""
    names = pretend(monkeypatch, decisions, REVERT, KEEP, REVERT)
    assert decisions.main(["--count", "3", "--arm", "candidate", "faster-2"]) == 0
    assert names == ["candidate", "faster-2", "candidate"]
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "candidate: REVERT +0.00 % after 0: 20.0 s, 6.0 s on the GPU, 0 attempts; gain-too-small"
    assert out[-3:] == [
        "candidate: 2 REVERT",
        "faster-2: 1 KEEP",
        "median of 3: 20.0 s of wall time, 6.0 s of it with samples on the GPU",
    ]


def test_no_decision_is_begun_after_its_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One is made in any case."""
    names = pretend(monkeypatch, decisions, REVERT, KEEP)
    assert decisions.main(["--count", "2", "--seconds", "0"]) == 0
    assert names == ["candidate"]
    assert capsys.readouterr().out.splitlines()[-2] == "candidate: 1 REVERT"


@pytest.mark.parametrize(
    ("arguments", "loads"), [([], []), (["--bursts", "seen"], [False]), (["--bursts", "unseen"], [True])]
)
def test_the_gpu_is_loaded_as_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], loads: list[bool]
) -> None:
    """Not at all unless it is said, and unseen only where it is said so."""
    loaded: list[bool] = []

    @contextmanager
    def load(unseen: bool) -> Iterator[None]:
        loaded.append(unseen)
        yield

    monkeypatch.setattr(decisions, "load_in_bursts", load)
    pretend(monkeypatch, decisions, REVERT)
    assert decisions.main(["--count", "1", *arguments]) == 0
    assert loaded == loads


@pytest.mark.parametrize("unseen", [False, True])
def test_the_program_that_loads_the_gpu_is_ended(monkeypatch: pytest.MonkeyPatch, unseen: bool) -> None:
    """It is the judge's own for the health check only where it is to go unseen."""
    monkeypatch.setattr(decisions, "BURSTS", "import time; time.sleep(60)")
    loaders: list[Any] = []
    start = subprocess.Popen

    def note(*arguments: Any, **named: Any) -> Any:
        loaders.append(start(*arguments, **named))
        return loaders[-1]

    monkeypatch.setattr(decisions.subprocess, "Popen", note)
    with decisions.load_in_bursts(unseen):
        assert loaders[0].poll() is None
        assert (loaders[0].pid in replicate.live_pids()) == unseen
    assert loaders[0].poll() is not None
    assert loaders[0].pid not in replicate.live_pids()


@pytest.mark.parametrize(
    ("came", "outcome", "says"),
    [
        (
            WorkerFault(FaultKind.RAISES, "an error", Arm.CANDIDATE),
            Outcome.WRONG,
            "accepted.py raises: an error",
        ),
        (
            WorkerFault(FaultKind.RAISES, "an error", Arm.ACCEPTED),
            Outcome.INVALID,
            "not the candidate but accepted",
        ),
        (
            WorkerFault(FaultKind.TIMER, "sent none", Arm.CANDIDATE),
            Outcome.INVALID,
            "timer: candidate sent none",
        ),
        (GpuError("2 other processes", "gpu-shared"), Outcome.INVALID, "gpu-shared: 2 other processes"),
    ],
)
def test_what_ends_a_decision_early_is_its_outcome(
    monkeypatch: pytest.MonkeyPatch, accepted: KernelFile, came: Exception, outcome: Outcome, says: str
) -> None:
    """As the gate would have it."""

    def fail(*_: object) -> None:
        raise came

    monkeypatch.setattr(decision, "measure_performance", fail)
    sandbox: Any = SimpleNamespace(operation=CONDITIONS.operation)
    found = decide(sandbox, GPU, SETTINGS, accepted, accepted)
    assert (found.outcome, found.told_gain) == (outcome, None)
    assert says in found.detail


@pytest.mark.parametrize("judged", [Outcome.KEEP, Outcome.WRONG])
def test_a_decision_is_the_stages_own_by_no_record(
    monkeypatch: pytest.MonkeyPatch, accepted: KernelFile, judged: Outcome
) -> None:
    """Where none is kept the rule table decides; both attempts have cost."""
    first, measured = make_replicates((0.05,) * 4), make_replicates((-0.05,) * 4, attempt=2)

    def measure(*asked: Any) -> tuple[Any, Sequence[Sequence[MeasuredReplicate]]]:
        assert (asked[2].record, asked[2].records) == (None, None)
        candidate = SimpleNamespace(gain=0.05)
        return SimpleNamespace(
            verdict=conclude(judged, any_reason(judged), "because"), candidate=candidate
        ), [
            first,
            measured,
        ]

    monkeypatch.setattr(decision, "measure_performance", measure)
    sandbox: Any = SimpleNamespace(operation=CONDITIONS.operation)
    found = decide(sandbox, GPU, SETTINGS, accepted, accepted)
    assert (found.outcome, found.attempts, found.replicates) == (judged, 2, 8)
    samples = [sample for one in (*first, *measured) for sample in one.samples]
    assert found.gpu_seconds == pytest.approx(sum(sample.wall_ms for sample in samples) / 1000)
