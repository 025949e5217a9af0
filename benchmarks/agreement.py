"""Holds launch plans against the files they are of, and the interpreter against the GPU.

`python -m benchmarks.agreement` does it for the kernels of this repository, `--look-alikes` for the honest
files of the planted corpus too.

- A file is called as users call it: its answers must be those of one of its plans, bit for bit.
- A plan is run on the GPU and on the interpreter: where sums are exact, both must give the same bits.
  Elsewhere the order of sums may tell them apart.
- `--times` holds the time of a plan against that of its file.
"""

import argparse
import importlib
import itertools
import multiprocessing
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.file_arm import Times, time_both
from kernelgate import protocol
from kernelgate.compilation.compiler import compile_kernel
from kernelgate.compilation.machine_code.compiled_kernel import target_at_hand
from kernelgate.compilation.recording import UnplannedError
from kernelgate.correctness.callers.plan_calls import PlanCaller
from kernelgate.correctness.callers.planner import Planner
from kernelgate.correctness.callers.use_calls import UseCaller
from kernelgate.correctness.calls import Call, Run
from kernelgate.correctness.planning.programs import running_pins
from kernelgate.execution.plan_files import plan_file
from kernelgate.kernel_file.source import KernelFile, read_kernel
from kernelgate.machine.gpu import Gpu, GpuError, find_gpu, visible_gpus
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.performance.decision.log_ratio import summarise
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.sandbox.worker_process import WorkerFault
from kernelgate.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[1]
KERNELS = sorted((ROOT / "kernels").glob("*.py"))
EXACT, ORDINARY = "integer", "normal"
SEED = 20_120_930
FEW, MEASURED = 2, ALEXNET_CONV1.measured_batch
PROCESSES = 4
AT_ONCE = 4
HEAD = (
    *("file, configuration", "the file's bits", "integers, interpreted", "normal values, interpreted"),
    *("apart", "file, ms", "plan, ms", "file over plan"),
)


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """One configuration of a file; a field is None where that could not be tried, and `why` says so.

    `exact_bits` and `ordinary_bits` are shares of elements with the same bits on the GPU and in the
    interpreter, `apart` is the largest difference over the largest value.
    """

    file: str
    config: str
    file_bits: bool | None = None
    exact_bits: float | None = None
    ordinary_bits: float | None = None
    apart: float | None = None
    why: str = ""
    times: tuple[Times, ...] = ()


def compare(file: Path, gpu: Gpu, settings: Settings, *, with_times: bool) -> list[Agreement]:
    """Return what each different program of a file shows, or the one thing that ended it."""
    kernel = read_kernel(file, settings.limits.kernel_file_bytes)
    sandbox = Sandbox(ALEXNET_CONV1, settings.limits)
    try:
        found = list(_compare(kernel, gpu, sandbox))
        return [_timed(each, kernel, sandbox) for each in found] if with_times else found
    except (WorkerFault, UnplannedError) as error:
        return [Agreement(file=file.stem, config="-", why=str(error))]
    finally:
        sandbox.close()


def _compare(kernel: KernelFile, gpu: Gpu, sandbox: Sandbox) -> Iterator[Agreement]:
    target = target_at_hand(gpu.capability, None)
    (compiled,) = compile_kernel(sandbox, kernel, [target], workers=4)
    with ExitStack() as stack:
        planner = stack.enter_context(Planner(sandbox, kernel, target, 2))
        on_gpu, interpreted = PlanCaller(planner, visible_gpus()[0]), PlanCaller(planner)
        file = UseCaller(on_gpu, running_pins(compiled))
        for caller in (on_gpu, interpreted, file):
            stack.callback(caller.close)
        as_planned = all(file.run(_call(ORDINARY, batch, None)).as_planned for batch in (FEW, MEASURED))
        for pin in running_pins(compiled):
            config = str(compiled.configs[pin].config)
            found = Agreement(file=Path(kernel.path).stem, config=config, file_bits=as_planned)
            yield _against_interpreter(found, on_gpu, interpreted, pin)


