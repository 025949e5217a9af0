"""The timing: the interval, every contrast, how near to the card's peaks, and the time of each arm."""

import math
from xml.etree.ElementTree import Element

from kernelgate.operations import OPERATIONS, find_operation
from kernelgate.performance.result import Performance
from kernelgate.performance.samples import Arm
from kernelgate.reporting.contents.timed import ARM_NAMES, list_arms, list_contrasts, list_notes
from kernelgate.reporting.html.charts.interval import draw_interval
from kernelgate.reporting.html.charts.plot import figure
from kernelgate.reporting.html.charts.roofline import Point, Roof, draw_roofline, find_roof
from kernelgate.reporting.html.elements import Child, listed, node, section, table

DEFINITION = (
    "Gain is the share of a call's time that is saved: 1 - t(candidate) / t(other). "
    "A gain of 50 % is twice as fast."
)


def render_speed(result: Performance, operation: str) -> Element:
    """Return the section; the roofline is left out where the card's peaks are not known."""
    code_of = " by an RTX 4090's code" if result.ada_path else ""
    interval = f"interval at {100 * result.candidate.confidence:.2f} %"
    roof = None if result.ada_path else _find_roof(result, operation)
    return section(
        f"Speed{code_of} on {result.gpu.name}, batch {result.batch}",
        draw_interval(result.candidate, result.band),
        node("p", DEFINITION, class_="note"),
        table(
            "Gains",
            ("contrast", "gain", interval, "gain in each replicate"),
            list_contrasts(result),
            numbers=(1, 2),
            kind="figures replicates",
        ),
        _draw_roofline(roof, result) if roof else None,
        _list_arms(roof, result),
        listed(list_notes(result)),
    )


def _find_roof(result: Performance, operation: str) -> Roof | None:
    if operation not in OPERATIONS or result.batch <= 0:
        return None
    return find_roof(find_operation(operation), result.batch, result.gpu.name)


def _draw_roofline(roof: Roof, result: Performance) -> Element | None:
    points = [
        Point(
            name=ARM_NAMES[arm], time_ms=result.time_ms.get(arm, math.nan), is_candidate=arm is Arm.CANDIDATE
        )
        for arm in Arm
        if arm is not Arm.CONTROL
    ]
    points = [point for point in points if 0 < point.time_ms < math.inf]
    if not points:
        return None
    return figure(
        draw_roofline(roof, points),
        f"Roofline of {roof.gpu}, both axes logarithmic. The line is what its memory and its tensor cores "
        "can reach; the share beside a kernel is of that line. Each kernel counts the products and bytes "
        "that the operation needs, not those that it makes.",
    )


def _list_arms(roof: Roof | None, result: Performance) -> Element:
    rows: list[list[Child]] = []
    for name, time_ms, chosen in list_arms(result):
        speed: list[Child] = []
        if roof is not None:
            known = 0 < time_ms < math.inf
            speed = [f"{roof.speed(time_ms) / 1e12:.1f}" if known else "-"]
            speed.append(f"{100 * roof.share(time_ms):.0f} %" if known else "-")
        rows.append([name, f"{time_ms:.4f}", *speed, chosen])
    of_roof = ("TFLOP/s", "of the roof") if roof is not None else ()
    header = ("kernel", "ms a call", *of_roof, "configuration that ran")
    return table("Time of each kernel", header, rows, numbers=range(1, 2 + len(of_roof)), kind="figures")
