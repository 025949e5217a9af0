"""Value cases a second on a GPU: `python -m benchmarks.value_cases`.

Cases of one to four items with drawn values, as the correctness stage sweeps them, on as many lanes side by
side as it would take. The first cases of each lane start its worker, and are not counted.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.decision import compiled
from kernelgate.baselines.kernels import read_accepted
from kernelgate.compilation.machine_code.compiled_kernel import target_at_hand
from kernelgate.correctness.callers.plan_calls import PlanCaller
from kernelgate.correctness.callers.planner import Planner
from kernelgate.correctness.case_runner import CaseRunner
from kernelgate.correctness.lanes import MAX_LANES, Kind
from kernelgate.correctness.planning.planned_cases import sweep
from kernelgate.correctness.search import CaseSearch
from kernelgate.correctness.stage import one_core_each
from kernelgate.machine.gpu import Gpu, GpuError, find_gpu
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[1]
KERNEL = ROOT / "kernels" / "alexnet_conv1.py"
PINS = (0, 1, 2)
WARM_UP = 24


def rate(gpu: Gpu, settings: Settings, lanes: int, count: int) -> float:
    """Return how many cases so many lanes judge in a second. Raises ValueError for a case that fails."""
    kernel = read_accepted(KERNEL, settings.limits.kernel_file_bytes)
    cases = list(sweep(ALEXNET_CONV1, WARM_UP * lanes + count, PINS, itertools.count(1)))
    with (
        compiled(gpu, settings, kernel) as sandbox,
        Planner(sandbox, kernel, target_at_hand(gpu.capability, None)) as planner,
        ThreadPoolExecutor(lanes) as pool,
        one_core_each(),
    ):
        lane = (Kind.SMALL,)
        runners = [CaseRunner(PlanCaller(planner, "0"), settings.laws, lane=lane) for _ in range(lanes)]
        search = CaseSearch(runners, pool, lambda: None)
        try:
            search.judge_all(cases[: WARM_UP * lanes])
            started = time.monotonic()
            search.judge_all(cases[WARM_UP * lanes :])
            seconds = time.monotonic() - started
        finally:
            for runner in runners:
                runner.close()
    if search.finding is not None:
        raise ValueError(f"a case of the accepted kernel fails: {search.finding}")
    return count / seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each number of lanes; returns 0, or 1 with the cause on standard error."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.value_cases", description=__doc__)
    parser.add_argument("--count", type=int, default=400, help="cases that are timed; default: %(default)s")
    parser.add_argument(
        "--lanes", type=int, nargs="+", default=[1, 2, MAX_LANES], help="lanes side by side; default: 1 2 4"
    )
    options = parser.parse_args(arguments)
    settings = load_settings(ROOT / "pyproject.toml")
    try:
        gpu = find_gpu()
        for lanes in options.lanes:
            print(
                f"{lanes} lanes: {rate(gpu, settings, lanes, options.count):.0f} cases a second", flush=True
            )
    except (GpuError, ValueError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
