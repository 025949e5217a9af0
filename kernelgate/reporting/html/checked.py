"""Correctness: the failing case as a picture, the laws, and what was tried."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from kernelgate.correctness.result import Correctness, Count, Tried
from kernelgate.reporting.contents.checked import (
    count_laws,
    group_tried,
    list_facts,
    list_finding,
    list_laws,
    name_gpu_laws,
)
from kernelgate.reporting.html.charts.plane import draw_plane
from kernelgate.reporting.html.elements import details, node, section, table


def render_fault(result: Correctness) -> Element | None:
    """Return the failing case: the picture of its output and the numbers; None where there is none."""
    finding = result.finding
    if finding is None:
        return None
    found = finding.diagnosis.map if finding.diagnosis else None
    return section(
        "The failing case",
        draw_plane(found) if found is not None and any(found.rows) else None,
        table("The failing case", ("what", "found"), list(list_finding(result)), kind="facts"),
    )


def render_checked(result: Correctness) -> Element:
    """Return the section: errors, laws and coverage."""
    facts = list(list_facts(result))
    facts = facts[: len(facts) - len(list(list_finding(result)))]  # those have a section of their own
    return section(
        "Correctness",
        table("What was found", ("what", "found"), facts, kind="facts"),
        details(f"Laws: {count_laws(result)}", _render_laws(result)),
        _render_tried(result.tried, result.where) if result.tried else None,
    )


def _render_laws(result: Correctness) -> Element:
    laws = sorted(list_laws(result), key=lambda law: law[1] != "broken")
    rows = [
        (law, node("span", status, class_=status.replace(" ", "-")), cases, says)
        for law, status, cases, says in laws
    ]
    return table(
        "Laws", ("law", "result", "cases", "what it says, or why not"), rows, numbers=(2,), kind="said laws"
    )


def _render_tried(tried: Tried, where: str) -> Element:
    parts = []
    for kind, counts in group_tried(tried):
        parts += [node("h3", kind), _render_counts(counts)]
    name, laws = name_gpu_laws(tried, where)
    return details("What was tried, by number of cases", *parts, node("h3", name), node("p", laws))


def _render_counts(counts: Sequence[Count]) -> Element:
    """Return a list that marks what no case tried."""
    return node(
        "ul",
        *(
            node(
                "li", f"{each.what} ", node("b", str(each.cases)), class_="none" if each.cases == 0 else None
            )
            for each in counts
        ),
        class_="counts",
    )