def _timed(found: Agreement, kernel: KernelFile, sandbox: Sandbox) -> Agreement:
    """Return the same with the times of fresh processes: code lies elsewhere in each."""
    plans = {str(each.stored.plan.config): each for each in sandbox.timed_plans[kernel.sha256]}
    timed = plans.get(found.config) or plans[str(None)]
    call = protocol.PlannedCall(plan=str(plan_file(timed.stored)), prepared=timed.prepared)
    ask = partial(time_both, str(Path(kernel.path).resolve()), call, timed.stored.plan.config)
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        return msgspec.structs.replace(found, times=tuple(pool.map(ask, range(PROCESSES), chunksize=1)))


def _call(family: str, batch: int, pin: int | None) -> Call:
    return Call(recipe=Recipe(family=family, seed=SEED, batch=batch), pin=pin)


def _against_interpreter(
    found: Agreement, on_gpu: PlanCaller, interpreted: PlanCaller, pin: int
) -> Agreement:
    try:
        runs = {
            family: [caller.run(_call(family, FEW, pin)) for caller in (on_gpu, interpreted)]
            for family in (EXACT, ORDINARY)
        }
    except WorkerFault as fault:
        return msgspec.structs.replace(found, why=str(fault))
    return msgspec.structs.replace(
        found,
        exact_bits=_same_share(*runs[EXACT]),
        ordinary_bits=_same_share(*runs[ORDINARY]),
        apart=_apart(*runs[ORDINARY]),
    )


def _same_share(one: Run, other: Run) -> float:
    assert one.bits is not None
    assert other.bits is not None
    return float((one.bits == other.bits).mean())


def _apart(one: Run, other: Run) -> float:
    assert one.bits is not None
    assert other.bits is not None
    here, there = (bits.view(np.float32).astype(np.float64) for bits in (one.bits, other.bits))
    return float(np.abs(here - there).max() / np.abs(here).max())


def render_head() -> str:
    """Return the first two lines of a table in Markdown."""
    return f"| {' | '.join(HEAD)} |\n{'|---' * len(HEAD)}|"


def render(each: Agreement) -> str:
    """Return a row of it."""
    cells = [
        f"{each.file}, {each.config}",
        {True: "the plan's", False: "others", None: "-"}[each.file_bits],
        *map(_percent, (each.exact_bits, each.ordinary_bits)),
        each.why or "-" if each.apart is None else f"{each.apart:.1e}",
        *_time_cells(each.times),
    ]
    return f"| {' | '.join(cells)} |"


def _percent(share: float | None) -> str:
    return "-" if share is None else "the same bits" if share == 1 else f"{100 * share:.2f} % of bits"


def _time_cells(times: Sequence[Times]) -> tuple[str, str, str]:
    if not times:
        return "-", "-", "-"
    told = summarise([each.contrast for each in times], 0.95)
    file_ms = statistics.median(each.file_ms for each in times)
    plan_ms = statistics.median(each.plan_ms for each in times)
    interval = f"[{100 * told.low:.2f}, {100 * told.high:.2f}]"
    return f"{file_ms:.4f}", f"{plan_ms:.4f}", f"{100 * told.estimate:+.2f} % {interval}"


def _look_alikes(folder: Path) -> list[Path]:
    """Write the honest files of the planted corpus, and return them."""
    corpus = importlib.import_module("tests.selftest.corpus.planted.corpus")  # only who asks needs the tests
    files = []
    for _, each in corpus.look_alikes():
        files.append(folder / f"{each.name}.py")
        files[-1].write_text(each.source, encoding="utf-8")
    return files


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; returns 0 if all agree, 1 if not or without a GPU."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agreement", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, default=KERNELS, help="default: those in kernels/")
    parser.add_argument("--look-alikes", action="store_true", help="the corpus's honest files as well")
    parser.add_argument("--times", action="store_true", help="time plan and file of the named files too")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args(arguments)
    settings, found = load_settings(ROOT / "pyproject.toml"), list[Agreement]()
    try:
        gpu = find_gpu()
    except GpuError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    print(render_head(), flush=True)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        more = _look_alikes(Path(folder)) if options.look_alikes else []

        def everything() -> Iterator[list[Agreement]]:
            for file in options.files:  # alone on the GPU, since they may be timed
                yield compare(file, gpu, settings, with_times=options.times)
            yield from pool.map(partial(compare, gpu=gpu, settings=settings, with_times=False), more)

        for each in itertools.chain.from_iterable(everything()):
            found.append(each)
            print(render(each), flush=True)
    if options.json is not None:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1))
    return 0 if all(each.file_bits and each.exact_bits in (1, None) for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
