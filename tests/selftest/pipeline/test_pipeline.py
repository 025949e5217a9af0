"""The order of the stages, and that nothing but a whole judgement passes."""

import hashlib
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from kernelgate.baselines.kernels import AcceptedError
from kernelgate.correctness.result import Finding
from kernelgate.machine.gpu import GpuError
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.pipeline import judgement, performance_step
from kernelgate.reporting.page import render_markdown
from kernelgate.reporting.report import make_report
from kernelgate.sandbox.faults import FaultKind
from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.verdict import Outcome, Rule, Verdict, conclude
from tests.selftest.support.pretended_gate import ACCEPTED, CASE, GPU, Bench, compile_result, correctness


def test_a_stage_runs_what_comes_before_it_first(bench: Bench) -> None:
    """One question is enough for the whole judgement."""
    gate = bench.gate()
    assert gate.stage("correctness").status == "passed"
    assert list(gate.results) == ["format", "compile", "stage-rules", "correctness"]
    assert gate.verdict().outcome is Outcome.NOT_MEASURED


def test_each_stage_runs_once(bench: Bench) -> None:
    """Asking again returns the same result."""
    gate = bench.gate()
    assert gate.stage("format") is gate.stage("format")


def test_a_judgement_that_is_not_complete_does_not_pass(bench: Bench) -> None:
    """Stages that were never asked for are missing, not passed."""
    gate = bench.gate()
    gate.stage("compile")
    assert gate.verdict().outcome is Outcome.INVALID
    assert "correctness" in gate.verdict().detail


def test_after_a_failed_stage_the_others_are_not_run(bench: Bench) -> None:
    """They are reported as not run, and the verdict stays that of the failure."""
    bench.candidate.write_text("import os\n")
    gate = bench.gate()
    assert gate.stage("correctness").status == "not-run"
    assert gate.results["format"].status == "failed"
    assert gate.verdict().outcome is Outcome.FORBIDDEN


def test_an_error_of_the_gate_itself_never_passes(bench: Bench) -> None:
    """It is raised, and leaves a verdict that fails."""
    bench.correctness = ZeroDivisionError("a bug")
    gate = bench.gate()
    with pytest.raises(ZeroDivisionError):
        gate.stage("correctness")
    assert gate.verdict().reason == "gate-error"
    assert not gate.verdict().outcome.passes


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [("raises", Outcome.WRONG), ("no-answer", Outcome.WRONG), ("prints", Outcome.FORBIDDEN)],
)
def test_a_file_that_fails_to_compile_is_named_by_what_it_did(
    bench: Bench, kind: str, outcome: Outcome
) -> None:
    """The worker's fault becomes the verdict's reason."""
    digest = hashlib.sha256(bench.candidate.read_bytes()).hexdigest()
    bench.compile = WorkerFault(FaultKind(kind), "seen doing it", digest)
    gate = bench.gate()
    assert gate.stage("compile").status == "failed"
    assert (gate.verdict().outcome, gate.verdict().reason) == (outcome, kind)


def test_an_accepted_kernel_that_fails_to_compile_is_no_fault_of_the_candidate(bench: Bench) -> None:
    """The measurement is invalid, the candidate is not wrong."""
    bench.compile = WorkerFault(FaultKind.RAISES, "seen doing it", "0" * 64)
    gate = bench.gate()
    assert gate.stage("compile").status == "failed"
    assert (gate.verdict().outcome, gate.verdict().reason) == (Outcome.INVALID, "arm-raises")


def test_the_same_code_needs_neither_examples_nor_timing(bench: Bench) -> None:
    """Other bytes, the same programs and source: nothing to try."""
    bench.compile = compile_result(same=True)
    gate = bench.gate(gpu=GPU, measure=True)
    assert gate.stage("performance").status == "not-needed"
    assert gate.verdict().outcome is Outcome.SAME_CODE


def test_the_accepted_file_itself_is_tried_under_rule_guard(bench: Bench) -> None:
    """Judging it asks whether it is still right here, so it is never SAME_CODE."""
    bench.candidate.write_bytes(ACCEPTED.read_bytes())
    bench.compile = compile_result(same=True)
    gate = bench.gate()
    assert gate.stage("correctness").status == "passed"
    assert gate.rule is Rule.GUARD
    assert gate.verdict().outcome is Outcome.NOT_MEASURED


def test_a_wrong_answer_stops_before_the_timing(bench: Bench) -> None:
    """The verdict names the law, and how to replay the case."""
    bench.correctness = correctness(Finding(case=CASE, law="hard-bound", detail="off", forbidden=False))
    gate = bench.gate(gpu=GPU, measure=True)
    assert gate.stage("performance").status == "not-run"
    assert gate.verdict().outcome is Outcome.WRONG
    assert f"--replay {CASE.replay}" in gate.verdict().detail


def test_a_replayed_case_that_holds_is_no_verdict_that_passes(bench: Bench) -> None:
    """One case chosen by the caller does not stand for all, and nothing is timed on its strength."""
    gate = bench.gate(gpu=GPU, measure=True, replay=CASE)
    assert gate.stage("performance").status == "not-run"
    assert (gate.verdict().outcome, gate.verdict().reason) == (Outcome.INVALID, "replay-only")


