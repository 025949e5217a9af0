"""The gate's answer as people and programs read it: report.json, report.md and the terminal's summary."""

from pathlib import Path
from typing import Any, Literal

import msgspec

from kernelgate.compile_stage import CompileResult
from kernelgate.correctness import Correctness
from kernelgate.counter_table import render_counters
from kernelgate.counters import Counters
from kernelgate.gate import Gate
from kernelgate.interval_chart import draw_gain
from kernelgate.judgement import ORDER, StageName, StageResult
from kernelgate.launches import ConfigRecord
from kernelgate.markdown import cell, code, inert, table
from kernelgate.measured import ARMS
from kernelgate.performance import Performance
from kernelgate.records import Provenance
from kernelgate.slowdown import Slowdown
from kernelgate.verdict import Outcome


class KernelIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """Which bytes were meant; no digest if they could not be read."""

    path: str
    sha256: str | None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a judgement said. `schema` changes when a field changes its meaning or goes."""

    schema: Literal["kernelgate.report/1"] = "kernelgate.report/1"
    verdict: Outcome
    reason: str
    detail: str
    next_step: str
    passes: bool
    operation: str
    stage: str
    rule: str
    candidate: KernelIdentity
    accepted: KernelIdentity
    stages: dict[StageName, StageResult]
    environment: Provenance
    gpu: str | None
    counters: Counters | None = None
    ada_path: bool = False


ADA_NOTE = (
    "Kernels ran the PTX that an RTX 4090 would be given, assembled for this GPU; cuDNN ran this GPU's own "
    "code. That compares kernels with each other; how fast they are on an RTX 4090 it does not say."
)


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
        next_step=verdict.next_step,
        passes=verdict.outcome.passes and not (wants_speed and verdict.outcome is Outcome.NOT_MEASURED),
        operation=request.operation,
        stage=request.stage,
        rule=gate.rule.value,
        candidate=KernelIdentity(path=str(request.candidate), sha256=gate.candidate_sha256),
        accepted=KernelIdentity(path=gate.accepted.path, sha256=gate.accepted.sha256),
        stages={name: gate.results.get(name, not_asked) for name in ORDER},
        environment=gate.environment,
        gpu=request.gpu.name if request.gpu else None,
        counters=gate.counters,
        ada_path=request.ada_path,
    )


def write_report(report: Report, directory: Path) -> None:
    """Write report.json and report.md into the directory, which is made if it is missing."""
    directory.mkdir(parents=True, exist_ok=True)
    plain: Any = msgspec.to_builtins(report)
    text = msgspec.json.format(msgspec.json.encode(plain), indent=2).decode()
    (directory / "report.json").write_text(text + "\n", encoding="utf-8")
    (directory / "report.md").write_text(render_markdown(report), encoding="utf-8")


def render_summary(report: Report) -> str:
    """Return the few lines that a terminal shows."""
    lines = [f"{report.verdict}  ({report.reason})", f"  {_shown(report.detail)}"]
    lines += [
        f"  {name:<12} {result.status:<10} {result.seconds:6.1f} s  {_first_line(result.detail)}"
        for name, result in report.stages.items()
    ]
    lines.append(f"  next: {report.next_step}")
    return "\n".join(lines)


def render_markdown(report: Report) -> str:
    """Return the report as GitHub's step summary shows it."""
    parts = [
        f"# {report.verdict}: {code(report.candidate.path)}",
        f"**Why:** {inert(report.detail)}",
        f"**Next:** {inert(report.next_step)}",
        _render_stages(report),
    ]
    for result in report.stages.values():
        if isinstance(result.result, CompileResult):
            parts.append(_render_compile(result.result))
            parts += render_counters(report.counters, report.gpu)
        if isinstance(result.result, Correctness):
            parts.append(_render_correctness(result.result))
        if isinstance(result.result, Performance):
            parts.append(_render_performance(result.result))
    parts.append(_render_environment(report))
    return "\n\n".join(parts) + "\n"


def _render_stages(report: Report) -> str:
    rows = [(name, r.status, f"{r.seconds:.1f} s", r.detail) for name, r in report.stages.items()]
    return table(("stage", "result", "time", "what was seen"), rows)


def _render_compile(result: CompileResult) -> str:
    records = [("accepted", each) for each in result.accepted.configs]
    records += [("candidate", each) for each in result.candidate.configs]
    header = (
        "kernel",
        "configuration",
        "registers",
        "spill bytes",
        "shared bytes",
        "blocks an SM",
        "warps an SM",
        "products in",
    )
    rows = [(kernel, *_compile_row(record)) for kernel, record in records]
    notes = [*result.changes, *result.twins]
    listed = "\n".join(f"- {cell(note)}" for note in notes)
    shown = f"## Compiled for {result.candidate.target}\n\n{table(header, rows)}"
    return shown + (f"\n\n{listed}" if notes else "")


