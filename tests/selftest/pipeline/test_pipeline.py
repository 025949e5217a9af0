"""The order of the stages, and that nothing but a whole judgement passes."""

import hashlib
from pathlib import Path

import msgspec
import pytest

from kernelgate.baselines.kernels import AcceptedError
from kernelgate.correctness.result import Finding
from kernelgate.machine.gpu import GpuError
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.performance.explanation.users_choice import UsersChoice
from kernelgate.performance.result import Performance
from kernelgate.pipeline import judgement, performance_step
from kernelgate.reporting.page import render_markdown
from kernelgate.reporting.report import make_report
from kernelgate.reporting.terminal import render_summary
from kernelgate.sandbox.faults import FaultKind
from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.verdict import Outcome, Reason, Rule, Verdict, conclude
from tests.selftest.support.made_up_reports import make_performance
from tests.selftest.support.pretended_gate import (
    ACCEPTED,
    CASE,
    GPU,
    ROOT,
    PretendedStages,
    compile_result,
    correctness,
)


def test_a_stage_runs_what_comes_before_it_first(pretended: PretendedStages) -> None:
    """One question is enough for the whole judgement."""
    gate = pretended.gate()
    assert gate.stage("correctness").status == "passed"
    assert list(gate.results) == ["format", "compile", "stage-rules", "correctness"]
    assert gate.verdict().outcome is Outcome.NOT_MEASURED


@pytest.mark.parametrize("algorithm", ["direct", "any"])
def test_a_verdict_that_passes_by_weaker_laws_says_so(pretended: PretendedStages, algorithm: str) -> None:
    """In its detail, in the report as data and as text, and to whoever replays a case that fails."""
    gate = pretended.gate(stage="open", algorithm=algorithm)
    assert gate.stage("correctness").status == "passed"
    report = make_report(gate)
    assert report.passes
    assert report.algorithm == gate.operation.algorithm == gate.sandbox.operation.algorithm == algorithm
    for text in (report.detail, render_markdown(report), render_summary(report)):
        assert ("by the laws of any algorithm" in text) == (algorithm == "any")


@pytest.mark.parametrize("algorithm", ["direct", "any"])
def test_a_case_that_fails_is_replayed_by_the_same_laws(pretended: PretendedStages, algorithm: str) -> None:
    """The option is part of what the verdict gives to paste."""
    found = Finding(case=CASE, law="hard-bound", detail="out[0]: off", forbidden=False)
    pretended.correctness = correctness(found)
    gate = pretended.gate(stage="open", algorithm=algorithm)
    assert gate.stage("correctness").status == "failed"
    assert gate.verdict().detail.endswith(" --algorithm any") == (algorithm == "any")
    assert ("judged by the laws of any" in render_summary(make_report(gate))) == (algorithm == "any")


def test_each_stage_runs_once(pretended: PretendedStages) -> None:
    """Asking again returns the same result."""
    gate = pretended.gate()
    assert gate.stage("format") is gate.stage("format")


def test_a_judgement_that_is_not_complete_does_not_pass(pretended: PretendedStages) -> None:
    """Stages that were never asked for are missing, not passed."""
    gate = pretended.gate()
    gate.stage("compile")
    assert gate.verdict().outcome is Outcome.INVALID
    assert "correctness" in gate.verdict().detail


def test_after_a_failed_stage_the_others_are_not_run(pretended: PretendedStages) -> None:
    """They are reported as not run, and the verdict stays that of the failure."""
    pretended.candidate.write_text("import os\n")
    gate = pretended.gate()
    assert gate.stage("correctness").status == "not-run"
    assert gate.results["format"].status == "failed"
    assert gate.verdict().outcome is Outcome.FORBIDDEN


def test_an_error_of_the_gate_itself_never_passes(pretended: PretendedStages) -> None:
    """It is raised, and leaves a verdict that fails."""
    pretended.correctness = ZeroDivisionError("a bug")
    gate = pretended.gate()
    with pytest.raises(ZeroDivisionError):
        gate.stage("correctness")
    assert gate.verdict().reason == "gate-error"
    assert "ended in an error of the gate: " in gate.verdict().detail, "with its cause"
    assert not gate.verdict().outcome.passes


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("raises", Reason.RAISES),
        ("no-answer", Reason.NO_ANSWER),
        ("out-of-memory", Reason.OUT_OF_MEMORY),
        ("prints", Reason.PRINTS),
    ],
)
def test_a_file_that_fails_to_compile_is_named_by_what_it_did(
    pretended: PretendedStages, kind: str, reason: Reason
) -> None:
    """The worker's fault becomes the verdict's reason; there is no failing input to replay."""
    digest = hashlib.sha256(pretended.candidate.read_bytes()).hexdigest()
    pretended.compile = WorkerFault(FaultKind(kind), "seen doing it", digest)
    gate = pretended.gate()
    assert gate.stage("compile").status == "failed"
    assert (gate.verdict().outcome, gate.verdict().reason) == (reason.outcome, reason)
    assert "smallest failing input" not in gate.verdict().next_step


