"""The interval of a gain, and every replicate, against the lines of the 1-2 % rule."""

import math
from xml.etree.ElementTree import Element

from kernelgate.performance.decision.log_ratio import Slowdown
from kernelgate.reporting.contents.timed import replicate_gains
from kernelgate.reporting.html.charts import plot
from kernelgate.reporting.html.charts.axis import Axis, around
from kernelgate.reporting.html.elements import node

ROW = 24
"""Height of a row, in pixels: the interval first, then a replicate each."""


def draw_interval(slowdown: Slowdown, band: tuple[float, float]) -> Element:
    """Return the drawing with what explains it; where the interval has no ends, a sentence that says so."""
    chart = chart_interval(slowdown, band)
    if chart is None:
        return node("p", "No chart: the interval has no ends.")
    noise, proven = (100 * each for each in band)
    return plot.figure(
        chart,
        f"The bar is the interval at {100 * slowdown.confidence:.2f} %, a point one replicate: a fresh set "
        f"of processes. Under {noise:g} % is noise, from {proven:g} % on a gain is kept. A loss counts "
        f"from {noise:g} % on. The ends of the bar decide, never its middle.",
    )


def chart_interval(slowdown: Slowdown, band: tuple[float, float]) -> Element | None:
    """Return the drawing alone; None where the interval has no ends."""
    gains = [100 * gain for gain in replicate_gains(slowdown)]
    ends = [100 * slowdown.gain_low, 100 * slowdown.gain_high]
    noise, proven = (100 * each for each in band)
    if not all(map(math.isfinite, (*gains, *ends))):
        return None
    axis = around([0.0, -noise, proven, *gains, *ends], 0.08)
    height = ROW * (len(gains) + 1)
    marks = [
        *_zones(axis, noise, proven, height),
        *plot.ticks_across(axis, height, " %", "gain over the accepted kernel"),
        *_lines(axis, noise, proven, height),
        *_interval(axis, 100 * slowdown.gain, ends),
    ]
    for number, gain in enumerate(gains, 1):
        y = ROW * (number + 0.5)
        marks.append(plot.text(f"replicate {number}", -10, y + 4, "end"))
        marks.append(node("circle", cx=plot.across(axis, gain), cy=y, r=4, class_="replicate"))
    said = f"Gain {100 * slowdown.gain:.2f} %, interval {ends[0]:.2f} to {ends[1]:.2f} %"
    return plot.draw_chart(height, said, *marks, wide="named")


def _zones(axis: Axis, noise: float, proven: float, height: int) -> list[Element]:
    def zone(low: float, high: float, class_: str) -> Element:
        width = 100 * (axis.share(high) - axis.share(low))
        return node(
            "rect", x=plot.across(axis, low), y=0, width=f"{width:.2f}%", height=height, class_=class_
        )

    return [
        zone(axis.low, -noise, "zone loss"),
        zone(-noise, noise, "zone noise"),
        zone(proven, axis.high, "zone gain"),
    ]


def _lines(axis: Axis, noise: float, proven: float, height: int) -> list[Element]:
    named = (
        (-noise, f"-{noise:g} % loss", "end", -8, "rule loss"),
        (noise, f"{noise:g} % noise", "middle", -24, "rule"),
        (proven, f"{proven:g} % kept", "start" if axis.share(proven) < 0.8 else "end", -8, "rule gain"),
    )
    marks = []
    for value, name, anchor, y, class_ in named:
        x = plot.across(axis, value)
        marks.append(plot.line(x, y + 4, x, height, class_))
        marks.append(plot.text(name, x, y, anchor))
    return marks


def _interval(axis: Axis, estimate: float, ends: list[float]) -> list[Element]:
    low, high = (plot.across(axis, end) for end in ends)
    y = ROW / 2
    return [
        plot.text("interval", -10, y + 4, "end", "tick strong"),
        plot.line(low, y, high, y, "interval"),
        *(plot.line(end, y - 7, end, y + 7, "interval end") for end in (low, high)),
        node("circle", cx=plot.across(axis, estimate), cy=y, r=5, class_="estimate"),
    ]
