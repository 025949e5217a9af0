"""How near to a GPU's peaks kernels come (Williams, Waterman and Patterson, "Roofline", CACM 2009).

Roofs are the data sheet's. The intensity is the operation's own, so all kernels stand above one place: every
byte of x, weights and output is moved once, every product made once.
"""

import math
from collections.abc import Sequence
from xml.etree.ElementTree import Element

import msgspec

from kernelgate.operations.declaration.operation import Operation
from kernelgate.performance.roofline import find_peaks
from kernelgate.reporting.html.charts import plot
from kernelgate.reporting.html.charts.axis import Axis
from kernelgate.reporting.html.elements import node

TERA = 1e12
HEIGHT = 300
INTENSITIES = Axis(low=4.0, high=4096.0, logarithmic=True)
"""The ends of the drawing, in FLOP a byte."""

LABEL_GAP = 17
LABEL_AT = 26
"""Pixels between labels, and from a point to its label."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One kernel: its name, and the time of a call in ms; `is_candidate` is the one that is looked for."""

    name: str
    time_ms: float
    is_candidate: bool = False


class Roof(msgspec.Struct, frozen=True, kw_only=True):
    """A GPU's peaks, and where an operation lies under them."""

    gpu: str
    arithmetic: str
    bytes_per_s: float
    flops_per_s: float
    flops: float
    intensity: float

    @property
    def reached(self) -> float:
        """FLOP a second that the operation can reach there."""
        return min(self.intensity * self.bytes_per_s, self.flops_per_s)

    def speed(self, time_ms: float) -> float:
        """Return the FLOP a second of a call."""
        return self.flops / (time_ms / 1000)

    def share(self, time_ms: float) -> float:
        """Return how much of the roof a call reaches."""
        return self.speed(time_ms) / self.reached


def find_roof(operation: Operation, batch: int, gpu: str) -> Roof | None:
    """Return the roof over the operation on that GPU, None if its peaks are not known."""
    peaks = find_peaks(gpu, operation.dtype)
    if peaks is None:
        return None
    flops = operation.flops(batch)
    return Roof(
        gpu=gpu,
        arithmetic="TF32" if operation.dtype == "float32" else operation.dtype,
        bytes_per_s=peaks[0],
        flops_per_s=peaks[1],
        flops=flops,
        intensity=flops / operation.min_bytes(batch),
    )


def draw_roofline(roof: Roof, points: Sequence[Point]) -> Element:
    """Return the drawing."""
    named = sorted(points, key=lambda point: point.time_ms)
    speeds = [roof.speed(point.time_ms) / TERA for point in named]
    top = roof.flops_per_s / TERA
    axis = Axis(low=min(*speeds, top / 20) / 2, high=max(*speeds, top) * 2.5, logarithmic=True)
    x = plot.across(INTENSITIES, roof.intensity)
    marks = [
        *plot.ticks_up(axis, HEIGHT, "TFLOP a second"),
        *plot.ticks_across(INTENSITIES, HEIGHT, "", "FLOP for each byte that must move"),
        *_draw_roof(roof, axis),
        plot.line(x, 0, x, HEIGHT, "under"),
        node("svg", *_draw_points(roof, axis, named), x=x, y=0, class_="points"),
    ]
    said = ", ".join(f"{point.name} {100 * roof.share(point.time_ms):.0f} %" for point in named)
    return plot.draw_chart(HEIGHT, f"Of what {roof.gpu} can reach: {said}", *marks)


def _draw_roof(roof: Roof, axis: Axis) -> list[Element]:
    top, corner = roof.flops_per_s / TERA, roof.flops_per_s / roof.bytes_per_s
    start = max(INTENSITIES.low, axis.low * TERA / roof.bytes_per_s)
    at_start = plot.up(axis, start * roof.bytes_per_s / TERA, HEIGHT)
    y, x = plot.up(axis, top, HEIGHT), plot.across(INTENSITIES, corner)
    middle = 0.8 * math.sqrt(start * corner)  # left of the line
    return [
        plot.line(plot.across(INTENSITIES, start), at_start, x, y, "roof"),
        plot.line(x, y, "100%", y, "roof"),
        plot.text(
            f"{roof.bytes_per_s / TERA:g} TB/s ", plot.across(INTENSITIES, middle), (at_start + y) / 2, "end"
        ),
        plot.text(f"{top:g} TFLOP/s, {roof.arithmetic}", "100%", y - 8, "end"),
    ]


def _draw_points(roof: Roof, axis: Axis, points: Sequence[Point]) -> list[Element]:
    """Return points and their labels; the fastest comes first and lies highest."""
    heights = [plot.up(axis, roof.speed(point.time_ms) / TERA, HEIGHT) for point in points]
    marks = []
    for point, y, label_y in zip(points, heights, plot.spread(heights, LABEL_GAP, HEIGHT - 8), strict=True):
        kind = "candidate" if point.is_candidate else "other"
        marks += [
            node("line", x1=0, y1=y, x2=LABEL_AT - 4, y2=round(label_y, 1), class_="leader"),
            node("circle", cx=0, cy=y, r=5 if point.is_candidate else 4, class_=f"arm {kind}"),
            plot.text(
                f"{point.name} {100 * roof.share(point.time_ms):.0f} %",
                LABEL_AT,
                label_y + 4,
                "start",
                f"tick {kind}",
            ),
        ]
    return marks
