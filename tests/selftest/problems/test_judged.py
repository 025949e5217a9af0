"""Kernels for problem files are judged as those of the project's own operations are, without a GPU."""

from pathlib import Path

import pytest

from kernelgate.operations.problem.examine import examine
from kernelgate.pipeline import judgement
from kernelgate.pipeline.pipeline import Gate
from kernelgate.pipeline.stage import Request
from kernelgate.settings import load_settings
from kernelgate.verdict import Outcome, Verdict
from tests.selftest.problems.written import WRITTEN

ROOT = Path(__file__).parents[3]
SETTINGS = load_settings(ROOT / "pyproject.toml")


def judge(folder: Path, problem: str, kernel: str) -> Verdict:
    """Return the verdict on a kernel by a problem, both given as text."""
    asked, candidate = folder / "problem.py", folder / "kernel.py"
    asked.write_text(problem)
    candidate.write_text(kernel)
    request = Request(
        root=ROOT,
        candidate=candidate,
        operation="problem-problem",
        accepted=None,
        stage="open",
        rule=None,
        report_dir=folder,
        gpu=None,
        measure=False,
        replay=None,
        problem=asked,
    )
    gate = Gate(request, SETTINGS, lambda _: None)
    try:
        gate.stage("correctness")
        return gate.verdict()
    finally:
        gate.close()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have problem files looked at in this process, which has PyTorch already: these are known to end."""
    monkeypatch.setattr(
        judgement, "read_problem", lambda order: examine(Path(order.file), order.math, order.memory_bytes)
    )


@pytest.mark.slow
@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("name", WRITTEN)
def test_a_right_kernel_passes(tmp_path: Path, name: str) -> None:
    """Its speed stays unknown."""
    written = WRITTEN[name]
    verdict = judge(tmp_path, written.problem, written.kernel)
    assert verdict.outcome is Outcome.NOT_MEASURED, verdict


@pytest.mark.slow
@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("name", WRITTEN)
def test_the_same_kernel_with_one_fault_is_wrong(tmp_path: Path, name: str) -> None:
    """Never INVALID: the problem is as before."""
    problem, kernel, (before, after) = WRITTEN[name]
    assert kernel.count(before) == 1
    verdict = judge(tmp_path, problem, kernel.replace(before, after))
    assert verdict.outcome is Outcome.WRONG, verdict
