"""A project's own problem is judged with records of its kernel, and goes on without."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kernelgate.baselines.kernels import Kernels
from kernelgate.baselines.records import SpeedRecord
from kernelgate.baselines.store import propose
from kernelgate.cli.main import main
from kernelgate.files import digest_file
from kernelgate.operations.problem.examine import examine
from kernelgate.performance.conclusion import conclude_performance
from kernelgate.performance.samples import Arm, MeasuredReplicate
from kernelgate.pipeline import compile_step, judgement, performance_step
from kernelgate.pipeline.pipeline import Gate
from kernelgate.reporting.report import make_report
from kernelgate.verdict import Outcome
from tests.selftest.performance.test_conclusion import GPU, measure
from tests.selftest.support.made_up_records import ENVIRONMENT, make_record
from tests.selftest.support.own_project import KERNEL, PROBLEM, begin_project, edit_problem, records_of
from tests.selftest.support.pretended_gate import PretendedStages

Judge = Callable[..., Gate]
STORED = "baselines/rms/nvidia-h200.json"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return begin_project(tmp_path / "own")


@pytest.fixture
def timed(
    project: Path, tmp_path: Path, pretended: PretendedStages, monkeypatch: pytest.MonkeyPatch
) -> Judge:
    """Give what judges a kernel of the project whose arms take these times, beside a GPU."""
    monkeypatch.setattr(
        judgement, "read_problem", lambda order: examine(Path(order.file), order.math, order.memory_bytes)
    )
    monkeypatch.setattr(judgement, "describe_environment", lambda _: ENVIRONMENT)
    monkeypatch.setattr("kernelgate.performance.conclusion.judge_answers", lambda *_: None)
    monkeypatch.setattr(compile_step, "propose", propose)

    def judge(times_ms: dict[str, float] | None = None, **changes: object) -> Gate:
        def measured(
            _sandbox: object, _kernels: Kernels, conditions: Any, _tick: object
        ) -> tuple[Any, list[list[MeasuredReplicate]]]:
            attempt = measure(times_ms)
            return conclude_performance(conditions, attempt, 1.0), [attempt]

        monkeypatch.setattr(performance_step, "measure_performance", measured)
        asked = {"root": project, "problem": project / PROBLEM, "accepted_name": "rms", "accepted": None}
        asked |= {"operation": "problem-rms", "stage": "open", "gpu": GPU, "measure": True}
        gate = pretended.gate(**(asked | {"report_dir": tmp_path / "report"} | changes))
        gate.stage("performance")
        return gate

    pretended.candidate.write_text((project / KERNEL).read_text().replace("rms_kernel", "row_kernel"))
    return judge


def store(project: Path, **changes: Any) -> None:
    """Put a record in place that fits what `measure` gives."""
    fits = {
        "operation": "rms",
        "kernel_sha256": digest_file(project / KERNEL),
        "log_ratio_original": -0.2231,
        "problem": records_of(project).problem,
    }
    file = project / STORED
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.encode(make_record(**(fits | changes))))


def accept_as_told(gate: Gate, project: Path) -> int:
    """Return how the command of the next step ends, in the project's folder."""
    (command,) = re.findall(r"`kernelgate (accept .+?) --reason WHY`", gate.verdict().next_step)
    return main([*shlex.split(command), "--reason", "why", "--root", str(project)])


@pytest.mark.parametrize(
    ("time_ms", "outcome", "proposed"),
    [
        (1.7, Outcome.KEEP, "candidate"),
        (1.8, Outcome.REVERT, "accepted"),
        (1.9, Outcome.REGRESSED, "accepted"),
    ],
)
def test_without_a_record_the_rule_decides_and_one_is_proposed(
    timed: Judge, project: Path, time_ms: float, outcome: Outcome, proposed: str
) -> None:
    """NO_BASELINE is for operations. The next step says how to accept it, for the kernel that it is of."""
    gate = timed({Arm.CANDIDATE: time_ms})
    assert gate.verdict().outcome is outcome
    assert "No record on this GPU is of this problem file" in make_report(gate).next_step
    if proposed == "candidate":
        assert accept_as_told(gate, project) == 1  # it is not in kernels/ yet
        (project / KERNEL).write_text(gate.kernel.source)
    assert accept_as_told(gate, project) == 0
    stored = msgspec.json.decode((project / STORED).read_bytes(), type=SpeedRecord)
    assert stored.problem == records_of(project).problem
    assert stored.kernel_sha256 == digest_file(project / KERNEL)


