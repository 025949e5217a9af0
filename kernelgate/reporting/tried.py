"""What the correctness stage tried, as the report shows it."""

from collections.abc import Sequence

from kernelgate.correctness.result import Count, Tried
from kernelgate.reporting.markdown import table


def render_tried(tried: Tried, where: str) -> str:
    """Return the coverage table: for each kind of thing how many cases tried it."""
    gpu = ", ".join(tried.gpu_only)
    rows = [
        ("batches", _listed(tried.batches)),
        ("values", _listed(tried.values)),
        ("magnitudes of x", "; ".join(f"{each.size}: {each.x}" for each in tried.magnitudes)),
        ("magnitudes of the weight", "; ".join(f"{each.size}: {each.weight}" for each in tried.magnitudes)),
        ("layouts of x", _listed(tried.layouts)),
        ("relations", _listed(tried.relations)),
        ("configurations", _listed(tried.configurations)),
        ("seen on a GPU only", gpu if where == "GPU" else f"not seen here: {gpu}"),
    ]
    return "### What was tried\n\n" + table(("what", "cases"), rows)


def _listed(counts: Sequence[Count]) -> str:
    return "; ".join(f"{each.what}: {each.cases}" for each in counts)
