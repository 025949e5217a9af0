"""The work of a call, beside what the operation needs: where blocks are padded, and data is fetched twice."""

from kernelgate.compilation.stage import CompileResult
from kernelgate.execution.work import PlanWork

TITLE = "Work of a call"
COLUMNS = ("kernel", "configuration", "products", "times those needed", "bytes asked", "times what must move")

NOTE = (
    "Products: what all programs form, over what the direct algorithm needs. Bytes: what they ask of memory, "
    "masked or not, over each tensor once. What is over 1 is padding, or fetched again. Products under 1 are "
    "missing, or of an algorithm that needs fewer."
)


def list_work(result: CompileResult) -> list[tuple[str, ...]]:
    """Return a row for each configuration whose work could be counted, in the order of COLUMNS."""
    return [
        (name, str(record.config), *_tell(work))
        for name, kernel in (("accepted", result.accepted), ("candidate", result.candidate))
        if kernel is not None
        for record, work in zip(kernel.configs, kernel.works, strict=bool(kernel.works))
        if work is not None
    ]


def _tell(work: PlanWork) -> tuple[str, ...]:
    products = (f"{work.products:.3e}", f"{work.products_ratio:.2f}") if work.products else ("-", "-")
    return *products, f"{work.bytes_asked / 2**20:.1f} MiB", f"{work.bytes_ratio:.1f}"
