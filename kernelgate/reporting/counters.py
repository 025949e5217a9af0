"""What the GPU counted, as a person reads it: one row a launch."""

from collections.abc import Iterator

from kernelgate.performance.explanation.hardware_counters import METRICS, Counters, LaunchCounters
from kernelgate.reporting.markdown import inert, table

COLUMNS = ("SM throughput", "programs", "warps active", "DRAM throughput", "L2 hits")
"""In the order of METRICS; all but the programs in percent."""


def render_counters(counters: Counters | None, gpu: str | None) -> Iterator[str]:
    """Yield the section, or why there is none; nothing where nothing was asked for."""
    if counters is None:
        return
    yield f"## What {inert(gpu or 'the GPU')} counted"
    if counters.missing:
        yield f"{inert(counters.missing)}."
        return
    rows = [
        (str(each.config), launch.kernel, *_numbers(launch))
        for each in counters.configs
        for launch in each.launches
    ]
    yield table(("configuration", "kernel", *COLUMNS), rows)
    yield "Percent of the peak, of the warps that fit, and of the sectors asked of L2; clocks as they were."


def _numbers(launch: LaunchCounters) -> Iterator[str]:
    for name in METRICS:
        value = launch.metrics[name]
        yield f"{value:.0f}" if name == "launch__grid_size" else f"{value:.1f}"