def test_an_accepted_kernel_that_fails_to_compile_is_no_fault_of_the_candidate(
    pretended: PretendedStages,
) -> None:
    """The measurement is invalid, the candidate is not wrong."""
    pretended.compile = WorkerFault(FaultKind.RAISES, "seen doing it", "0" * 64)
    gate = pretended.gate()
    assert gate.stage("compile").status == "failed"
    assert (gate.verdict().outcome, gate.verdict().reason) == (Outcome.INVALID, "arm-raises")


def test_the_same_code_needs_neither_examples_nor_timing(pretended: PretendedStages) -> None:
    """Other bytes, the same programs and source: nothing to try."""
    pretended.compile = compile_result(same=True)
    gate = pretended.gate(gpu=GPU, measure=True)
    assert gate.stage("performance").status == "not-needed"
    assert gate.verdict().outcome is Outcome.SAME_CODE


def test_the_accepted_file_itself_is_tried_under_rule_guard(pretended: PretendedStages) -> None:
    """Judging it asks whether it is still right here, so it is never SAME_CODE."""
    pretended.candidate.write_bytes(ACCEPTED.read_bytes())
    pretended.compile = compile_result(same=True)
    gate = pretended.gate()
    assert gate.stage("correctness").status == "passed"
    assert gate.rule is Rule.GUARD
    assert gate.verdict().outcome is Outcome.NOT_MEASURED


def test_a_wrong_answer_stops_before_the_timing(pretended: PretendedStages) -> None:
    """The verdict names the law, and how to replay the case."""
    pretended.correctness = correctness(Finding(case=CASE, law="hard-bound", detail="off", forbidden=False))
    gate = pretended.gate(gpu=GPU, measure=True)
    assert gate.stage("performance").status == "not-run"
    assert gate.verdict().outcome is Outcome.WRONG
    assert f"--replay {CASE.replay}" in gate.verdict().detail


def test_a_replayed_case_that_fails_is_not_told_to_be_replayed(pretended: PretendedStages) -> None:
    """That is what was done; the same finding of a whole judgement is."""
    pretended.correctness = correctness(Finding(case=CASE, law="hard-bound", detail="off", forbidden=False))
    steps = []
    for replay in (CASE, None):
        gate = pretended.gate(replay=replay)
        gate.stage("correctness")
        steps.append(make_report(gate).next_step)
    assert steps[0].startswith("Mend the kernel, and run the same command")
    assert f"--replay {CASE.replay}" in steps[1]


def test_a_replayed_case_that_holds_is_no_verdict_that_passes(pretended: PretendedStages) -> None:
    """One case chosen by the caller does not stand for all, and nothing is timed on its strength."""
    gate = pretended.gate(gpu=GPU, measure=True, replay=CASE)
    assert gate.stage("performance").status == "not-run"
    assert (gate.verdict().outcome, gate.verdict().reason) == (Outcome.INVALID, "replay-only")


def test_delegated_work_is_forbidden(pretended: PretendedStages) -> None:
    """A law may say that the answer, right or not, broke the rules."""
    pretended.correctness = correctness(Finding(case=CASE, law="delegation", detail="none", forbidden=True))
    gate = pretended.gate()
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
        (GpuError("1 other processes", Reason.GPU_SHARED), Outcome.INVALID, "gpu-shared"),
    ],
)
def test_a_fault_while_timing_is_laid_at_the_right_door(
    pretended: PretendedStages, fault: Exception, outcome: Outcome, reason: str
) -> None:
    """Only its own fault makes a candidate wrong."""
    pretended.performance = fault
    gate = pretended.gate(gpu=GPU, measure=True)
    assert gate.stage("performance").status == "failed"
    assert (gate.verdict().outcome, gate.verdict().reason) == (outcome, reason)


def timed(verdict: Verdict) -> Performance:
    """Return a timing of one configuration that came to the verdict."""
    return msgspec.structs.replace(make_performance("what was timed"), verdict=verdict)


@pytest.mark.parametrize(
    ("verdict", "counts"),
    [
        (conclude(Outcome.KEEP, Reason.PROVEN_GAIN, "4 %"), True),
        (conclude(Outcome.REVERT, Reason.GAIN_TOO_SMALL, "0 %"), True),
        (conclude(Outcome.INVALID, Reason.THROTTLED, "heat"), False),
    ],
)
def test_the_counters_are_read_of_what_was_timed_and_change_no_verdict(
    pretended: PretendedStages, monkeypatch: pytest.MonkeyPatch, verdict: Verdict, counts: bool
) -> None:
    """Of the candidate as the GPU at hand runs it; not where no figure is to be trusted."""
    for name in ("load_record", "keep_samples", "propose_speed"):
        monkeypatch.setattr(performance_step, name, lambda *_: None)
    pretended.performance = timed(verdict), []
    gate = pretended.gate(gpu=GPU, measure=True)
    gate.stage("performance")
    assert gate.verdict() == verdict
    assert pretended.counted == [(str(pretended.candidate), pretended.compile.at_hand.configs, GPU)] * counts
    assert (make_report(gate).counters is not None) == counts


