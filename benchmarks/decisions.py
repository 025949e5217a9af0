"""Makes decisions of the performance stage one after the other: `python -m benchmarks.decisions`.

What they cost, and with `--bursts` what becomes of them while another process loads the GPU now and then.
With several candidates they take turns, so that a drift of the machine meets all of them.
"""

import argparse
import itertools
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from unittest.mock import patch

from benchmarks.decision import Decision, compiled, decide
from benchmarks.variants import EXTRA, make_variant
from kernelgate.machine.gpu import GpuError, find_gpu
from kernelgate.performance import replicate
from kernelgate.performance.samples import Arm
from kernelgate.sandbox.worker_process import live_pids
from kernelgate.settings import load_settings

ROOT = Path(__file__).resolve().parents[1]
BURSTS = """
import random, time, torch
a = torch.randn(4096, 4096, device="cuda")
while True:
    end = time.monotonic() + random.uniform(0.02, 2.0)
    while time.monotonic() < end:
        for _ in range(4):
            a @ a
        torch.cuda.synchronize()
    time.sleep(random.uniform(0.05, 4.0))
"""
"""A program of somebody else's: a burst of matrix products, then a pause."""


@contextmanager
def load_in_bursts(unseen: bool) -> Iterator[None]:
    """Have another process load the GPU meanwhile; `unseen` as if NVML did not list it."""
    with subprocess.Popen([sys.executable, "-c", BURSTS]) as loader:
        known = {loader.pid} if unseen else set()
        try:
            with patch.object(replicate, live_pids.__name__, lambda: live_pids() | known):
                yield
        finally:
            loader.kill()


def describe(arm: str, decision: Decision) -> str:
    """Return the decision on an arm in a line."""
    told = "" if decision.told_gain is None else f"{100 * decision.told_gain:+.2f} %"
    cost = f"{decision.seconds:.1f} s, {decision.gpu_seconds:.1f} s on the GPU, {decision.attempts} attempts"
    return f"{arm}: {decision.outcome} {told} after {decision.replicates}: {cost}; {decision.detail}"


def render(made: Sequence[tuple[str, Decision]]) -> Iterator[str]:
    """Yield the lines of a summary; each decision has the name of its arm."""
    decisions = [decision for _, decision in made]
    for arm in dict.fromkeys(arm for arm, _ in made):
        outcomes = Counter(str(decision.outcome) for name, decision in made if name == arm)
        yield f"{arm}: " + ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    wall = statistics.median(each.seconds for each in decisions)
    gpu = statistics.median(each.gpu_seconds for each in decisions)
    yield f"median of {len(decisions)}: {wall:.1f} s of wall time, {gpu:.1f} s of it with samples on the GPU"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line a decision and a summary; returns 0, or 1 with the cause on standard error."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decisions", description=__doc__)
    parser.add_argument("--count", type=int, default=4, help="how many; default: %(default)s")
    parser.add_argument("--seconds", type=float, default=math.inf, help="begin no other after so many")
    parser.add_argument(
        "--arm", choices=EXTRA, nargs="+", default=[Arm.CANDIDATE], help="the candidates; default: an A/A one"
    )
    parser.add_argument(
        "--bursts",
        choices=("seen", "unseen"),
        help="load the GPU meanwhile, unseen: NVML does not tell",
    )
    options = parser.parse_args(arguments)
    if options.count < 1:
        parser.error(f"--count {options.count}: allowed 1 or more")
    settings, started = load_settings(ROOT / "pyproject.toml"), time.monotonic()
    made: list[tuple[str, Decision]] = []
    bursts = load_in_bursts(options.bursts == "unseen") if options.bursts else nullcontext()
    with tempfile.TemporaryDirectory() as folder, bursts:
        kernels = {arm: make_variant(arm, Path(folder)) for arm in (Arm.ACCEPTED, *options.arm)}
        try:
            gpu = find_gpu()
            with compiled(gpu, settings, *kernels.values()) as sandbox:
                for arm in itertools.islice(itertools.cycle(options.arm), options.count):
                    if made and time.monotonic() - started > options.seconds:
                        break
                    decision = decide(sandbox, gpu, settings, kernels[arm], kernels[Arm.ACCEPTED])
                    made.append((arm, decision))
                    print(describe(*made[-1]), flush=True)
        except GpuError as error:
            print(f"benchmarks: {error}", file=sys.stderr)
            return 1
    print(*render(made), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
