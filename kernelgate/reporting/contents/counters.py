"""What the GPU counted while the candidate ran, a row for each launch."""

from collections.abc import Iterator

from kernelgate.performance.explanation.hardware_counters import METRICS, Counters, LaunchCounters

COLUMNS = (
    "configuration",
    "program",
    "SM throughput",
    "programs",
    "warps active",
    "DRAM throughput",
    "L2 hits",
)
"""All figures but the number of programs are in percent."""

NOTE = "Percent of the peak, of the warps that fit, and of the sectors asked of L2; clocks as they were."


def list_counters(counters: Counters) -> list[tuple[str, ...]]:
    """Return the rows, in the order of COLUMNS; none where nothing was read."""
    return [
        (str(each.config), launch.kernel, *_numbers(launch))
        for each in counters.configs
        for launch in each.launches
    ]


def _numbers(launch: LaunchCounters) -> Iterator[str]:
    for name in METRICS:
        value = launch.metrics[name]
        yield f"{value:.0f}" if name == "launch__grid_size" else f"{value:.1f}"
