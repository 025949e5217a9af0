"""Judges hundreds of candidates in one process, and tells what it holds: `python -m benchmarks.soak`.

Candidates are a few kernel files, each time with other bytes, so that none is known before: one that breaks
its form, one that does not compile, wrong ones, and now and then a right one. Without a GPU.
"""

import argparse
import gc
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

import kernelgate
from kernelgate.sandbox.scratch import PREFIX, roomy_folder

ROOT = Path(__file__).resolve().parents[1]
KERNEL = ROOT / "kernels" / "softmax_original.py"
RIGHT_EACH, WRONG_EACH = 50, 5
"""One in so many is right, one in so many wrong; the others are refused before anything runs."""


class Held(NamedTuple):
    """What the process holds after so many judgements; `scratch` counts folders of workers."""

    judged: int
    resident_mib: float
    children: int
    threads: int
    files: int
    scratch: int


def make_candidate(number: int) -> tuple[str, str]:
    """Return the source of a candidate and the verdict that it must get."""
    source = f"{KERNEL.read_text(encoding='utf-8')}\n# {number}\n"
    if number % RIGHT_EACH == 0:
        return source, "NOT_MEASURED"
    if number % WRONG_EACH == 0:
        return source.replace("tl.exp(shifted)", "tl.exp(shifted) + 0.01"), "WRONG"
    if number % 2:
        return f"{source}\nimport sys\n\nWORDS = sys.argv\n", "FORBIDDEN"
    return source.replace("tl.exp(", "tl.no_such_function("), "WRONG"


def measure(judged: int) -> Held:
    """Return what this process holds now."""
    gc.collect()
    own = psutil.Process()
    return Held(
        judged=judged,
        resident_mib=own.memory_info().rss / 2**20,
        children=len(own.children(recursive=True)),
        threads=own.num_threads(),
        files=own.num_fds(),
        scratch=len(list(roomy_folder().glob(f"{PREFIX}{own.pid}-*"))),
    )


def soak(count: int, step: int) -> Iterator[Held]:
    """Yield what is held, every so many judgements; raises ValueError for a verdict that is not right."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            file = Path(folder) / f"softmax_{number}.py"
            source, expected = make_candidate(number)
            file.write_text(source, encoding="utf-8")
            report = kernelgate.judge(
                file, operation="softmax", stage="open", measure=False, report_dir=Path(folder) / "report"
            )
            if report.verdict != expected:
                raise ValueError(
                    f"candidate {number} is {report.verdict}, expected {expected}: {report.detail}"
                )
            file.unlink()
            if number % step == step - 1:
                yield measure(number + 1)


def main(words: list[str]) -> int:
    """Print a row every so many judgements."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--step", type=int, default=25)
    options = parser.parse_args(words)
    print("judged   MiB  children  threads  files  scratch  seconds")
    started = time.monotonic()
    for held in soak(options.count, options.step):
        row = (
            f"{held.judged:6d} {held.resident_mib:5.0f} {held.children:9d} {held.threads:8d} {held.files:6d}"
        )
        print(f"{row} {held.scratch:8d} {time.monotonic() - started:8.0f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
