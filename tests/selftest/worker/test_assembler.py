"""An RTX 4090's code on another GPU: the same PTX, another card's machine code, and no verdict on speed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import torch
from elftools.elf.elffile import ELFFile
from triton.backends.nvidia.compiler import CUDABackend
from triton.backends.nvidia.driver import CudaDriver

from kernelgate import protocol
from kernelgate.baselines.kernels import Kernels
from kernelgate.compilation.compiler import compile_kernel
from kernelgate.compilation.machine_code import launch_record
from kernelgate.compilation.machine_code.compiled_kernel import Target, target_at_hand
from kernelgate.compilation.recording import PlannedCall, record
from kernelgate.compilation.stage import ADA, compile_all
from kernelgate.compilation.timed_plans import find_plans
from kernelgate.execution import cards
from kernelgate.judging.options import AskedError, make_request, refuse_code_path
from kernelgate.machine.gpu import Gpu
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.performance import conclusion as performance
from kernelgate.performance.conclusion import conclude_performance
from kernelgate.performance.result import Performance
from kernelgate.performance.samples import Arm
from kernelgate.performance.stage import keep_samples, propose_speed, replay
from kernelgate.pipeline import performance_step
from kernelgate.reporting.page import render_markdown
from kernelgate.reporting.report import make_report
from kernelgate.sandbox import sandbox as sandbox_module
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.worker_process import Worker
from kernelgate.settings import load_settings
from kernelgate.verdict import Outcome, Reason, conclude
from kernelgate.worker.target import assembler as code_path
from kernelgate.worker.use.mode import UseMode
from tests.selftest.performance.test_conclusion import HEALTH, make_conditions, make_record, measure
from tests.selftest.support.pretended_gate import GPU, PretendedStages
from tests.selftest.support.recorders import as_kernel_file
from tests.selftest.support.small_kernels import LOOP, TWO_LAUNCHES

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = load_settings(ROOT / "pyproject.toml")
LIMITS = SETTINGS.limits
HOPPER = 90


@contextmanager
def opened(ada_on: int | None = HOPPER) -> Iterator[Sandbox]:
    """Give a sandbox that is gone afterwards."""
    place = Sandbox(ALEXNET_CONV1, LIMITS, ada_on)
    try:
        yield place
    finally:
        place.close()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with opened() as place:
        yield place


def architecture(cubin: str) -> int:
    """Return the compute capability that a cubin is for."""
    with Path(cubin).open("rb") as stream:
        flags = ELFFile(stream).header["e_flags"]
    return int(flags & 0xFF) or int(flags >> 8 & 0xFF)


@pytest.mark.parametrize("order", [(None, HOPPER, None), (HOPPER, None, HOPPER)])
def test_the_ptx_is_that_of_an_rtx_4090_and_the_machine_code_the_cards(
    sandbox: Sandbox, tmp_path: Path, order: tuple[int | None, ...]
) -> None:
    """Whatever was compiled before it in the same process and cache."""
    kernel = as_kernel_file(TWO_LAUNCHES, tmp_path)
    seen: list[tuple[str, int]] = []
    for _ in range(2):  # what another process finds in the cache is the same
        with sandbox.start("record", kernel) as worker:
            sandbox.await_loaded(worker)
            seen += [self_described(sandbox, worker, card) for card in order]
    ptx = {text for text, _ in seen}
    assert len(ptx) == 1
    assert ".target sm_89\n" in ptx.pop()
    assert [card for _, card in seen] == [card or ADA for card in order] * 2


def self_described(sandbox: Sandbox, worker: Worker, card: int | None) -> tuple[str, int]:
    stored = record(sandbox, worker, PlannedCall(batch=256, pin=0, card=cards.ADA, assembled_for=card)).stored
    assert stored is not None
    first, _ = stored.plan.programs
    cubin = stored.contents / f"{first.cubin}.cubin"
    return stored.read(first.ptx, "ptx").decode(), architecture(str(cubin))


def test_configurations_that_are_one_program_are_so_for_each_card(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is remembered of one target is not given out for another; occupancy is the card's."""
    fitted: list[int] = []
    monkeypatch.setattr(launch_record, "resident_blocks", lambda card, **_: fitted.append(card) or 1)
    kernel = as_kernel_file(LOOP, tmp_path)
    targets = [Target(capability=ADA), Target(capability=ADA, card=HOPPER)]
    compiled = compile_kernel(sandbox, kernel, targets, 1)
    assert [each.target for each in compiled] == ["sm_89", "sm_89 on sm_90"]
    codes = [
        {launch.code_sha256 for config in each.configs for launch in config.launches} for each in compiled
    ]
    assert all(len(each) == 1 for each in codes)
    assert codes[0] != codes[1]
    assert fitted == [ADA, ADA, HOPPER, HOPPER]
    products = [
        {launch.products for config in each.configs for launch in config.launches} for each in compiled
    ]
    assert products[0] == products[1]


