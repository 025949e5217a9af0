"""The gate's answer as people and programs read it: report.json, report.md and the terminal's summary."""

import shlex
from datetime import UTC, datetime
from typing import Literal

import msgspec

from kernelgate.correctness.result import Correctness, Diagnosis, Finding
from kernelgate.machine.versions import Provenance
from kernelgate.next_steps import REPLAY, REPLAYED
from kernelgate.operations.declaration.operation import Algorithm
from kernelgate.performance.explanation.hardware_counters import Counters
from kernelgate.performance.result import Performance
from kernelgate.pipeline.pipeline import Gate
from kernelgate.pipeline.stage import ORDER, StageName, StageResult
from kernelgate.reporting.contents.next_step import fill_in
from kernelgate.sandbox.confinement import Confinement
from kernelgate.verdict import Outcome, Reason, Rule


class KernelIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """Which bytes were meant; no digest if they could not be read."""

    path: str
    sha256: str | None


class BookIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """The plan book of a judgement: by its plans if `judged_by`, else the judgement wrote it.

    `sha256` is that of its index, which names all else in it; `gpus` are those that it holds plans for.
    """

    sha256: str
    judged_by: bool
    gpus: tuple[str, ...]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a judgement said. `schema` changes when a field changes its meaning or goes.

    `sandbox` is what confined the kernel files, None in reports that are older than it. `advice` are
    places of the file that decide nothing, and that a reader may want to see. `book` is the plan
    book: a judgement by one binds its plans, and the file was not run. `algorithm` says whose laws held: the
    direct one's, or those of any. `judged_at` is the time in UTC, ISO 8601, empty in reports that are older.
    """

    schema: Literal["kernelgate.report/2"] = "kernelgate.report/2"
    verdict: Outcome
    reason: Reason
    detail: str
    next_step: str
    passes: bool
    operation: str
    stage: str
    rule: Rule
    candidate: KernelIdentity
    accepted: KernelIdentity
    stages: dict[StageName, StageResult]
    environment: Provenance
    gpu: str | None
    counters: Counters | None = None
    ada_path: bool = False
    sandbox: Confinement | None = None
    advice: tuple[str, ...] = ()
    book: BookIdentity | None = None
    algorithm: Algorithm = "direct"
    judged_at: str = ""

    @property
    def timing(self) -> Performance | None:
        """What the performance stage measured, None if it did not come to a result."""
        stage = self.stages.get("performance")
        return stage.result if stage and isinstance(stage.result, Performance) else None

    @property
    def finding(self) -> Finding | None:
        """What the correctness stage found, None where it found nothing, or did not run."""
        stage = self.stages.get("correctness")
        return stage.result.finding if stage and isinstance(stage.result, Correctness) else None

    @property
    def why(self) -> str:
        """The detail without the case, which stands in the command of the next step."""
        case = self.finding.case.replay if self.finding and self.finding.alone else ""
        return self.detail.removesuffix(f" Replay: --replay {case}") if case else self.detail

    @property
    def diagnosis(self) -> Diagnosis | None:
        """What the smallest failing case shows, None where there is none."""
        return self.finding.diagnosis if self.finding else None


def make_report(gate: Gate) -> Report:
    """Return the report of a gate; stages that were not asked for are in it as not run."""
    verdict = gate.verdict()
    not_asked = StageResult(status="not-run", detail="was not asked for")
    request = gate.request
    wants_speed = request.measure and not request.ada_path  # whose speed is no GPU's
    return Report(
        verdict=verdict.outcome,
        reason=verdict.reason,
        detail=verdict.detail,
        next_step=_fill_in(verdict.next_step, gate),
        passes=verdict.outcome.passes and not (wants_speed and verdict.outcome is Outcome.NOT_MEASURED),
        operation=request.operation,
        stage=request.stage,
        rule=gate.rule,
        candidate=KernelIdentity(path=str(request.candidate), sha256=gate.candidate_sha256),
        accepted=_identify_accepted(gate),
        stages={name: gate.results.get(name, not_asked) for name in ORDER},
        environment=gate.environment,
        gpu=request.gpu.name if request.gpu else None,
        counters=gate.counters,
        ada_path=request.ada_path,
        sandbox=gate.confinement,
        advice=tuple(map(str, gate.advice)),
        book=_identify_book(gate),
        algorithm=request.algorithm,
        judged_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _fill_in(next_step: str, gate: Gate) -> str:
    """Return the next step with this judgement's file, options and case, if the file could be read."""
    request = gate.request
    stage = gate.results.get("correctness")
    finding = stage.result.finding if stage and isinstance(stage.result, Correctness) else None
    case = finding.case.replay if finding and finding.alone else ""
    computes = f"--operation {request.accepted_name or request.operation}"
    if request.problem is not None and request.accepted_name is None:
        computes = f"--problem {shlex.quote(str(request.problem))}"
    if gate.candidate_sha256 is None:
        return next_step
    next_step = REPLAYED if request.replay is not None and next_step == REPLAY else next_step
    options, folder = f"{computes} --stage {request.stage}", str(request.report_dir)
    return fill_in(next_step, str(request.candidate), options, case, folder)


def _identify_accepted(gate: Gate) -> KernelIdentity:
    """Return the kernel to beat; where there is none it is what PyTorch takes for the same."""
    if gate.accepted is None:
        caller = f", as {gate.request.problem} calls it" if gate.request.problem else ""
        return KernelIdentity(path=f"PyTorch{caller}", sha256=None)
    return KernelIdentity(path=gate.accepted.path, sha256=gate.accepted.sha256)


def _identify_book(gate: Gate) -> BookIdentity | None:
    judged_by = gate.open_sandbox.book if gate.open_sandbox else None
    book = judged_by or gate.kept_book
    if book is None:
        return None
    gpus = tuple(card.name for card in book.index.cards)
    return BookIdentity(sha256=book.sha256, judged_by=judged_by is not None, gpus=gpus)
