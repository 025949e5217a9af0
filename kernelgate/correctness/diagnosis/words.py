"""A diagnosis in words and as a picture, in lines that drive no terminal and are no Markdown."""

from collections.abc import Iterator

from kernelgate.correctness.result import Diagnosis
from kernelgate.operations.faults.fault_map import FaultMap, shrink_rows

SCRIPT_NAME = "reproduce.py"
KEY = ". right, # wrong, ? never written"


def tell(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    """Yield what is told, each with its name: where it is wrong, what that looks like, how to see it."""
    if (found := diagnosis.map) is not None:
        yield "wrong elements", f"{found.wrong} of {found.compared} compared: {found.where}"
    if (guess := diagnosis.guess) is not None:
        yield "looks like", f"{guess.kind}: {guess.because}"
    if diagnosis.script:
        yield "reproduce", f"{SCRIPT_NAME} in the report's folder shows it with PyTorch and the kernel file"
    elif diagnosis.no_script:
        yield "reproduce", diagnosis.no_script


def draw(found: FaultMap, tall: int = 1, wide: int = 1) -> list[str]:
    """Return a picture of a plane, with a line that explains it; a character is so many rows and columns."""
    size = f"{len(found.rows)} x {max(map(len, found.rows), default=0)}"
    scale = f"; a character is {tall} rows x {wide} columns" if tall * wide > 1 else ""
    return [f"{found.plane} ({size}): {KEY}{scale}", *shrink_rows(found.rows, tall, wide)]
