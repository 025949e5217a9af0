"""A ranking in the lines of a terminal: the table, what has no place, and the answer last."""

from kernelgate.reporting.ranking.record import Estimate, Ranked, Ranking
from kernelgate.reporting.terminal import first_line, printable

HEADER = ("place", "time", "gain over the accepted kernel", "time over the best", "replicates", "file")


def render_ranking(ranking: Ranking) -> list[str]:
    """Return the table, the fastest first, and beneath it what is not ranked."""
    lines = []
    if ranking.ranked:
        rows = [HEADER, *map(list_row, ranking.ranked)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines += [f"  {'  '.join(map(str.ljust, row, widths))}".rstrip() for row in rows]
    for each in ranking.unranked:
        why = f"{each.verdict} ({each.reason})"
        lines.append(f"  not ranked  {why}  {printable(each.file)}: {first_line(each.detail)}")
    return lines


def list_row(each: Ranked) -> tuple[str, ...]:
    """Return what a table shows of a kernel, in the order of HEADER."""
    return (
        each.label,
        f"{each.time_ms:.4f} ms",
        show_percent(each.gain),
        show_percent(over_best(each)),
        str(each.replicates),
        printable(each.file),
    )


def over_best(each: Ranked) -> Estimate:
    """Return by what share of the fastest kernel's time this one takes longer."""
    ratio = each.to_best
    return Estimate(value=ratio.value - 1, low=ratio.low - 1, high=ratio.high - 1)


def show_percent(figure: Estimate) -> str:
    """Return a fraction with its interval, in percent; without one where it has no width."""
    if figure.low == figure.high:
        return f"{100 * figure.value:z.2f} %"
    return f"{100 * figure.value:z.2f} % [{100 * figure.low:z.2f}, {100 * figure.high:z.2f}]"


def render_answer(ranking: Ranking) -> str:
    """Return the line that names the fastest, or those that tie, or why there is none."""
    first = [printable(each.file) for each in ranking.ranked if each.place == 1]
    if ranking.ended == "one-left":
        gain = show_percent(ranking.ranked[0].gain)
        return f"fastest: {first[0]}, gain {gain} over {printable(ranking.accepted)}"
    if ranking.ended == "tie":
        return f"tie: {' and '.join(first)} differ by less than {100 * ranking.noise_gain:g} %"
    if ranking.ended == "unresolved":
        return f"tie, not resolved: {' and '.join(first)}: {ranking.detail}"
    if ranking.ended == "unstable":
        return f"UNSTABLE: the ranking is not to be trusted: {printable(ranking.detail)}"
    return f"nothing is ranked: {printable(ranking.detail)}"


def name_word(ranking: Ranking) -> str:
    """Return the word that a page begins with."""
    words = {"one-left": "FASTEST", "tie": "TIE", "unresolved": "NOT RESOLVED", "unstable": "UNSTABLE"}
    return words.get(ranking.ended, "NOT RANKED")
