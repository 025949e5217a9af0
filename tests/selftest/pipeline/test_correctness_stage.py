"""What the gate asks of the correctness stage, and what it makes of a compile or an answer that is wrong."""

from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import msgspec
import pytest

from kernelgate.correctness.case import Case
from kernelgate.correctness.result import LawLine
from kernelgate.machine.gpu import Gpu, GpuError
from kernelgate.pipeline import correctness_step
from kernelgate.verdict import Outcome, Reason
from tests.selftest.support.pretended_gate import (
    CASE,
    GPU,
    SETTINGS,
    PretendedStages,
    compile_result,
    compiled,
    correctness,
)

HALF = "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"


@pytest.mark.parametrize("where", ["candidate", "at_hand"])
def test_less_than_the_declared_math_is_wrong_before_it_runs(pretended: PretendedStages, where: str) -> None:
    """On either target; the instruction is named, and how its rounding would look is not asked."""
    result = msgspec.structs.replace(compile_result(same=False), **{where: compiled("b", narrow=(HALF,))})
    pretended.compile = result
    gate = pretended.gate()
    assert gate.stage("correctness").status == "not-run"
    assert gate.results["compile"].status == "failed"
    assert (gate.verdict().outcome, gate.verdict().reason) == (Outcome.WRONG, "declared-math")
    assert HALF in gate.verdict().detail
    assert "tf32" in gate.verdict().detail
    assert pretended.trials == []


@pytest.mark.parametrize("same", [False, True])
def test_a_file_that_launches_nothing_on_the_gpu_at_hand_is_not_tried(
    pretended: PretendedStages, same: bool
) -> None:
    """It answered from a store, or no configuration fits that GPU; it may be the accepted kernel."""
    idle = msgspec.structs.replace(compiled("b"), target="sm_90", configs=())
    pretended.compile = msgspec.structs.replace(compile_result(same=same), at_hand=idle)
    gate = pretended.gate(gpu=GPU)
    assert gate.stage("correctness").status == "not-run"
    assert gate.verdict().outcome is Outcome.FORBIDDEN
    assert gate.verdict().reason == f"{gate.request.stage}-nothing-runs"
    assert "sm_90" in gate.verdict().detail
    assert pretended.trials == []


def test_what_the_accepted_kernel_computes_in_is_not_the_candidates_fault(pretended: PretendedStages) -> None:
    """Only the file that is judged is held to what the operation declares."""
    pretended.compile = msgspec.structs.replace(
        compile_result(same=False), accepted=compiled("a", narrow=(HALF,))
    )
    assert pretended.gate().stage("compile").status == "passed"


def test_a_file_that_reaches_out_of_its_libraries_is_never_run(pretended: PretendedStages) -> None:
    """It is forbidden by its text, with the line, before a worker imports it."""
    lines = pretended.candidate.read_text().splitlines()
    place = next(number for number, line in enumerate(lines, 1) if "super().__init__()" in line)
    lines.insert(place, "        self.way = torch.nn.functional.__globals__")
    pretended.candidate.write_text("\n".join(lines) + "\n")
    gate = pretended.gate()
    assert gate.stage("compile").status == "not-run"
    assert (gate.verdict().outcome, gate.verdict().reason) == (Outcome.FORBIDDEN, "format-reaches-out")
    assert f"line {place + 1}:" in gate.verdict().detail


def test_what_held_and_what_was_not_tried_are_both_told(pretended: PretendedStages) -> None:
    """A law that needs a GPU is no law that held."""
    detail = pretended.gate().stage("correctness").detail
    assert "1 laws held; not tried: second-opinion" in detail