def test_what_users_get_is_in_the_report_and_changes_no_verdict(
    pretended: PretendedStages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held against the configuration that was timed."""
    for name in ("load_record", "keep_samples", "propose_speed"):
        monkeypatch.setattr(performance_step, name, lambda *_: None)
    kept = conclude(Outcome.KEEP, Reason.PROVEN_GAIN, "4 %")
    pretended.performance = timed(kept), []
    gate = pretended.gate(gpu=GPU, measure=True)
    gate.stage("performance")
    assert gate.verdict() == kept
    timing = make_report(gate).timing
    assert timing is not None
    assert timing.users == UsersChoice(config="what users take", fastest="what was timed", slower=0.03)


def test_an_error_in_counting_leaves_no_verdict_that_passes(
    pretended: PretendedStages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As any error of the gate's own."""
    for name in ("load_record", "keep_samples", "propose_speed"):
        monkeypatch.setattr(performance_step, name, lambda *_: None)

    def fail(*_: object) -> None:
        raise RuntimeError("a mistake of the gate's")

    monkeypatch.setattr(performance_step, "profiler_ready", fail)
    pretended.performance = timed(conclude(Outcome.KEEP, Reason.PROVEN_GAIN, "4 %")), []
    gate = pretended.gate(gpu=GPU, measure=True)
    with pytest.raises(RuntimeError):
        gate.stage("performance")
    assert (gate.verdict().outcome, gate.verdict().reason) == (Outcome.INVALID, "gate-error")


def test_without_timing_nothing_is_counted(pretended: PretendedStages) -> None:
    """Nor said of it."""
    gate = pretended.gate(gpu=GPU)
    gate.stage("correctness")
    assert pretended.counted == []
    assert "counted" not in render_markdown(make_report(gate))


@pytest.fixture
def broken_record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Cut the speed record of the GPU short."""
    (tmp_path / "nvidia-test.json").write_text('{"schema": "kernelgate.speed/1"')
    monkeypatch.setattr(
        "kernelgate.baselines.folder.record_path", lambda *parts: tmp_path / f"{parts[2]}.json"
    )


@pytest.mark.usefixtures("broken_record")
@pytest.mark.parametrize("accepted", [None, str(ROOT / "kernels" / "alexnet_conv1.py"), "HEAD"])
def test_a_broken_record_of_the_gpu_is_named_before_anything_is_timed(
    pretended: PretendedStages, accepted: str | None
) -> None:
    """A truncated baseline is never taken for none, however the accepted kernel is named."""
    pretended.performance = AssertionError("must not be timed")
    gate = pretended.gate(gpu=GPU, measure=True, accepted=accepted)
    gate.stage("performance")
    assert (gate.verdict().outcome, gate.verdict().reason) == (Outcome.INVALID, "baseline-truncated")


@pytest.mark.usefixtures("broken_record")
def test_another_file_to_beat_has_no_record(pretended: PretendedStages) -> None:
    """The record is of the accepted kernel: what a person names in its place is timed without."""
    pretended.performance = GpuError("was timed")
    gate = pretended.gate(gpu=GPU, measure=True, accepted=str(ACCEPTED))
    assert gate.records is None
    gate.stage("performance")
    assert gate.verdict().detail.startswith("was timed")


def test_a_changed_original_is_refused_before_anything_runs(
    pretended: PretendedStages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of every timing is frozen."""
    changed = msgspec.structs.replace(
        ALEXNET_CONV1, original=msgspec.structs.replace(ALEXNET_CONV1.original, sha256="0" * 64)
    )
    monkeypatch.setattr(judgement, "find_operation", lambda _: changed)
    with pytest.raises(AcceptedError, match="must never change"):
        pretended.gate()


def test_an_accepted_kernel_that_is_nowhere_is_an_error(pretended: PretendedStages) -> None:
    """Neither a file nor a revision."""
    with pytest.raises(AcceptedError, match="neither a file nor a git revision"):
        pretended.gate(accepted="no-such-revision")


def test_an_unknown_operation_lists_the_known_ones(pretended: PretendedStages) -> None:
    """The error helps on."""
    with pytest.raises(KeyError, match="alexnet_conv1"):
        pretended.gate(operation="no-such-operation")
