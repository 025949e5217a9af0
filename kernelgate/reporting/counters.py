"""What the GPU counted, as a section in Markdown."""

from collections.abc import Iterator

from kernelgate.performance.explanation.hardware_counters import Counters
from kernelgate.reporting.contents.counters import COLUMNS, NOTE, list_counters
from kernelgate.reporting.markdown import inert, table


def render_counters(counters: Counters | None, gpu: str | None) -> Iterator[str]:
    """Yield the section, or why there is none; nothing where nothing was asked for."""
    if counters is None:
        return
    yield f"## What {inert(gpu or 'the GPU')} counted"
    if counters.missing:
        yield f"{inert(counters.missing)}."
        return
    yield table(COLUMNS, list_counters(counters))
    yield NOTE
