"""What both kernels compile to, beside what the target holds, and what the GPU counted."""

import re
from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element

from kernelgate.compilation.machine_code.occupancy import RESERVED_SHARED_BYTES, SM_LIMITS
from kernelgate.compilation.stage import CompileResult
from kernelgate.performance.explanation.hardware_counters import Counters
from kernelgate.reporting.contents import counters as counted
from kernelgate.reporting.contents import work
from kernelgate.reporting.contents.compiled import COLUMNS, Change, ProgramRow, compare_programs
from kernelgate.reporting.html.elements import Child, listed, node, section, table

MAX_REGISTERS = 255
"""A thread's; CUDA C++ Programming Guide, table "Technical Specifications per Compute Capability"."""

WHOSE = {"both": "both", "candidate": "candidate only", "accepted": "accepted only"}

NEAR = 0.95
"""A share of a limit from which on it is marked."""


def render_compiled(result: CompileResult) -> Element:
    """Return the section: a row for each program, accepted -> candidate where they differ."""
    limits = _limits(result.candidate.target)
    rows = compare_programs(result)
    header = [f"{name}, of {limit:,}" if limit else name for name, limit in zip(COLUMNS, limits, strict=True)]
    notes = (*result.changes, *result.twins)
    return section(
        f"Compiled for {result.candidate.target}, before and after",
        table(
            "Compile record",
            ("configuration, program", *header, "products in"),
            [_render_row(row, limits) for row in rows],
            numbers=range(1, 1 + len(COLUMNS)),
            kind="figures",
        ),
        node("p", "Accepted → candidate where they differ. A bar is the share of the limit.", class_="note"),
        listed(notes) if notes else None,
        *_render_work(result),
    )


def _render_work(result: CompileResult) -> Iterator[Element]:
    if rows := work.list_work(result):
        numbers = range(2, len(work.COLUMNS))
        yield table(work.TITLE, work.COLUMNS, rows, numbers=numbers, kind="figures")
        yield node("p", work.NOTE, class_="note")


def _limits(target: str) -> tuple[int | None, ...]:
    """Return the target's limits in the order of COLUMNS; None where there is none, or none is known."""
    found = re.fullmatch(r"sm_(\d{2,3})", target)
    limits = SM_LIMITS.get(int(found[1])) if found else None
    if limits is None:
        return (MAX_REGISTERS, *(None,) * (len(COLUMNS) - 1))
    return MAX_REGISTERS, None, limits.shared_bytes - RESERVED_SHARED_BYTES, limits.blocks, limits.warps


def _render_row(row: ProgramRow, limits: Sequence[int | None]) -> list[Child]:
    name = node("span", row.configuration, node("small", f"{WHOSE[row.kernel]}: {row.program or row.error}"))
    figures: list[Child] = [_render_figure(*pair) for pair in zip(row.figures, limits, strict=False)]
    return [name, *(figures or ("",) * len(COLUMNS)), row.products]


def _render_figure(change: Change, limit: int | None) -> Element:
    used = change.before if change.after is None else change.after
    if limit is None or used is None:
        return node("span", str(change))
    share = min(1.0, used / limit)
    bar = node("rect", width=f"{100 * share:.0f}%", height=4)
    meter = node("svg", bar, class_="meter full" if share >= NEAR else "meter", aria_hidden="true")
    return node("span", str(change), meter)


def render_counters(counters: Counters, gpu: str | None) -> Element:
    """Return the section, or why nothing was counted."""
    title = f"What {gpu or 'the GPU'} counted"
    if counters.missing:
        return section(title, node("p", f"{counters.missing}."))
    rows = counted.list_counters(counters)
    return section(
        title,
        table(title, counted.COLUMNS, rows, numbers=range(2, len(counted.COLUMNS)), kind="figures"),
        node("p", counted.NOTE, class_="note"),
    )