def test_an_accepted_record_is_held_to(timed: Judge, project: Path) -> None:
    """What a run proposed fits the next one; then nothing more is proposed."""
    assert accept_as_told(timed({Arm.CANDIDATE: 1.8}), project) == 0
    gate = timed({Arm.CANDIDATE: 1.8}, report_dir=project / "second")
    assert gate.verdict().outcome is Outcome.REVERT
    assert "kernelgate accept" not in gate.verdict().next_step
    assert not (project / "second" / "baseline.proposed.json").exists()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"log_ratio_original": -0.4}, "environment-changed"),
        ({"kernel_sha256": "c" * 64}, "baseline-stale"),
        ({"gpu": "NVIDIA L4"}, "baseline-other-gpu"),
        ({"problem": msgspec.UNSET}, "baseline-other-operation"),
    ],
)
def test_what_does_not_fit_the_record_is_no_verdict(
    timed: Judge, project: Path, changes: dict[str, Any], reason: str
) -> None:
    """As for an operation: drift, another kernel, another GPU, a record of something else."""
    store(project, **changes)
    assert timed({Arm.CANDIDATE: 1.7}).verdict().reason == reason


def test_a_changed_problem_is_not_held_to_the_old_record(timed: Judge, project: Path) -> None:
    """Though kernel and GPU are the same: the rule decides, and a record of the file as it is is proposed."""
    store(project, log_ratio_original=-0.4)
    edit_problem(project)
    gate = timed({Arm.CANDIDATE: 1.8})
    assert gate.verdict().outcome is Outcome.REVERT
    assert accept_as_told(gate, project) == 0
    stored = msgspec.json.decode((project / STORED).read_bytes(), type=SpeedRecord)
    assert (stored.problem, len(stored.history)) == (records_of(project).problem, 1)


def test_other_math_is_another_problem(timed: Judge, project: Path) -> None:
    """PyTorch itself is timed in it."""
    store(project, log_ratio_original=-0.4)
    assert timed({Arm.CANDIDATE: 1.8}, math="tf32").verdict().outcome is Outcome.REVERT


def test_a_first_kernel_that_beats_pytorch_has_a_record_to_accept(
    timed: Judge, project: Path, pretended: PretendedStages
) -> None:
    """Before anything is committed."""
    (project / ".git").rename(project / ".no-git")
    pretended.candidate = project / KERNEL
    gate = timed({Arm.CANDIDATE: 1.7})
    assert (gate.accepted, gate.verdict().outcome) == (None, Outcome.KEEP)
    assert accept_as_told(gate, project) == 0


@pytest.mark.parametrize(
    "changes", [{"accepted_name": None}, {"root": None, "accepted_name": None}, {"accepted": KERNEL}]
)
def test_a_problem_of_no_project_keeps_no_records(
    timed: Judge, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    """None is read or proposed by `--problem FILE`, nor against a kernel that somebody names."""
    store(project, kernel_sha256="c" * 64)
    monkeypatch.chdir(project)
    gate = timed({Arm.CANDIDATE: 1.7}, **changes)
    assert (gate.records, gate.verdict().outcome) == (None, Outcome.KEEP)
    assert not list((tmp_path / "report").glob("*.proposed.json"))


def test_a_compile_record_is_read_and_proposed(
    timed: Judge, project: Path, tmp_path: Path, pretended: PretendedStages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of the file as it was before is neither used nor an error."""
    given: list[Any] = []
    monkeypatch.setattr(
        compile_step, "compile_all", lambda *asked: given.append(asked[2]) or pretended.compile
    )
    stored, proposal = project / "baselines/rms/sm_89.json", tmp_path / "report/compile.proposed.json"
    timed(measure=False)
    stored.parent.mkdir(parents=True)
    stored.write_bytes(proposal.read_bytes())
    proposal.unlink()
    timed(measure=False)
    assert not proposal.exists()
    edit_problem(project)
    timed(measure=False)
    assert proposal.exists()
    assert [record and record.problem is not msgspec.UNSET for record in given] == [None, True, None]
