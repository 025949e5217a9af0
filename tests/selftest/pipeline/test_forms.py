"""A file's form goes by its stage; where it could reach its recorder is advice beside a GPU, else refused."""

import pytest

from kernelgate.next_steps import STRICT_FORM
from kernelgate.pipeline.format_step import UNBOUND
from kernelgate.pipeline.pipeline import Gate
from kernelgate.reporting.report import make_report
from kernelgate.scaffold.project_texts import KERNEL
from kernelgate.verdict import Outcome, Reason
from tests.selftest.corpus.planted.form_alikes import KERNELBENCH
from tests.selftest.support.pretended_gate import GPU, PretendedStages

REACHING = f"import gc\n{KERNELBENCH}"


def gate_of(pretended: PretendedStages, source: str, stage: str = "open", **changes: object) -> Gate:
    pretended.candidate.write_text(source)
    return pretended.gate(stage=stage, **changes)


def test_what_people_write_passes_in_stage_open_alone(pretended: PretendedStages) -> None:
    """The last round of tuning keeps the brief's form."""
    assert gate_of(pretended, KERNELBENCH).stage("compile").status == "passed"
    strict = gate_of(pretended, KERNELBENCH, "final-micro-tuning")
    assert strict.stage("format").status == "failed"
    assert str(strict.verdict().reason).startswith("format-")


def test_who_breaks_the_strict_form_alone_is_told_of_the_open_one(pretended: PretendedStages) -> None:
    """Whichever rule comes first; a file that has neither form is told how to mend that."""
    gate = gate_of(pretended, KERNEL, "final-micro-tuning")
    gate.stage("format")
    verdict = gate.verdict()
    assert verdict.reason is Reason.FORMAT_WRAPPER_MISSING
    assert verdict.next_step == STRICT_FORM != verdict.reason.next_step
    neither = gate_of(pretended, KERNEL.replace("class ModelNew", "class Fast"), "final-micro-tuning")
    neither.stage("format")
    assert neither.verdict().next_step == neither.verdict().reason.next_step


def test_a_part_that_is_missing_is_refused_in_the_open_form_too(pretended: PretendedStages) -> None:
    """Before anything is run."""
    gate = gate_of(pretended, KERNELBENCH.replace("class ModelNew", "class Fast"))
    assert gate.stage("compile").status == "not-run"
    assert gate.verdict().reason == "format-model-missing"


def test_without_a_gpu_a_file_that_could_reach_its_recorder_is_not_run(pretended: PretendedStages) -> None:
    """The verdict has the line, how to mend it, and why it matters here."""
    pretended.compile = AssertionError("compiled")
    gate = gate_of(pretended, REACHING)
    assert gate.stage("compile").status == "failed"
    verdict = gate.verdict()
    assert (verdict.outcome, verdict.reason) == (Outcome.FORBIDDEN, "format-reaches-out")
    assert "line 1:" in verdict.detail
    assert verdict.detail.endswith(UNBOUND)
    assert make_report(gate).advice == ()


@pytest.mark.parametrize("same", [True, False])
def test_beside_a_gpu_the_same_is_advice(pretended: PretendedStages, same: bool) -> None:
    """There the file is called where nothing is watched, and must give its plan's bits."""
    gate = gate_of(pretended, REACHING if same else KERNELBENCH, gpu=GPU)
    assert gate.stage("compile").status == "passed"
    assert [each[:7] for each in make_report(gate).advice] == (["line 1:"] if same else [])


def test_code_that_no_rule_can_follow_is_no_python(pretended: PretendedStages) -> None:
    """Also where only the look for reaches goes that deep."""
    gate = gate_of(pretended, f"{KERNELBENCH}\nx = a{'.b' * 2500}\n")
    assert gate.stage("compile").status == "not-run"
    assert gate.verdict().reason == "format-not-python"