def test_delegated_work_is_forbidden(bench: Bench) -> None:
    """A law may say that the answer, right or not, broke the rules."""
    bench.correctness = correctness(Finding(case=CASE, law="delegation", detail="none", forbidden=True))
    gate = bench.gate()
    gate.stage("correctness")
    assert gate.verdict().outcome is Outcome.FORBIDDEN


@pytest.mark.parametrize(
    ("fault", "outcome", "reason"),
    [
        (WorkerFault(FaultKind.CRASHES, "SIGSEGV", "candidate"), Outcome.WRONG, "crashes"),
        (WorkerFault(FaultKind.CRASHES, "SIGSEGV", "accepted"), Outcome.INVALID, "arm-crashes"),
        (WorkerFault(FaultKind.TIMER, "sent nonsense", "candidate"), Outcome.INVALID, "timer"),
        (WorkerFault(FaultKind.CROWDED, "no room", "candidate"), Outcome.INVALID, "crowded"),
        (GpuError("another judge has it"), Outcome.INVALID, "gpu-not-to-be-had"),
        (GpuError("1 other processes", "gpu-shared"), Outcome.INVALID, "gpu-shared"),
    ],
)
def test_a_fault_while_timing_is_laid_at_the_right_door(
    bench: Bench, fault: Exception, outcome: Outcome, reason: str
) -> None:
    """Only its own fault makes a candidate wrong."""
    bench.performance = fault
    gate = bench.gate(gpu=GPU, measure=True)
    assert gate.stage("performance").status == "failed"
    assert (gate.verdict().outcome, gate.verdict().reason) == (outcome, reason)


@pytest.mark.parametrize(
    ("verdict", "counts"),
    [
        (conclude(Outcome.KEEP, "proven-gain", "4 %"), True),
        (conclude(Outcome.REVERT, "gain-too-small", "0 %"), True),
        (conclude(Outcome.INVALID, "throttled", "heat"), False),
    ],
)
def test_the_counters_are_read_of_what_was_timed_and_change_no_verdict(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, verdict: Verdict, counts: bool
) -> None:
    """Of the candidate as the GPU at hand runs it; not where no figure is to be trusted."""
    for name in ("load_record", "keep_samples", "propose_speed"):
        monkeypatch.setattr(performance_step, name, lambda *_: None)
    bench.performance = SimpleNamespace(verdict=verdict), []
    gate = bench.gate(gpu=GPU, measure=True)
    gate.stage("performance")
    assert gate.verdict() == verdict
    assert bench.counted == [(str(bench.candidate), bench.compile.at_hand.configs, GPU)] * counts
    assert (make_report(gate).counters is not None) == counts


def test_an_error_in_counting_leaves_no_verdict_that_passes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As any error of the gate's own."""
    for name in ("load_record", "keep_samples", "propose_speed"):
        monkeypatch.setattr(performance_step, name, lambda *_: None)

    def fail(*_: object) -> None:
        raise RuntimeError("a mistake of the gate's")

    monkeypatch.setattr(performance_step, "read_counters", fail)
    bench.performance = SimpleNamespace(verdict=conclude(Outcome.KEEP, "proven-gain", "4 %")), []
    gate = bench.gate(gpu=GPU, measure=True)
    with pytest.raises(RuntimeError):
        gate.stage("performance")
    assert (gate.verdict().outcome, gate.verdict().reason) == (Outcome.INVALID, "gate-error")


def test_without_timing_nothing_is_counted(bench: Bench) -> None:
    """Nor said of it."""
    gate = bench.gate(gpu=GPU)
    gate.stage("correctness")
    assert bench.counted == []
    assert "counted" not in render_markdown(make_report(gate))


def test_a_broken_record_of_the_gpu_is_named_before_anything_is_timed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A truncated baseline is never taken for none."""
    record = tmp_path / "nvidia-test.json"
    record.write_text('{"schema": "kernelgate.speed/1"')
    monkeypatch.setattr("kernelgate.performance.stage.record_path", lambda *_: record)
    bench.performance = AssertionError("must not be timed")
    gate = bench.gate(gpu=GPU, measure=True)
    gate.stage("performance")
    assert (gate.verdict().outcome, gate.verdict().reason) == (Outcome.INVALID, "baseline-truncated")


def test_a_changed_original_is_refused_before_anything_runs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of every timing is frozen."""
    changed = msgspec.structs.replace(ALEXNET_CONV1, original_sha256="0" * 64)
    monkeypatch.setattr(judgement, "find_operation", lambda _: changed)
    with pytest.raises(AcceptedError, match="must never change"):
        bench.gate()


def test_an_accepted_kernel_that_is_nowhere_is_an_error(bench: Bench) -> None:
    """Neither a file nor a revision."""
    with pytest.raises(AcceptedError, match="neither a file nor a git revision"):
        bench.gate(accepted="no-such-revision")


def test_an_unknown_operation_lists_the_known_ones(bench: Bench) -> None:
    """The error helps on."""
    with pytest.raises(KeyError, match="alexnet_conv1"):
        bench.gate(operation="no-such-operation")
