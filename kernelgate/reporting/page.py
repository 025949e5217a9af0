"""The report as GitHub shows it: report.md."""

from collections.abc import Iterator, Sequence

import msgspec

from kernelgate.baselines.compiled import ConfigRecord
from kernelgate.compilation.stage import CompileResult
from kernelgate.correctness.diagnosis.words import draw, tell
from kernelgate.correctness.result import Correctness, Count, Tried
from kernelgate.performance.decision.log_ratio import Slowdown
from kernelgate.performance.result import Performance
from kernelgate.performance.samples import Arm
from kernelgate.reporting.counters import render_counters
from kernelgate.reporting.interval_chart import draw_gain
from kernelgate.reporting.markdown import cell, code, inert, table
from kernelgate.reporting.report import Report
from kernelgate.reporting.terminal import first_line

ADA_NOTE = (
    "Kernels ran the PTX that an RTX 4090 would be given, assembled for this GPU; cuDNN ran this GPU's own "
    "code. That compares kernels with each other; how fast they are on an RTX 4090 it does not say."
)


def render_markdown(report: Report) -> str:
    """Return the report as GitHub's step summary shows it."""
    parts = [
        f"# {report.verdict}: {code(report.candidate.path)}",
        f"**Why:** {inert(report.detail)}",
        f"**Next:** {inert(report.next_step)}",
        _render_stages(report),
        *_render_advice(report),
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


def _render_advice(report: Report) -> list[str]:
    listed = "\n".join(f"- {cell(each)}" for each in report.advice)
    return [f"## Advice\n\nIt decides nothing.\n\n{listed}"] if listed else []


def _render_compile(result: CompileResult) -> str:
    records = [("accepted", each) for each in result.accepted.configs] if result.accepted else []
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
        return str(record.config), first_line(record.error), "", "", "", "", ""
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
        rows.append(("broken law", result.finding.law))
    if result.finding is not None and result.finding.alone:
        rows += [
            ("smallest failing case", str(result.finding.case)),
            ("replay", f"--replay {result.finding.case.replay}"),
        ]
        rows += tell(result.finding.diagnosis) if result.finding.diagnosis else ()
    lines = [(line.law, line.status, str(line.cases), line.note or line.says) for line in result.laws]
    laws = table(("law", "result", "cases", "what it says, or why not"), lines)
    parts = ["## Correctness", table(("what", "found"), rows), *_render_picture(result), laws]
    if result.tried is not None:
        parts.append(_render_tried(result.tried, result.where))
    return "\n\n".join(parts)


def _render_picture(result: Correctness) -> Iterator[str]:
    diagnosis = result.finding.diagnosis if result.finding else None
    if diagnosis is not None and diagnosis.map is not None:
        yield "```text\n" + "\n".join(draw(diagnosis.map)) + "\n```"


def _render_tried(tried: Tried, where: str) -> str:
    """Return the coverage table: for each kind of thing how many cases tried it."""
    gpu = ", ".join(tried.gpu_only)
    rows = [
        ("batches", _count_each(tried.batches)),
        ("values", _count_each(tried.values)),
        ("magnitudes of x", "; ".join(f"{each.size}: {each.x}" for each in tried.magnitudes)),
        ("magnitudes of the weight", "; ".join(f"{each.size}: {each.weight}" for each in tried.magnitudes)),
        ("layouts of x", _count_each(tried.layouts)),
        ("relations", _count_each(tried.relations)),
        ("configurations", _count_each(tried.configurations)),
        ("seen on a GPU only", gpu if where == "GPU" else f"not seen here: {gpu}"),
    ]
    return "### What was tried\n\n" + table(("what", "cases"), rows)


def _count_each(counts: Sequence[Count]) -> str:
    return "; ".join(f"{each.what}: {each.cases}" for each in counts)


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
        [(arm, f"{result.time_ms[arm]:.4f} ms", "; ".join(result.chosen[arm])) for arm in Arm],
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
    rows = [*versions, ("GPU", report.gpu or "none used"), ("stage", report.stage), ("rule", report.rule)]
    if report.algorithm != "direct":
        rows.append(("laws", f"by the laws of {report.algorithm} algorithm"))
    rows += [
        ("accepted kernel", f"{report.accepted.path} ({(report.accepted.sha256 or '')[:12]})"),
        ("candidate", f"{report.candidate.path} ({(report.candidate.sha256 or 'unread')[:12]})"),
    ]
    if (book := report.book) is not None:
        use = "judged by it, the file was not run" if book.judged_by else "written"
        rows.append(("plan book", f"{book.sha256[:12]}, for {', '.join(book.gpus)}: {use}"))
    if (sandbox := report.sandbox) is not None:
        filtered = "system calls filtered" if sandbox.seccomp else "system calls not filtered"
        rows.append(("sandbox", f"Landlock {sandbox.landlock or 'missing'}, {filtered}"))
    return "## Environment\n\n" + table(("what", "value"), rows)
