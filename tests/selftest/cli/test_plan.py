"""`kernelgate plan` writes plans that can be read again, says what they do, and names what is wrong."""

from pathlib import Path

import pytest

from kernelgate.cli.main import main
from kernelgate.execution.plan_files import PLAN_NAME, read_plan
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.sandbox import sandbox as sandbox_module
from kernelgate.sandbox.confinement import Confinement
from tests.selftest.support.small_kernels import LOOP, TWO_LAUNCHES

ROOT = Path(__file__).parents[3]


def run(source: str | None, folder: Path, *options: str) -> int:
    file = folder / "candidate.py"
    if source is not None:
        file.write_text(source, encoding="utf-8")
    return main(["plan", str(file), "--project", str(ROOT), "--out", str(folder / "plans"), *options])


def test_each_configuration_has_a_plan_that_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the name that is printed, with the batch that was asked for."""
    assert run(LOOP, tmp_path, "--batch", "3") == 0
    said = capsys.readouterr().out
    plans = sorted((tmp_path / "plans").glob(f"*.{PLAN_NAME}"))
    assert len(plans) == 2
    assert all(str(plan) in said for plan in plans)
    assert {read_plan(plan, ALEXNET_CONV1).plan.batch for plan in plans} == {3}
    assert said.count("launch    multiply: 1 x 1 x 1 programs of 128 threads") == 2


def test_what_a_plan_does_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Memory, launches with their resources, and traffic against what must move."""
    assert run(TWO_LAUNCHES, tmp_path, "--target", "sm_90") == 0
    said = capsys.readouterr().out
    for part in ("N = 256, sm_90", "x 147.0 MiB", "launch    fill: ", "launch    shift: ", "registers"):
        assert part in said
    assert "work      no products of tl.dot" in said
    assert "times the 430.7 MiB that must move" in said


@pytest.mark.parametrize(
    ("source", "options", "cause"),
    [
        (LOOP, ("--batch", "0"), "--batch 0: allowed 1 to 7394"),
        (LOOP, ("--batch", "7395"), "--batch 7395: allowed 1 to 7394"),
        (LOOP, ("--target", "sm_20"), "--target sm_20: allowed sm_89, sm_90, or here"),
        (None, (), "no such file"),
        (LOOP.replace("return out", "return torch.relu(out)"), (), "PyTorch computed aten.relu"),
        (LOOP.replace("return out", "return out[0]"), (), "forward returned float32 of shape [96, 55, 55]"),
    ],
    ids=["no-image", "beyond-the-domain", "unknown-target", "missing", "computes", "other-shape"],
)
def test_what_cannot_be_planned_is_named(
    source: str | None,
    options: tuple[str, ...],
    cause: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line on standard error, and no plan."""
    assert run(source, tmp_path, *options) == 1
    assert cause in capsys.readouterr().err
    assert not list(tmp_path.glob("plans/*"))


def test_no_plan_is_made_where_a_sandbox_is_required_and_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the settings ask where CI is set; what the system lacks is said."""
    monkeypatch.setattr(sandbox_module, "find_confinement", lambda: Confinement(landlock=7, seccomp=False))
    monkeypatch.setenv("CI", "true")
    assert run(LOOP, tmp_path) == 1
    assert "a kernel file would not be confined: " in capsys.readouterr().err
