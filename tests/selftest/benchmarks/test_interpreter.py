"""What the interpreter takes is measured on whole runs, and a run that found anything is no measurement."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from benchmarks import interpreted, interpreter
from benchmarks.interpreted import Taken, run_stores
from benchmarks.interpreter import Row, count_programs, main, render
from kernelgate.errors import KernelgateError
from kernelgate.execution.interpreted_plan import InterpretedPlan
from kernelgate.execution.launch_plan import Launch
from kernelgate.execution.plan_files import StoredPlan
from tests.selftest.support.made_up_plans import make_plan

TAKEN = Taken(seconds=0.5, programs=1000, peak_bytes=2**30)
ROW = Row(
    kernel="accepted",
    configurations=3,
    images=TAKEN,
    triton_ms=42.3,
    stores=TAKEN,
    sample=TAKEN,
    largest_batch=7394,
    whole=None,
)


def test_a_row_tells_each_figure_with_its_unit() -> None:
    """And says so where one could not be had, or was not asked for."""
    assert render(ROW) == (
        "| accepted | 0.50 | 42 | 0.5 s (3 x) | 0.5 s (1000 programs) "
        "| 1.00 GiB at N = 7394 | not asked for |"
    )
    other = msgspec.structs.replace(ROW, triton_ms=None, configurations=1, whole=TAKEN)
    assert "| cannot run it | 0.5 s (one) |" in render(other)
    assert render(other).endswith("| 0 s (1000 programs) |")


def test_the_table_is_written_as_json_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """One row a kernel, in the order that was asked for."""
    monkeypatch.setattr(
        interpreter, "measure", lambda name, *_, **__: msgspec.structs.replace(ROW, kernel=name)
    )
    assert main(["fast", "original", "--json", str(tmp_path / "rows.json")]) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()[2:]] == ["fast", "original"]
    rows = msgspec.json.decode((tmp_path / "rows.json").read_bytes(), type=list[Row])
    assert [row.kernel for row in rows] == ["fast", "original"]


def test_a_kernel_that_is_not_interpreted_ends_the_benchmark(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its cause, and no row."""

    def refuse(*_: Any, **__: Any) -> Row:
        raise KernelgateError("tt.new cannot be interpreted")

    monkeypatch.setattr(interpreter, "measure", refuse)
    assert main(["accepted"]) == 1
    assert "tt.new cannot be interpreted" in capsys.readouterr().err


def test_an_unknown_kernel_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """With those that are known."""
    with pytest.raises(SystemExit):
        main(["fastest"])
    assert "unknown: fastest; known: accepted, original, fast" in capsys.readouterr().err


def test_programs_of_all_launches_are_counted() -> None:
    """Moves of data are none."""
    plan = make_plan()
    grids = [step.grid for step in plan.steps if isinstance(step, Launch)]
    stored = StoredPlan(plan=plan, contents=Path(), sha256="0" * 64)
    assert count_programs(stored) == sum(int(np.prod(grid)) for grid in grids) > 0


def test_stores_that_leave_something_out_are_no_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is timed writes the whole answer."""
    monkeypatch.setattr(
        interpreted, "read_plan", lambda *_: StoredPlan(plan=make_plan(), contents=Path(), sha256="0" * 64)
    )
    monkeypatch.setattr(InterpretedPlan, "run", lambda *_: [])
    with pytest.raises(KernelgateError, match="0 elements written"):
        run_stores([Path("plan.json")])


def test_a_child_that_fails_is_no_figure(capsys: pytest.CaptureFixture[str]) -> None:
    """Triton's interpreter may lack what a kernel does; the gate's own may not."""
    assert interpreter.run_in_triton(Path("no/such/kernel.py"), 10) is None
    assert "no/such/kernel.py" in capsys.readouterr().err
    with pytest.raises(KernelgateError, match="could not be run"):
        interpreter.run_here("images", [Path("no/such/plan.json")])
