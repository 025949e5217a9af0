"""A judgement by a plan book, and the book that a judgement leaves: what each comes to where it fails."""

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kernelgate.baselines.store import BaselineError
from kernelgate.correctness.planning.hypothesis_profile import FIXED_ENTROPY, Profile
from kernelgate.correctness.result import Finding
from kernelgate.execution.cards import ADA, HOPPER
from kernelgate.judging.options import AskedError, make_request
from kernelgate.pipeline import book_step
from kernelgate.pipeline.correctness_step import find_entropy
from kernelgate.plan_book.book import BookError
from kernelgate.reporting.page import render_markdown
from kernelgate.reporting.report import make_report
from kernelgate.sandbox.faults import FaultKind
from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.verdict import Outcome
from tests.selftest.support.made_up_books import write_book
from tests.selftest.support.pretended_gate import (
    CASE,
    ROOT,
    SETTINGS,
    PretendedStages,
    compiled,
    correctness,
)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the GPUs that plans were recorded for, by who pretends to record them."""
    gpus: list[str] = []

    def record_calls(
        _sandbox: Any, _kernel: Any, _compiled: Any, target: Any, entropy: int, _laws: Any
    ) -> None:
        gpus.append(target.gpu.name)
        assert entropy == 77

    monkeypatch.setattr(
        book_step, "compile_kernels", lambda _, wanted: {each: [compiled("b")] for each in wanted}
    )
    monkeypatch.setattr(book_step, "record_calls", record_calls)
    return gpus


def test_a_book_is_for_an_rtx_4090_and_each_gpu_with_a_record(
    pretended: PretendedStages, tmp_path: Path, recorded: list[str]
) -> None:
    """It is read back as whoever gets it will read it, and the report names it."""
    gate = pretended.gate(keep_plans=tmp_path / "book", entropy=77)
    gate.stage("correctness")
    gate.keep_book()
    assert recorded == [ADA.name, HOPPER.name]
    report = make_report(gate)
    assert report.passes
    assert report.book is not None
    index = (tmp_path / "book" / "book.json").read_bytes()
    assert (report.book.sha256, report.book.judged_by) == (hashlib.sha256(index).hexdigest(), False)
    assert "| plan book |" in render_markdown(report)


def test_a_kernel_that_does_not_pass_leaves_no_book(
    pretended: PretendedStages, tmp_path: Path, recorded: list[str]
) -> None:
    """Nobody has to time it."""
    finding = Finding(case=CASE, law="exact", detail="off", forbidden=False)
    pretended.correctness = correctness(finding)
    gate = pretended.gate(keep_plans=tmp_path / "book", entropy=77)
    gate.stage("correctness")
    gate.keep_book()
    assert recorded == []
    assert not (tmp_path / "book").exists()


def raising(error: Exception) -> Any:
    def fail(*_: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("place", "error", "reason"),
    [
        ("recorded_gpus", BaselineError("invalid", Path("x.json"), "broken"), "baseline-invalid"),
        ("record_calls", WorkerFault(FaultKind.CRASHES, "signal 11"), "crashes"),
        ("read_book", BookError("holds too much"), "plan-book"),
    ],
)
def test_a_book_that_cannot_be_made_is_no_pass(
    pretended: PretendedStages,
    tmp_path: Path,
    recorded: list[str],
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    error: Exception,
    reason: str,
) -> None:
    """The kernel passed before: what kept it from having a book is the verdict."""
    monkeypatch.setattr(book_step, place, raising(error))
    gate = pretended.gate(keep_plans=tmp_path / "book", entropy=77)
    assert gate.stage("correctness").status == "passed"
    gate.keep_book()
    assert (gate.verdict().reason, gate.verdict().outcome.passes) == (reason, False)
    assert HOPPER.name not in recorded or place == "read_book"


def test_a_book_of_another_kernel_ends_the_judgement(pretended: PretendedStages, tmp_path: Path) -> None:
    """Before anything is compiled or tried."""
    gate = pretended.gate(plans=write_book(tmp_path / "book"))
    assert gate.stage("correctness").status == "not-run"
    assert gate.results["compile"].status == "failed"
    assert (gate.verdict().outcome, gate.verdict().reason) == (Outcome.INVALID, "plan-book")
    assert "is of kernel file" in gate.verdict().detail
    assert pretended.trials == []


def drawn(entropy: int | None, book: int | None, *, fixed: bool) -> int:
    """Return what seeds the draws, where the request and the book have these."""
    profile = Profile(name="p", fixed=fixed, examples=1, draw_seconds=1, shrink_seconds=1)
    opened = None if book is None else SimpleNamespace(index=SimpleNamespace(entropy=book), folder="plans")
    judgement: Any = SimpleNamespace(entropy=entropy, sandbox=SimpleNamespace(book=opened))
    return find_entropy(judgement, profile)


def test_a_books_draws_are_those_of_the_judgement() -> None:
    """Where they are always the same, no book has a say: it could leave out what a kernel is wrong at."""
    assert drawn(None, 5, fixed=False) == 5
    assert drawn(3, None, fixed=False) == 3
    assert drawn(None, None, fixed=True) == drawn(None, FIXED_ENTROPY, fixed=True) == FIXED_ENTROPY
    with pytest.raises(BookError, match="drawn by entropy 5, profile p draws by"):
        drawn(None, 5, fixed=True)


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ({"plans": "p", "code_path": "sm_89"}, "--plans: a plan book holds each GPU's own code"),
        ({"plans": "p", "keep_plans": "k"}, "--keep-plans: only a judgement of the file itself"),
        ({"keep_plans": "k", "replay": CASE.replay}, "--keep-plans: only a judgement of the file itself"),
        ({"keep_plans": str(ROOT)}, "exists already; name a new folder"),
        ({"algorithm": "any"}, "--algorithm any: needs --stage open, not final-micro-tuning"),
    ],
)
def test_options_that_make_no_sense_together_are_named(options: dict[str, str], cause: str) -> None:
    """Before anything is judged."""
    with pytest.raises(AskedError, match=cause):
        make_request(options.get, ROOT, SETTINGS, measure=False)
