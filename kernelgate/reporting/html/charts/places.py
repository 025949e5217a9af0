"""How much longer each kernel of a race takes than the fastest: an interval a kernel, against the lines."""

from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element

from kernelgate.reporting.html.charts import plot
from kernelgate.reporting.html.charts.axis import Axis
from kernelgate.reporting.html.charts.rows import ROW, draw_bar, name_row, shorten
from kernelgate.reporting.html.elements import node
from kernelgate.reporting.ranking.lines import over_best
from kernelgate.reporting.ranking.record import Ranked

SHOWN = 0.1
"""What takes longer than the fastest by more than this share is written: the others would shrink."""


def draw_places(ranked: Sequence[Ranked], noise_gain: float) -> Element:
    """Return the drawing with what explains it, the fastest on top."""
    noise = 100 * noise_gain
    axis = _find_axis(ranked, noise)
    height = ROW * len(ranked)
    marks = [
        _zone(axis, noise, height),
        *plot.ticks_across(axis, height, " %", "time over the fastest"),
        *_lines(axis, noise, height),
    ]
    for row, each in enumerate(ranked):
        marks += _row(axis, each, ROW * row)
    said = f"{len(ranked)} kernels by their time over the fastest, {ranked[0].file}"
    return plot.figure(
        plot.draw_chart(height, said, *marks),
        "A bar is the interval of a kernel's time over the fastest one's. All bars hold together. One that "
        f"lies right of 0 % is proven slower. Kernels within {noise:g} % of each other are a tie.",
    )


def _find_axis(ranked: Sequence[Ranked], noise: float) -> Axis:
    drawn = [over_best(each) for each in ranked]
    ends = [100 * end for each in drawn if each.value <= SHOWN for end in (each.low, each.high)]
    low, high = min(0.0, *ends), max(1.25 * noise, *ends)
    room = 0.06 * (high - low)
    return Axis(low=low - room, high=high + room)


def _zone(axis: Axis, noise: float, height: int) -> Element:
    width = 100 * (axis.share(noise) - axis.share(0.0))
    return node(
        "rect", x=plot.across(axis, 0.0), y=0, width=f"{width:.2f}%", height=height, class_="zone noise"
    )


def _lines(axis: Axis, noise: float, height: int) -> Iterator[Element]:
    named = ((0.0, "the fastest", -8, "rule gain"), (noise, f"{noise:g} % noise", -24, "rule"))
    for value, name, y, class_ in named:
        x = plot.across(axis, value)
        yield plot.line(x, y + 4, x, height, class_)
        yield plot.text(name, x, y, "start")


def _row(axis: Axis, each: Ranked, top: int) -> Iterator[Element]:
    yield name_row(f"{each.label}  {shorten(each.file)}", top)
    figure, y = over_best(each), top + 27
    if figure.value > SHOWN:
        yield plot.text(f"+{100 * figure.value:.3g} %, beyond the picture", "100%", y + 4, "end")
    else:
        yield from draw_bar(axis, (figure.low, figure.value, figure.high), y)