@pytest.mark.parametrize(("ada_on", "target"), [(HOPPER, "sm_89 on sm_90"), (None, "sm_90")])
def test_what_runs_on_the_gpu_at_hand_is_compiled_as_the_sandbox_says(
    tmp_path: Path, ada_on: int | None, target: str
) -> None:
    """For an RTX 4090 in any case."""
    kernel = as_kernel_file(TWO_LAUNCHES, tmp_path)
    with opened(ada_on) as sandbox:
        kernels = Kernels(candidate=kernel, accepted=kernel, original=kernel)
        compiled = compile_all(sandbox, kernels, None, HOPPER)
    assert (compiled.candidate.target, compiled.at_hand.target) == ("sm_89", target)


@pytest.fixture
def ada_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend an H200, and restore after the test what a worker changes for good."""
    at_hand = SimpleNamespace(
        name="NVIDIA H200", major=9, multi_processor_count=132, total_memory=141 * 2**30
    )
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda *_, **__: at_hand)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_, **__: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "NVIDIA H200")
    monkeypatch.setattr(CudaDriver, "__init__", start_driver)
    for owner, name in (
        (CUDABackend, "make_cubin"),
        (CUDABackend, "hash"),
        (CudaDriver, "get_current_target"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))


SHARED_BYTES = 227 * 1024


def start_driver(driver: Any) -> None:
    """Stand in for the driver's own start, which needs a GPU."""
    properties = {"max_shared_mem": SHARED_BYTES, "multiprocessor_count": 132, "warpSize": 32}
    driver.utils = SimpleNamespace(get_device_properties=lambda _: properties)


@pytest.mark.usefixtures("ada_path")
def test_a_worker_takes_the_gpu_for_an_rtx_4090(tmp_path: Path) -> None:
    """Before the kernel file is imported, which may choose its code by the GPU; memory is what is there."""
    source = (
        TWO_LAUNCHES
        + """
assert torch.cuda.get_device_capability() == torch.cuda.get_device_capability(device=0) == (8, 9)
assert torch.cuda.get_device_name() == "NVIDIA GeForce RTX 4090"
found = torch.cuda.get_device_properties(device=0)
assert (found.name, found.major, found.multi_processor_count) == ("NVIDIA GeForce RTX 4090", 8, 128)
assert found.shared_memory_per_block_optin == 99 * 1024
assert found.total_memory == 141 * 2**30
"""
    )
    file = as_kernel_file(source, tmp_path).path
    load = protocol.Load(operation="alexnet_conv1", file=file, gpu_memory_bytes=1)
    with pytest.raises(AssertionError):
        UseMode().answer(load)
    UseMode().answer(msgspec.structs.replace(load, ada_on=HOPPER))
    driver = CudaDriver()
    assert driver.get_current_target().arch == ADA
    found = driver.utils.get_device_properties(0)
    assert found == {"max_shared_mem": 99 * 1024, "multiprocessor_count": 128, "warpSize": 32}
    backend = CUDABackend(driver.get_current_target())
    assert backend.hash().endswith(f"-on-{HOPPER}"), "and what it compiles is assembled for the card"


