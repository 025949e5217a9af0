"""The kernel that was designed anew: right, without spills, and judged by its own stage."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from kernelgate.compilation.stage import CompileResult
from kernelgate.pipeline.pipeline import Gate, Request
from kernelgate.pytest_options import read_options
from kernelgate.settings import DrawBudget, load_settings
from kernelgate.compilation.stage_rules import spilled_bytes
from tests.selftest.support.under_interpreter import run_interpreted

ROOT = Path(__file__).resolve().parents[3]
FAST = ROOT / "kernels" / "alexnet_conv1_fast.py"
ORIGINAL = ROOT / "kernels" / "alexnet_conv1_original.py"
SETTINGS = load_settings(ROOT / "pyproject.toml")
FEW = DrawBudget(examples=2, draw_seconds=1.0, fixed=True)
INTERPRET = """
import runpy, sys, torch
from kernelgate.worker.interpret.arithmetic import compute_as_gpu
from kernelgate.worker.interpret.inline_ptx import interpret_ptx
compute_as_gpu()
interpret_ptx()
torch.cuda.get_device_capability = lambda device: (int(sys.argv[2]), 0)
torch.cuda.get_device_properties = lambda device: type("", (), {"multi_processor_count": 5})
torch.manual_seed(0)
x, weight, bias = torch.randn(2, 3, 224, 224), torch.randn(96, 3, 11, 11) / 20, torch.randn(96)
exact = torch.conv2d(x.double(), weight.double(), bias.double(), stride=4, padding=2)
forward = runpy.run_path(sys.argv[1])["conv1_forward"]
answer, of_bias = forward(x, weight, bias), forward(0 * x, weight, bias)
print(float((answer - exact).abs().max()), bool((of_bias == bias[:, None, None]).all()))
"""


def ask(pytestconfig: pytest.Config, folder: Path, stage: str | None = None) -> Request:
    """Return what a run of the gate is asked for by these options, with one worker beside other tests."""
    options = {"--candidate": str(FAST), "--accepted": str(ORIGINAL), "--report-dir": str(folder)}
    config: Any = SimpleNamespace(
        getoption=(options | {"--stage": stage}).get, stash=pytestconfig.stash, rootpath=ROOT
    )
    asked = read_options(config, SETTINGS, measure=False)
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


@pytest.mark.parametrize("generation", [8, 9])
def test_the_options_of_each_generation_compute_the_convolution(generation: int) -> None:
    """No GPU of the target's kind takes those of wgmma; here more tiles than programs, of two images.

    The bias, which is a sum of products, comes out bit for bit.
    """
    worst, bias_is_exact = run_interpreted("-c", INTERPRET, str(FAST), str(generation)).split()
    assert float(worst) < 0.004
    assert bias_is_exact == "True"
