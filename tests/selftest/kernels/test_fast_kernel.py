"""The kernel that was designed anew: right, without spills, and judged by its own stage."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from kernelgate.compilation.machine_code.compiled_kernel import Target
from kernelgate.compilation.stage import CompileResult
from kernelgate.compilation.stage_rules import spilled_bytes
from kernelgate.correctness.case import Case
from kernelgate.correctness.case_runner import CaseRunner
from kernelgate.correctness.callers.plan_calls import PlanCaller
from kernelgate.correctness.callers.planner import Planner
from kernelgate.execution.cards import ADA, HOPPER, Card
from kernelgate.kernel_file.source import read_kernel
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.pipeline.pipeline import Gate, Request
from kernelgate.judging.options import make_request
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.settings import DrawBudget, load_settings

ROOT = Path(__file__).resolve().parents[3]
FAST = ROOT / "kernels" / "alexnet_conv1_fast.py"
ORIGINAL = ROOT / "kernels" / "alexnet_conv1_original.py"
SETTINGS = load_settings(ROOT / "pyproject.toml")
FEW = DrawBudget(examples=2, draw_seconds=1.0, fixed=True, swept=0)


def ask(folder: Path, stage: str | None = None) -> Request:
    """Return what a run of the gate is asked for by these options, with one worker beside other tests."""
    options = {"candidate": str(FAST), "accepted": str(ORIGINAL), "report_dir": str(folder), "stage": stage}
    asked = make_request(options.get, ROOT, SETTINGS, measure=False)
    return msgspec.structs.replace(asked, workers=1)


@pytest.mark.slow
def test_it_is_right_and_spills_nothing(tmp_path: Path) -> None:
    """By the planned cases and two more, as a change that edits it would be judged without a GPU."""
    profiles = dict.fromkeys(SETTINGS.correctness.profiles, FEW)
    correctness = msgspec.structs.replace(SETTINGS.correctness, profiles=profiles)
    settings = msgspec.structs.replace(SETTINGS, correctness=correctness)
    gate = Gate(ask(tmp_path), settings, lambda _stage: None)
    try:
        assert gate.stage("correctness").status == "passed", gate.verdict().detail
        compiled = gate.results["compile"].result
        assert isinstance(compiled, CompileResult)
        assert [spilled_bytes(record) for record in compiled.candidate.configs] == [0]
    finally:
        gate.close()


@pytest.mark.parametrize(("asked", "stage"), [(None, "open"), ("final-micro-tuning", "final-micro-tuning")])
def test_its_stage_need_not_be_asked_for(
    tmp_path: Path, asked: str | None, stage: str
) -> None:
    """A change that edits it is judged by what the settings say; whoever asks for a stage gets that."""
    assert ask(tmp_path, asked).stage == stage


@pytest.mark.parametrize("card", [ADA, HOPPER], ids=["8", "9"])
def test_the_options_of_each_generation_compute_the_convolution(card: Card) -> None:
    """No GPU of the target's kind takes those of wgmma; here more tiles than programs, of two images.

    The bias, which is a sum of products, comes out bit for bit.
    """
    sandbox = Sandbox(ALEXNET_CONV1, SETTINGS.limits)
    few = msgspec.structs.replace(card, multi_processor_count=5)
    target = Target(capability=card.capability, at_hand=few)
    planner = Planner(sandbox, read_kernel(FAST, SETTINGS.limits.kernel_file_bytes), target)
    caller = PlanCaller(planner)
    try:
        for family in ("normal", "zero"):
            judged = CaseRunner(caller, SETTINGS.laws).run(Case(batch=2, family=family, seed=1, pin=0))
            assert (judged.finding, judged.untried) == (None, "")
            assert judged.first is not None
            assert judged.first.launches[-1].programs_total < 2 * 5 * 96 // 8
    finally:
        caller.close()
        planner.close()
        sandbox.close()