@pytest.mark.parametrize("replay", [None, CASE])
def test_a_kernel_of_which_no_case_could_be_tried_does_not_pass(
    pretended: PretendedStages, replay: Case | None
) -> None:
    """That nothing failed is no answer where nothing ran; the reason is told, and nothing is timed."""
    untried = LawLine(law="form", says="a tensor", status="not tried", cases=0, note="needs a launch graph")
    pretended.correctness = msgspec.structs.replace(correctness(), examples=0, laws=(untried,))
    gate = pretended.gate(gpu=GPU, measure=True, replay=replay)
    assert gate.stage("performance").status == "not-run"
    assert gate.results["correctness"].status == "failed"
    assert (gate.verdict().outcome, gate.verdict().reason) == (Outcome.INVALID, "nothing-tried")
    assert "needs a launch graph" in gate.verdict().detail


def test_the_gpu_is_held_beside_other_judges_while_it_is_tried(pretended: PretendedStages) -> None:
    """And given back, before anything is timed; without one there is nothing to hold."""
    pretended.gate(gpu=GPU, gpus=("0", "1")).stage("correctness")
    assert pretended.holds == ["takes", f"gives back {GPU.name}"]
    assert pretended.trials[-1].gpus == ("0", "1")
    pretended.gate().stage("correctness")
    assert pretended.trials[-1].gpus == ()
    assert len(pretended.holds) == 2


@pytest.mark.parametrize("reason", [Reason.GPU_NOT_TO_BE_HAD, Reason.GPU_EXCLUSIVE])
def test_a_gpu_that_is_not_to_be_had_makes_no_kernel_wrong(
    pretended: PretendedStages, monkeypatch: pytest.MonkeyPatch, reason: Reason
) -> None:
    """The judgement is invalid for the GPU's own reason, and nothing is said of the candidate."""

    def refuse(_gpu: Gpu) -> None:
        raise GpuError("nobody is let in", reason)

    monkeypatch.setattr(correctness_step, "shared", refuse)
    gate = pretended.gate(gpu=GPU)
    assert gate.stage("correctness").status == "failed"
    assert (gate.verdict().outcome, gate.verdict().reason) == (Outcome.INVALID, reason)
    assert pretended.trials == []


@pytest.mark.parametrize(
    ("gpu", "prepared"), [(GPU, [("execute", "use", "interpret")]), (None, [("interpret",)])]
)
def test_imports_for_the_answers_begin_while_the_kernel_compiles(
    pretended: PretendedStages, gpu: Gpu | None, prepared: list[tuple[str, ...]]
) -> None:
    """Configurations that may be one program are compiled by one process, which leaves a core."""
    pretended.gate(gpu=gpu).stage("compile")
    assert pretended.prepared == [("record",), *prepared]


def test_for_a_file_that_breaks_the_format_nothing_is_imported(
    pretended: PretendedStages, tmp_path: Path
) -> None:
    """Its verdict needs no worker."""
    file = tmp_path / "broken.py"
    file.write_text("import os\n", encoding="utf-8")
    assert pretended.gate(candidate=file).stage("format").status == "failed"
    assert pretended.prepared == []


def test_a_draw_that_is_asked_for_is_the_one_that_is_made(pretended: PretendedStages) -> None:
    """The same seed, case and number of interpreters, as the request has them."""
    gate = pretended.gate(entropy=77, replay=CASE, workers=1)
    gate.stage("correctness")
    (trial,) = pretended.trials
    assert (trial.entropy, trial.replay, trial.workers) == (77, CASE, 1)
    assert trial.programs == SETTINGS.correctness.sampled_programs


@pytest.fixture
def load_profile() -> Iterator[Callable[[str], None]]:
    before = hypothesis.settings.get_current_profile_name()
    yield hypothesis.settings.load_profile
    hypothesis.settings.load_profile(before)


@pytest.mark.parametrize(("name", "fixed"), [("default", False), ("nightly", False), ("ci", True)])
def test_draws_differ_from_run_to_run_unless_the_profile_fixes_them(
    pretended: PretendedStages, load_profile: Callable[[str], None], name: str, fixed: bool
) -> None:
    """What one run did not meet another may; but a change must not be refused by the luck of a draw."""
    load_profile(name)
    for _ in range(2):
        pretended.gate().stage("correctness")
    one, other = pretended.trials
    assert one.profile.name == name
    assert (one.entropy == other.entropy) == fixed
