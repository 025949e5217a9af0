"""How near to the GPU's peaks kernels come: `python -m benchmarks.roofline NAME=REPORT... --output FILE.svg`.

Each report.json is of a judgement with timing; the point NAME is its candidate, and original and cuDNN come
from the last of them. Roofs are the data sheet's (Williams, Waterman and Patterson, "Roofline", CACM 2009).
The intensity is the operation's own: every byte of x, weights and output moved once, every product made once.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import msgspec
from matplotlib.figure import Figure

from kernelgate.operations import find_operation
from kernelgate.operations.declaration.operation import Operation
from kernelgate.performance.result import Performance
from kernelgate.performance.roofline import find_peaks
from kernelgate.performance.samples import Arm
from kernelgate.reporting.report_files import read_report

TERA = 1e12
INTENSITIES = (4.0, 1024.0)
"""The ends of the drawing, in FLOP a byte."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One kernel: its name, and the time of a call at the measured batch."""

    name: str
    time_ms: float


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
    points = [Point(name=name, time_ms=timing.time_ms[Arm.CANDIDATE]) for name, _, timing in timings]
    points += [
        Point(name=name, time_ms=last.time_ms[arm])
        for name, arm in (("original", Arm.ORIGINAL), ("cuDNN", Arm.VENDOR))
    ]
    points.sort(key=lambda point: -point.time_ms)
    return operation, last.gpu.name, last.batch, points


def draw(operation: Operation, gpu: str, batch: int, points: Sequence[Point]) -> Figure:
    """Return the drawing; raises RooflineError for a GPU whose peaks are not known."""
    peaks = find_peaks(gpu)
    if peaks is None:
        raise RooflineError(f"the peaks of {gpu} are not known")
    bytes_per_s, flops_per_s = peaks
    flops = operation.flops(batch)
    intensity = flops / operation.min_bytes(batch)
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    corner = flops_per_s / bytes_per_s
    roof = [(x, min(x * bytes_per_s, flops_per_s) / TERA) for x in (INTENSITIES[0], corner, INTENSITIES[1])]
    axes.plot(
        *zip(*roof, strict=True),
        color="black",
        label=f"{gpu}: {bytes_per_s / TERA:g} TB/s, {flops_per_s / TERA:g} TFLOP/s",
    )
    reached = min(intensity * bytes_per_s, flops_per_s)
    axes.axvline(intensity, color="grey", linewidth=0.8, linestyle=":")
    for point in points:
        speed = flops / (point.time_ms / 1000)
        label = f"{point.name}: {point.time_ms:.3f} ms, {100 * speed / reached:.0f} % of the roof"
        axes.plot([intensity], [speed / TERA], marker="o", linestyle="none", label=label)
    axes.set(
        xscale="log", yscale="log", xlim=INTENSITIES, ylim=(flops_per_s / TERA / 200, 2 * flops_per_s / TERA)
    )
    axes.set(xlabel="FLOP a byte", ylabel="TFLOP/s", title=f"{operation.name}, N = {batch}")
    axes.legend(loc="lower right", fontsize="small")
    return figure


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
        figure = draw(*gather([(name, Path(report)) for name, _, report in pairs]))
        # Text stays text, and the same figures give the same file.
        with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "kernelgate"}):
            figure.savefig(options.output, format="svg", metadata={"Date": None})
    except (RooflineError, OSError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
