"""A ranking as a page: rank.html."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from kernelgate.reporting.html.charts.places import draw_places
from kernelgate.reporting.html.document import FAIL, PASS, UNSURE, render_document
from kernelgate.reporting.html.elements import Child, node, section, table
from kernelgate.reporting.ranking.lines import name_word, over_best, render_answer, show_percent
from kernelgate.reporting.ranking.record import Ranked, Ranking

ACCENTS = {"one-left": PASS, "tie": PASS, "unresolved": UNSURE, "unstable": UNSURE, "none-right": FAIL}


def render_ranking_page(ranking: Ranking) -> str:
    """Return the page as one file that needs no network and no script."""
    word = name_word(ranking)
    head = node(
        "header",
        node("p", " \u00b7 ".join(_circumstances(ranking)), class_="kind"),
        node("h1", node("span", word, class_="verdict"), node("span", _name_first(ranking), class_="path")),
        _render_figure(ranking),
        node("p", node("b", "Why: "), ranking.detail, class_="why"),
    )
    return render_document(f"{word}: {_name_first(ranking)}", ACCENTS[ranking.ended], head, *_parts(ranking))


def _circumstances(ranking: Ranking) -> Iterator[str]:
    yield ranking.operation
    yield ranking.gpu
    if ranking.batch:
        yield f"batch {ranking.batch}"
    yield f"{ranking.replicates} replicates"
    yield ranking.ranked_at.replace("T", " ").replace("+00:00", " UTC")


def _name_first(ranking: Ranking) -> str:
    return ", ".join(each.file for each in ranking.ranked if each.place == 1) or "no kernel"


def _render_figure(ranking: Ranking) -> Element | None:
    """Return the figure that the answer rests on; None where none is to be trusted."""
    if not ranking.is_trusted:
        return node("p", render_answer(ranking), class_="number-first")
    first = ranking.ranked[0]
    gain = f"Gain {show_percent(first.gain)} over {ranking.accepted}"
    return node("p", gain, node("small", f"{first.time_ms:.4f} ms a call"), class_="number-first")


def _parts(ranking: Ranking) -> Iterator[Element]:
    if ranking.ranked:
        yield _render_ranked(ranking)
    if ranking.unranked:
        rows = [(each.file, f"{each.verdict} ({each.reason})", each.detail) for each in ranking.unranked]
        header = ("file", "verdict", "why")
        yield section("Not ranked", table("Not ranked", header, rows, kind="said"))
    facts = list(_list_facts(ranking))
    yield section("How it was measured", table("How it was measured", ("what", "value"), facts, kind="facts"))


def _render_ranked(ranking: Ranking) -> Element:
    header = ("kernel", "place", "ms a call", "gain", "time over the fastest", "replicates", "why it left")
    confidence = f"{100 * ranking.confidence:g} %"
    return section(
        f"{len(ranking.ranked)} kernels, the fastest first",
        draw_places(ranking.ranked, ranking.noise_gain),
        table("Places", header, map(_row, ranking.ranked), numbers=range(1, 6), kind="figures"),
        node(
            "p",
            f"Gain is the share of the time of {ranking.accepted} that is saved. Each figure has its "
            f"interval; all of them together hold with a confidence of {confidence}. A place is one more "
            "than how many kernels are proven faster, and = marks one that is shared.",
            class_="note",
        ),
    )


def _row(each: Ranked) -> list[Child]:
    copies = node("small", f"the same bytes: {', '.join(each.copies)}") if each.copies else None
    name = node("span", each.file, node("small", each.configuration), copies)
    figures = (show_percent(each.gain), show_percent(over_best(each)), str(each.replicates))
    return [name, each.label, f"{each.time_ms:.4f}", *figures, each.left or "in it to the end"]


def _list_facts(ranking: Ranking) -> Iterator[tuple[str, str]]:
    if ranking.accepted_ms is not None:
        yield "accepted kernel", f"{ranking.accepted}, {ranking.accepted_ms:.4f} ms a call"
    if ranking.control is not None:
        yield "accepted kernel over itself", f"gain {show_percent(ranking.control)}"
    yield "contrasts", f"{ranking.pairs}, which share the error allowed"
    yield "time taken", f"{ranking.seconds:.0f} s"
    versions = ranking.environment
    for name in versions.__struct_fields__:
        yield name, getattr(versions, name)