@pytest.mark.usefixtures("ada_path")
def test_less_shared_memory_than_an_rtx_4090_has_stays_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a launch would fail that the autotuner thought could run."""
    monkeypatch.setitem(start_driver.__globals__, "SHARED_BYTES", 1024)
    code_path.take_ada_path(HOPPER)
    assert CudaDriver().utils.get_device_properties(0)["max_shared_mem"] == 1024


@pytest.mark.parametrize("ada_on", [None, HOPPER])
def test_workers_of_a_sandbox_take_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ada_on: int | None
) -> None:
    """Whatever a kernel file is started for."""
    sent: list[protocol.Load] = []
    monkeypatch.setattr(sandbox_module, "Worker", lambda *_: SimpleNamespace(send=sent.append))
    with opened(ada_on) as sandbox:
        kernel = as_kernel_file(TWO_LAUNCHES, tmp_path)
        sandbox.start("record", kernel)
        sandbox.start("use", kernel)
    assert [load.ada_on for load in sent] == [ada_on, ada_on]


def test_what_is_timed_and_profiled_is_that_code(sandbox: Sandbox, tmp_path: Path) -> None:
    """Or times and counters were of other code."""
    kernel = as_kernel_file(TWO_LAUNCHES, tmp_path)
    compile_kernel(sandbox, kernel, [target_at_hand(HOPPER, ada_on=HOPPER)], 1)
    (plan,) = find_plans(sandbox, kernel)
    stored = plan.stored
    assert (stored.plan.target, stored.plan.card) == ("sm_89", "sm_90")
    for program in stored.plan.programs:
        assert ".target sm_89\n" in stored.read(program.ptx, "ptx").decode()
        assert architecture(str(stored.contents / f"{program.cubin}.cubin")) == HOPPER


def finish(**changes: Any) -> Performance:
    conditions = msgspec.structs.replace(make_conditions(None), ada_path=True)
    return conclude_performance(conditions, measure(**changes), 1.0)


@pytest.mark.parametrize("time_ms", [0.9, 1.8, 2.7])
def test_a_speed_by_another_gpus_code_decides_nothing(
    monkeypatch: pytest.MonkeyPatch, time_ms: float, tmp_path: Path
) -> None:
    """It is told, and no record is made of it."""
    monkeypatch.setattr(performance, "judge_answers", lambda *_: None)
    concluded = finish(times_ms={Arm.CANDIDATE: time_ms})
    assert (concluded.verdict.outcome, concluded.verdict.reason) == (
        Outcome.NOT_MEASURED,
        "another-gpus-code",
    )
    assert f"gain {100 * concluded.candidate.gain:z.2f} %" in concluded.verdict.detail
    conditions = msgspec.structs.replace(make_conditions(make_record()), ada_path=True)
    kernels: Any = SimpleNamespace(accepted=object())
    assert propose_speed(concluded, kernels, conditions, tmp_path) is None


def test_what_cannot_be_trusted_or_is_wrong_is_that_by_any_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers were computed by the instructions that an RTX 4090 would be given."""
    monkeypatch.setattr(performance, "judge_answers", lambda *_: None)
    throttled = msgspec.structs.replace(HEALTH, throttled=("heat",))
    assert finish(health=throttled).verdict.outcome is Outcome.INVALID
    wrong = conclude(Outcome.WRONG, Reason.TIMED_ANSWER, "off")
    monkeypatch.setattr(performance, "judge_answers", lambda *_: wrong)
    assert finish().verdict == wrong


def test_a_replay_of_it_decides_nothing_either(tmp_path: Path) -> None:
    """The file of samples says by which code they were timed."""
    attempts = [measure({Arm.CANDIDATE: 0.9})]
    own = make_conditions(None)
    assert replay(keep_samples(own, attempts, tmp_path))[0].outcome is Outcome.KEEP
    ada = msgspec.structs.replace(own, ada_path=True)
    assert replay(keep_samples(ada, attempts, tmp_path))[0].outcome is Outcome.NOT_MEASURED


def test_the_gate_runs_its_stages_by_that_code_and_says_so(
    pretended: PretendedStages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record of the GPU's own code is not read; a report that was asked for this passes."""
    monkeypatch.setattr(performance, "judge_answers", lambda *_: None)
    monkeypatch.setattr(performance_step, "load_record", lambda *_: pytest.fail("read the record"))
    pretended.performance = finish(), [measure()]
    gate = pretended.gate(gpu=GPU, measure=True, ada_path=True)
    assert gate.stage("performance").status == "passed"
    assert gate.sandbox.ada_on == GPU.capability
    report = make_report(gate)
    assert (report.verdict, report.passes, report.ada_path) == (Outcome.NOT_MEASURED, True, True)
    assert "## Performance by an RTX 4090's code on NVIDIA H200" in render_markdown(report)
    assert "how fast they are on an RTX 4090 it does not say" in render_markdown(report)


def test_without_timing_the_verdict_names_the_code_that_was_tried(pretended: PretendedStages) -> None:
    """It is right as Ada's instructions, on a card that is none."""
    gate = pretended.gate(gpu=GPU, ada_path=True)
    gate.stage("correctness")
    assert "tried as sm_89's code on sm_90" in gate.verdict().detail
    own = pretended.gate(gpu=GPU)
    own.stage("compile")
    assert own.sandbox.ada_on is None


@pytest.mark.parametrize("capability", [None, 86, 89])
def test_a_gpu_that_is_no_newer_cannot_be_asked(capability: int | None) -> None:
    """An RTX 4090 runs its own code without being asked, and older GPUs cannot."""
    gpu = (
        Gpu(name="a GPU", uuid="GPU-0", capability=capability, driver="", l2_bytes=1) if capability else None
    )
    asked = make_request({"code_path": "sm_89"}.get, ROOT, SETTINGS, measure=False)
    with pytest.raises(AskedError, match="needs a GPU newer than sm_89"):
        refuse_code_path(asked, gpu)