def _compile_row(record: ConfigRecord) -> tuple[str, ...]:
    if not record.launches:
        return str(record.config), _first_line(record.error), "", "", "", "", ""
    programs = {launch.code_sha256: launch for launch in record.launches}.values()
    columns = (
        [program.registers for program in programs],
        [program.spill_store_bytes + program.spill_load_bytes for program in programs],
        [program.shared_bytes for program in programs],
        [program.blocks_per_sm for program in programs],
        [program.warps_per_sm for program in programs],
        ["/".join(program.products) or "-" for program in programs],
    )
    return str(record.config), *(" + ".join(map(str, column)) for column in columns)


def _render_correctness(result: Correctness) -> str:
    examples = f"{result.examples} in the {result.where}, {result.calls} calls"
    rows = [
        ("examples", f"{examples}, profile {result.profile}, entropy {result.entropy}"),
        ("worst element", f"{result.bound_fraction:.2g} of its hard bound"),
        ("rms error", f"{result.error_ratio:.2f} times that of operands rounded to TF32"),
    ]
    if result.vendor_ratio is not None:
        rows.append(("cuDNN's rms error", f"{result.vendor_ratio:.2f} times the same"))
    if result.finding is not None:
        rows += [
            ("broken law", result.finding.law),
            ("smallest failing case", str(result.finding.case)),
            ("replay", f"--replay {result.finding.case.replay}"),
        ]
    lines = [(line.law, line.status, str(line.cases), line.note or line.says) for line in result.laws]
    laws = table(("law", "result", "cases", "what it says, or why not"), lines)
    return "## Correctness\n\n" + table(("what", "found"), rows) + "\n\n" + laws


def _render_performance(result: Performance) -> str:
    contrasts = (
        ("candidate to accepted", result.candidate),
        ("accepted to itself (A/A)", result.control),
        ("candidate to original", result.candidate_to_original),
        ("candidate to cuDNN", result.candidate_to_vendor),
    )
    gains = table(
        ("contrast", "gain", f"interval at {100 * result.candidate.confidence:.2f} %", "replicates"),
        [_gain_row(*each) for each in contrasts],
    )
    arms = table(
        ("arm", "time", "chosen"),
        [(arm, f"{result.time_ms[arm]:.4f} ms", "; ".join(result.chosen[arm])) for arm in ARMS],
    )
    clocks = (
        f", SM clock {result.sm_clock_mhz[0]} to {result.sm_clock_mhz[1]} MHz" if result.sm_clock_mhz else ""
    )
    floor = f", physical floor {result.floor_ms:.3f} ms" if result.floor_ms else ""
    code_of = " by an RTX 4090's code" if result.ada_path else ""
    head = f"## Performance{code_of} on {cell(result.gpu.name)}, N = {result.batch}, rule `{result.rule}`"
    remarks = "".join(f"\n- {cell(remark)}" for remark in result.remarks)
    note = f"Times are of this machine today{clocks}{floor}; only the contrasts decide."
    if result.ada_path:
        note = f"{ADA_NOTE} Times are of this machine today{clocks}{floor}."
    chart = draw_gain(result.candidate, result.band)
    return f"{head}\n\n{chart}\n\n{gains}\n\n{arms}\n\n{note}{remarks}"


def _gain_row(name: str, slowdown: Slowdown) -> tuple[str, ...]:
    singles = ", ".join(f"{100 * y:+.2f}" for y in slowdown.replicates)
    interval = f"{100 * slowdown.gain_low:+.2f} to {100 * slowdown.gain_high:+.2f} %"
    return name, f"{100 * slowdown.gain:+.2f} %", interval, f"ln ratio x 100: {singles}"


def _render_environment(report: Report) -> str:
    versions = msgspec.structs.asdict(report.environment).items()
    rows = [*versions, ("GPU", report.gpu or "none"), ("stage", report.stage), ("rule", report.rule)]
    rows += [
        ("accepted kernel", f"{report.accepted.path} ({(report.accepted.sha256 or '')[:12]})"),
        ("candidate", f"{report.candidate.path} ({(report.candidate.sha256 or 'unread')[:12]})"),
    ]
    return "## Environment\n\n" + table(("what", "value"), rows)


def _first_line(text: str) -> str:
    line = _shown(text).partition("\n")[0]
    return line if len(line) <= 160 else line[:157] + "..."


def _shown(text: str) -> str:
    """Return text that drives no terminal; a line of its own never starts a command of a workflow."""
    lines = ("".join(c if c.isprintable() else "?" for c in line) for line in text.strip().splitlines())
    return "\n  | ".join(lines)
