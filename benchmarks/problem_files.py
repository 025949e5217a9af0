"""Which files of a folder the gate can judge by: `python -m benchmarks.problem_files FOLDER`.

Each is looked at as `--problem` does, in a process of its own, within limits of time and memory.
"""

import argparse
import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from kernelgate.operations.problem.order import ExaminationOrder, read_problem
from kernelgate.operations.problem.problem import Problem, ProblemError
from kernelgate.reporting.markdown import table

GIB = 2**30


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each file of the folder, and how many end in which way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gib", type=float, default=16.0, help="memory of one process; default: %(default)s")
    parser.add_argument("--seconds", type=float, default=300.0, help="its time; default: %(default)s")
    options = parser.parse_args(arguments)
    counts: Counter[str] = Counter()
    for file in sorted(options.folder.glob("*.py"), key=_number):
        started = time.monotonic()
        order = ExaminationOrder(file=str(file), memory_bytes=int(options.gib * GIB), seconds=options.seconds)
        kind, seen = look_at(order)
        counts[kind] += 1
        print(f"{file.name}: {kind}, {seen}, {time.monotonic() - started:.0f} s", flush=True)
    print(table(("result", "files"), [(kind, str(count)) for kind, count in counts.most_common()]))
    return 0


def look_at(order: ExaminationOrder) -> tuple[str, str]:
    """Return how looking at a file ends: an operation of which kind, or the reason why it is none."""
    try:
        problem = read_problem(order)
    except ProblemError as error:
        return f"problem-{error.kind}", error.detail
    return ("N is free" if problem.output[:1] == ("N",) else "fixed sizes"), _describe(problem)


def _describe(problem: Problem) -> str:
    tensors = ", ".join(
        f"{each.name} {_shape(each.shape)}" for each in (*problem.inputs, *problem.parameters)
    )
    free = f", N up to {problem.measured}" if problem.measured > 1 else ""
    items = ", items independent" if problem.rows else ""
    without = f", without {' '.join(problem.without)}" if problem.without else ""
    return f"{tensors} -> {_shape(problem.output)}, {problem.math}{free}{items}{without}"


def _shape(extents: Sequence[object]) -> str:
    return f"[{', '.join(map(str, extents))}]"


def _number(file: Path) -> tuple[int, str]:
    found = re.match(r"\d+", file.name)
    return (int(found.group()) if found else 0), file.name


if __name__ == "__main__":
    raise SystemExit(main())
