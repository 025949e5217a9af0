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
ORIGINAL = ROOT / "kernels" / "alexnet_conv1_original.py"
SETTINGS = load_settings(ROOT / "pyproject.toml")
FEW = DrawBudget(examples=2, draw_seconds=1.0, fixed=True)


def ask(pytestconfig: pytest.Config, folder: Path, stage: str | None = None) -> Request:
    """Return what a run of the gate is asked for by these options, with one worker beside other tests."""
    options = {"--candidate": str(FAST), "--accepted": str(ORIGINAL), "--report-dir": str(folder)}
    config: Any = SimpleNamespace(getoption=(options | {"--stage": stage}).get, stash=pytestconfig.stash)
    asked = conftest._read_options(config, SETTINGS, None, measure=False)
    return msgspec.structs.replace(asked, workers=1)


@pytest.mark.slow
def test_it_is_right_and_spills_nothing(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    """By the planned cases and two more, as a change that edits it would be judged without a GPU."""
    profiles = dict.fromkeys(SETTINGS.correctness.profiles, FEW)
    correctness = msgspec.structs.replace(SETTINGS.correctness, profiles=profiles)
    settings = msgspec.structs.replace(SETTINGS, correctness=correctness)
    gate = Gate(ask(pytestconfig, tmp_path), settings, lambda _stage: None)
    try:
        assert gate.stage("correctness").status == "passed", gate.verdict().detail
        compiled = gate.results["compile"].result
        assert isinstance(compiled, CompileResult)
        assert [spilled_bytes(record) for record in compiled.candidate.configs] == [0]
    finally:
        gate.close()


@pytest.mark.parametrize(("asked", "stage"), [(None, "open"), ("final-micro-tuning", "final-micro-tuning")])
def test_its_stage_need_not_be_asked_for(
    pytestconfig: pytest.Config, tmp_path: Path, asked: str | None, stage: str
) -> None:
    """A change that edits it is judged by what the settings say; whoever asks for a stage gets that."""
    assert ask(pytestconfig, tmp_path, asked).stage == stage
