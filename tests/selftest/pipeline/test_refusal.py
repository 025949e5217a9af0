"""Which verdict follows from an error of a stage, and how soon a file is turned down for its text."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from kernelgate.baselines.store import BaselineError
from kernelgate.compilation.compiler import TooManyConfigsError
from kernelgate.errors import InputsError
from kernelgate.machine.gpu import GpuError
from kernelgate.pipeline.refusal import ANSWERED, stop_for
from kernelgate.pipeline.stage import Request, StageName
from kernelgate.sandbox.confinement import NoSandboxError
from kernelgate.sandbox.faults import FaultKind
from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.verdict import Outcome, Reason
from tests.selftest.support.pretended_gate import ACCEPTED, GPU, PretendedStages

ROOT = Path(__file__).resolve().parents[3]
HEAVY = ("torch", "triton", "scipy", "hypothesis")
REFUSE = """
import sys
from pathlib import Path
from kernelgate.pipeline.pipeline import Gate
from kernelgate.pipeline.stage import ORDER, Request
from kernelgate.reporting.report import make_report
from kernelgate.reporting.report_files import write_report
from kernelgate.settings import load_settings

root, candidate, folder = Path.cwd(), Path(sys.argv[1]), Path(sys.argv[2])
request = Request(
    root=root, candidate=candidate, operation="alexnet_conv1", accepted=sys.argv[3],
    stage="final-micro-tuning", rule=None, report_dir=folder, gpu=None, measure=False, replay=None,
)
def find_gpus(request):
    raise AssertionError("looked for a GPU")
gate = Gate(request, load_settings(root / "pyproject.toml"), lambda _: None, find_gpus)
for name in ORDER:
    gate.stage(name)
gate.close()
write_report(make_report(gate), folder)
print(gate.verdict().reason, *sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import os\n", "format-import-not-allowed"),
        ("def broken(:\n", "format-not-python"),
        (None, "format-file-missing"),
    ],
)
def test_a_file_is_refused_for_its_form_without_what_only_kernels_need(
    text: str | None, reason: str, tmp_path: Path
) -> None:
    """From the question to the written report; no GPU is looked for, either."""
    candidate = tmp_path / "candidate.py"
    if text is not None:
        candidate.write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", REFUSE, str(candidate), str(tmp_path / "report"), str(ACCEPTED)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    said, *modules = done.stdout.split()
    assert said == reason
    assert (tmp_path / "report" / "report.json").is_file()
    assert not set(HEAVY) & set(modules)


def test_the_gpu_is_looked_up_once_and_not_for_the_format(pretended: PretendedStages) -> None:
    """The request is completed when `compile` begins, and the report names the GPU."""
    asked: list[Request] = []

    def find_gpus(request: Request) -> Request:
        asked.append(request)
        return msgspec.structs.replace(request, gpu=GPU, gpus=("0",))

    gate = pretended.gate(find_gpus=find_gpus)
    gate.stage("format")
    assert (asked, gate.environment.driver) == ([], "unknown")
    gate.stage("correctness")
    assert len(asked) == 1
    assert (gate.request.gpu, gate.environment.driver) == (GPU, GPU.driver)
    assert pretended.trials[0].gpus == ("0",)


def test_a_gpu_that_is_not_there_is_a_verdict(pretended: PretendedStages) -> None:
    """Where the caller says so only once it is asked."""

    def find_gpus(_request: Request) -> Request:
        raise GpuError("no NVIDIA GPU")

    gate = pretended.gate(find_gpus=find_gpus)
    assert gate.stage("compile").status == "failed"
    assert (gate.verdict().outcome, gate.verdict().reason) == (Outcome.INVALID, "gpu-not-to-be-had")


ENDS = [
    (TooManyConfigsError("99"), "compile", Outcome.FORBIDDEN, "too-many-configs"),
    (BaselineError("truncated", Path("a.json"), "cut"), "compile", Outcome.INVALID, "record-truncated"),
    (BaselineError("truncated", Path("a.json"), "cut"), "performance", Outcome.INVALID, "baseline-truncated"),
    (GpuError("shared", Reason.GPU_SHARED), "correctness", Outcome.INVALID, "gpu-shared"),
    (WorkerFault(FaultKind.NO_ANSWER, "seen"), "correctness", Outcome.WRONG, "no-answer"),
    (WorkerFault(FaultKind.PRINTS, "seen", "candidate"), "performance", Outcome.FORBIDDEN, "prints"),
    (WorkerFault(FaultKind.RAISES, "seen", "vendor"), "performance", Outcome.INVALID, "arm-raises"),
    (WorkerFault(FaultKind.CROWDED, "seen"), "correctness", Outcome.INVALID, "crowded"),
    (WorkerFault(FaultKind.NO_SANDBOX, "seen", "0" * 64), "compile", Outcome.INVALID, "no-sandbox"),
    (InputsError("family odd cannot be drawn"), "correctness", Outcome.INVALID, "gate-fault"),
    (WorkerFault(FaultKind.GATE_FAULT, "seen"), "correctness", Outcome.INVALID, "gate-fault"),
    (NoSandboxError("no Landlock"), "compile", Outcome.INVALID, "no-sandbox"),
]


@pytest.mark.parametrize(("error", "stage", "outcome", "reason"), ENDS)
def test_each_error_has_its_verdict(
    pretended: PretendedStages, error: Exception, stage: StageName, outcome: Outcome, reason: str
) -> None:
    """The same class, the same answer, in whatever stage."""
    gate = pretended.gate()
    gate.stage("format")
    verdict = stop_for(error, gate, stage).verdict
    assert (verdict.outcome, verdict.reason) == (outcome, reason)


def test_only_errors_that_the_table_holds_are_answered() -> None:
    """A mistake of the gate's own is none of them, in no stage."""
    assert not issubclass(AssertionError, ANSWERED)
    assert not issubclass(KeyError, ANSWERED)
    assert {type(error) for error, *_ in ENDS} < set(ANSWERED)


def test_a_fault_of_the_compile_names_no_case(pretended: PretendedStages) -> None:
    """There is none to replay; a fault of the correctness stage may have one."""
    gate = pretended.gate()
    gate.stage("format")
    fault = WorkerFault(FaultKind.RAISES, "does not compile", gate.kernel.sha256)
    assert "CASE" not in stop_for(fault, gate, "compile").verdict.next_step
    assert "CASE" in stop_for(fault, gate, "correctness").verdict.next_step
