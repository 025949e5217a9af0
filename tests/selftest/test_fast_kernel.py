"""The kernel that was designed anew: right, without spills, and judged by its own stage."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

import conftest
from kernelgate.compile_stage import CompileResult
from kernelgate.gate import Gate, Request
from kernelgate.settings import DrawBudget, load_settings
from kernelgate.stage_rules import spilled_bytes

ROOT = Path(__file__).resolve().parents[2]
FAST = ROOT / "kernels" / "alexnet_conv1_fast.py"
FEW = DrawBudget(examples=2, draw_seconds=1.0, fixed=True)


@pytest.mark.slow
def test_it_is_right_and_spills_nothing(tmp_path: Path) -> None:
    """By the planned cases and two more, as a change that edits it would be judged without a GPU."""
    settings = load_settings(ROOT / "pyproject.toml")
    profiles = dict.fromkeys(settings.correctness.profiles, FEW)
    settings = msgspec.structs.replace(
        settings, correctness=msgspec.structs.replace(settings.correctness, profiles=profiles)
    )
    request = Request(
        root=ROOT,
        candidate=FAST,
        operation="alexnet_conv1",
        accepted=str(ROOT / "kernels" / "alexnet_conv1_original.py"),
        stage=settings.stage_of(FAST),
        rule=None,
        report_dir=tmp_path,
        gpu=None,
        measure=False,
        replay=None,
        workers=1,
    )
    gate = Gate(request, settings, lambda _stage: None)
    try:
        assert gate.stage("correctness").status == "passed", gate.verdict().detail
        compiled = gate.results["compile"].result
        assert isinstance(compiled, CompileResult)
        assert [spilled_bytes(record) for record in compiled.candidate.configs] == [0]
    finally:
        gate.close()


@pytest.mark.parametrize(("asked", "stage"), [(None, "open"), ("final-micro-tuning", "final-micro-tuning")])
def test_its_stage_need_not_be_asked_for(pytestconfig: pytest.Config, asked: str | None, stage: str) -> None:
    """A change that edits it is judged by what the settings say; whoever asks for a stage gets that."""
    options = {"--candidate": str(FAST), "--stage": asked, "--report-dir": "report"}
    config: Any = SimpleNamespace(getoption=options.get, stash=pytestconfig.stash)
    settings = load_settings(ROOT / "pyproject.toml")
    assert conftest._read_options(config, settings, None, measure=False).stage == stage
