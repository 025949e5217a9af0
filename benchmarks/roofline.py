"""How near to the GPU's peaks kernels come: `python -m benchmarks.roofline NAME=REPORT... --output FILE.svg`.

Each report.json is of a judgement with timing; the point NAME is its candidate, and original and cuDNN come
from the last of them.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from kernelgate.operations import find_operation
from kernelgate.operations.declaration.operation import Operation
from kernelgate.performance.result import Performance
from kernelgate.performance.samples import Arm
from kernelgate.reporting.html.charts.roofline import Point, draw_roofline, find_roof
from kernelgate.reporting.html.elements import node
from kernelgate.reporting.html.pictures import WIDTH, stand_alone, title
from kernelgate.reporting.report_files import read_report

HEIGHT = 410
"""Of the drawing, in pixels."""


class RooflineError(ValueError):
    """A report that cannot be drawn; the text says which, and why."""


def read_timing(report: Path) -> tuple[Operation, Performance]:
    """Return the operation and the timing of a report.json."""
    try:
        found = read_report(report)
        if found.timing is None:
            raise ValueError("nothing was timed")
        if found.ada_path:
            raise ValueError("its kernels ran by another GPU's code")
        _require_times(found.timing.time_ms)
        return find_operation(found.operation), found.timing
    except (KeyError, ValueError) as error:
        raise RooflineError(f"{report}: is no report of a timing: {error}") from error


def _require_times(time_ms: dict[str, float]) -> None:
    for arm in (Arm.CANDIDATE, Arm.ORIGINAL, Arm.VENDOR):
        # Written so that NaN fails it too.
        if not 0 < time_ms.get(arm, math.nan) < math.inf:
            raise ValueError(f"the time of {arm} is {time_ms.get(arm)}, allowed: milliseconds above 0")


def gather(named: Sequence[tuple[str, Path]]) -> tuple[Operation, str, int, list[Point]]:
    """Return operation, GPU, batch and points, the slowest first."""
    timings = [(name, *read_timing(report)) for name, report in named]
    machines = {(operation.name, timing.gpu.name, timing.batch) for _, operation, timing in timings}
    if len(machines) > 1:
        raise RooflineError(f"the reports are not of one operation, GPU and batch: {sorted(machines)}")
    _, operation, last = timings[-1]
    points = [_make_point(name, timing.time_ms[Arm.CANDIDATE], True) for name, _, timing in timings]
    points += [
        _make_point(name, last.time_ms[arm], False)
        for name, arm in (("original", Arm.ORIGINAL), ("cuDNN", Arm.VENDOR))
    ]
    points.sort(key=lambda point: -point.time_ms)
    return operation, last.gpu.name, last.batch, points


def _make_point(name: str, time_ms: float, is_candidate: bool) -> Point:
    return Point(name=f"{name}: {time_ms:.3f} ms,", time_ms=time_ms, is_candidate=is_candidate)


def draw(operation: Operation, gpu: str, batch: int, points: Sequence[Point]) -> str:
    """Return the drawing, an SVG file; raises RooflineError for a GPU whose peaks are not known."""
    roof = find_roof(operation, batch, gpu)
    if roof is None:
        raise RooflineError(f"the peaks of {gpu} are not known")
    return stand_alone(
        HEIGHT,
        title(f"{operation.name} on {gpu}, batch {batch}"),
        node("svg", draw_roofline(roof, points), x=70, y=60, width=WIDTH - 100, height=HEIGHT - 110),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the drawing; returns 0, or 1 with the cause on standard error."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.roofline", description=__doc__)
    parser.add_argument(
        "reports", nargs="+", metavar="NAME=REPORT", help="a point's name, and its report.json"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.svg")
    options = parser.parse_args(arguments)
    pairs = [text.partition("=") for text in options.reports]
    if not all(name and report for name, _, report in pairs):
        parser.error("each report is given as NAME=REPORT")
    try:
        drawing = draw(*gather([(name, Path(report)) for name, _, report in pairs]))
        options.output.write_text(drawing, encoding="utf-8")
    except (RooflineError, OSError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
