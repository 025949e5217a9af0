"""What the correctness stage found: errors, laws, the failing case and what was tried."""

from collections.abc import Iterator, Sequence

from kernelgate.correctness.diagnosis.words import tell
from kernelgate.correctness.result import Correctness, Count, Tried

Row = tuple[str, str]

FLOAT32_RATIO = 0.1
"""An error so far below TF32's own, which is 1, is float32's: that is about 0.002."""


def list_facts(result: Correctness) -> Iterator[Row]:
    """Yield how much was tried, the worst errors, and the smallest failing case, each with its name."""
    yield "cases", f"{result.examples} on the {result.where}, {result.calls} calls; profile {result.profile}"
    yield "seed of the draws", str(result.entropy)
    if result.calls:  # or no answer came to be measured
        yield "worst element", f"{result.bound_fraction:.2g} of its hard bound"
        yield "rms error", f"{result.error_ratio:.2f} times the declared math's own"
    if result.vendor_ratio is not None:
        in_float32 = ": it took float32 here" if result.vendor_ratio < FLOAT32_RATIO else ""
        yield "vendor's rms error", f"{result.vendor_ratio:.2g} times the declared math's own{in_float32}"
    yield from list_finding(result)


def list_finding(result: Correctness) -> Iterator[Row]:
    """Yield what is known of the failing case; nothing where there is none."""
    finding = result.finding
    if finding is None:
        return
    yield "broken law", finding.law
    if finding.alone:
        yield "smallest failing case", str(finding.case)
        yield "replay", f"--replay {finding.case.replay}"
        yield from tell(finding.diagnosis) if finding.diagnosis else ()


def list_laws(result: Correctness) -> list[tuple[str, str, str, str]]:
    """Return each law: its name, how it ended, in how many cases, what it says or why it was not tried."""
    return [(line.law, line.status, str(line.cases), line.note or line.says) for line in result.laws]


def count_laws(result: Correctness) -> str:
    """Return how many laws held, were broken and were not tried, in words."""
    statuses = [line.status for line in result.laws]
    counts = [(statuses.count(status), status) for status in ("held", "broken", "not tried")]
    return ", ".join(f"{number} {status}" for number, status in counts if number)


def group_tried(tried: Tried) -> list[tuple[str, Sequence[Count]]]:
    """Return the kinds of things that were tried, each with the number of cases that tried it."""
    thinned = [
        Count(what=f"{few.programs} of {few.of} programs ran", cases=few.cases)
        for few in [tried.thinned]
        if few is not None
    ]
    weights = [Count(what=each.size, cases=each.weight) for each in tried.magnitudes]
    return [
        ("batches", tried.batches),
        ("values", tried.values),
        ("magnitudes of x", [Count(what=each.size, cases=each.x) for each in tried.magnitudes]),
        # An operation may have no matrix and no filters.
        *([("magnitudes of the weight", weights)] if any(each.cases for each in weights) else []),
        ("layouts of x", tried.layouts),
        ("relations", tried.relations),
        ("configurations", tried.configurations),
        *([("too slow to interpret for more", thinned)] if thinned else []),
    ]


def name_gpu_laws(tried: Tried, where: str) -> Row:
    """Return the laws that only a machine with a GPU can try, and whether this was one."""
    laws = ", ".join(tried.gpu_only)
    return "seen on a GPU only", laws if where == "GPU" else f"not seen here: {laws}"
