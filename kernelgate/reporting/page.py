"""The report as GitHub shows it: report.md."""

from collections.abc import Iterator

from kernelgate.compilation.stage import CompileResult
from kernelgate.correctness.diagnosis.words import draw
from kernelgate.correctness.result import Correctness
from kernelgate.performance.result import Performance
from kernelgate.reporting.contents import work
from kernelgate.reporting.contents.checked import group_tried, list_facts, list_laws, name_gpu_laws
from kernelgate.reporting.contents.compiled import COLUMNS, ProgramRow, compare_programs
from kernelgate.reporting.contents.environment import list_environment
from kernelgate.reporting.contents.timed import list_arms, list_contrasts, list_notes
from kernelgate.reporting.contents.work import list_work
from kernelgate.reporting.counters import render_counters
from kernelgate.reporting.interval_chart import draw_gain
from kernelgate.reporting.markdown import cell, code, inert, prose, table
from kernelgate.reporting.report import Report
from kernelgate.reporting.terminal import first_line


def render_markdown(report: Report) -> str:
    """Return the report as GitHub's step summary shows it."""
    parts = [
        f"# {report.verdict}: {code(report.candidate.path)}",
        f"**Why:** {inert(report.why)}",
        f"**Next:** {prose(report.next_step)}",
        _render_stages(report),
        *_list("## Advice\n\nIt decides nothing.", report.advice),
    ]
    for result in report.stages.values():
        if isinstance(result.result, CompileResult):
            parts += [*_render_compile(result.result), *_render_work(result.result)]
            parts += render_counters(report.counters, report.gpu)
        if isinstance(result.result, Correctness):
            parts += _render_correctness(result.result)
        if isinstance(result.result, Performance):
            parts += _render_performance(result.result)
    parts += ["## Environment", table(("what", "value"), list(list_environment(report)))]
    return "\n\n".join(parts) + "\n"


def _render_stages(report: Report) -> str:
    rows = [(name, r.status, f"{r.seconds:.1f} s", r.detail) for name, r in report.stages.items()]
    return table(("stage", "result", "time", "what was seen"), rows)


def _list(title: str, texts: tuple[str, ...]) -> Iterator[str]:
    if texts:
        yield title
        yield "\n".join(f"- {cell(each)}" for each in texts)


def _render_compile(result: CompileResult) -> Iterator[str]:
    rows = [_program_row(row) for row in compare_programs(result)]
    yield f"## Compiled for {result.candidate.target}"
    yield table(("configuration", "kernel", "program", *COLUMNS, "products in"), rows)
    yield from _list("Changes against the accepted kernel:", (*result.changes, *result.twins))


def _render_work(result: CompileResult) -> Iterator[str]:
    if rows := list_work(result):
        yield f"### {work.TITLE}"
        yield table(work.COLUMNS, rows)
        yield work.NOTE


def _program_row(row: ProgramRow) -> tuple[str, ...]:
    figures = tuple(map(str, row.figures)) or ("",) * len(COLUMNS)
    return row.configuration, row.kernel, row.program or first_line(row.error), *figures, row.products


def _render_correctness(result: Correctness) -> Iterator[str]:
    yield "## Correctness"
    yield table(("what", "found"), list(list_facts(result)))
    diagnosis = result.finding.diagnosis if result.finding else None
    if diagnosis is not None and diagnosis.map is not None:
        yield "```text\n" + "\n".join(draw(diagnosis.map)) + "\n```"
    yield table(("law", "result", "cases", "what it says, or why not"), list_laws(result))
    if (tried := result.tried) is not None:
        rows = [
            (kind, "; ".join(f"{each.what}: {each.cases}" for each in counts))
            for kind, counts in group_tried(tried)
        ]
        yield "### What was tried"
        yield table(("what", "cases"), [*rows, name_gpu_laws(tried, result.where)])


def _render_performance(result: Performance) -> Iterator[str]:
    code_of = " by an RTX 4090's code" if result.ada_path else ""
    yield f"## Performance{code_of} on {cell(result.gpu.name)}, N = {result.batch}, rule `{result.rule}`"
    yield draw_gain(result.candidate, result.band)
    interval = f"interval at {100 * result.candidate.confidence:.2f} %"
    yield table(("contrast", "gain", interval, "gain in each replicate"), list_contrasts(result))
    rows = [(name, f"{time_ms:.4f} ms", chosen) for name, time_ms, chosen in list_arms(result)]
    yield table(("arm", "time of a call", "chosen"), rows)
    yield "\n".join(f"- {cell(note)}" for note in list_notes(result))
