"""Times the interpreter of the gate beside Triton's own: `python -m benchmarks.interpreter [--whole]`.

Without a GPU the gate runs kernels in its interpreter. This says what that takes: a program of each kernel in
both interpreters, images whole, the stores of the measured batch alone, the memory of the largest batch.
Seconds are those of one core, so that neighbours on the machine count little.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from benchmarks.interpreted import Taken
from kernelgate.compilation.compiler import compile_kernel
from kernelgate.compilation.machine_code.compiled_kernel import Target
from kernelgate.compilation.recording import PlannedCall, record
from kernelgate.correctness.planning.programs import largest_sampled, running_pins
from kernelgate.errors import KernelgateError
from kernelgate.execution.cards import ADA
from kernelgate.execution.launch_plan import Launch
from kernelgate.execution.plan_files import StoredPlan, plan_file
from kernelgate.kernel_file.source import KernelFile, read_kernel
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[1]
KERNELS = {
    "accepted": ROOT / "kernels" / "alexnet_conv1.py",
    "original": ROOT / "kernels" / "alexnet_conv1_original.py",
    "fast": ROOT / "kernels" / "alexnet_conv1_fast.py",
}
IMAGES = 3
CHILD_TIMEOUT_S = 1800
HEADINGS = (
    "kernel",
    "ms a program",
    "in Triton's",
    f"{IMAGES} images, every configuration",
    f"stores of N = {ALEXNET_CONV1.measured_batch}, every configuration",
    "most memory",
    f"N = {ALEXNET_CONV1.measured_batch}, one configuration",
)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What one kernel took; `triton_ms` is None where Triton's interpreter cannot run it.

    `images` and `stores` are of all configurations that differ, `sample` of the first at `largest_batch`,
    the largest that the gate samples; `whole` is of the first, None where it was not asked for.
    """

    kernel: str
    configurations: int
    images: Taken
    triton_ms: float | None
    stores: Taken
    sample: Taken
    largest_batch: int
    whole: Taken | None


class Plans(msgspec.Struct, frozen=True, kw_only=True):
    """The launch plans that a row is of; `one_image` is the number of programs of one image."""

    images: list[Path]
    measured: list[Path]
    largest: Path
    largest_batch: int
    one_image: int


def make_plans(sandbox: Sandbox, kernel: KernelFile) -> Plans:
    """Record the plans of every configuration that is a program of its own."""
    [compiled] = compile_kernel(sandbox, kernel, [Target(capability=ADA.capability)], 1)
    pins, first = running_pins(compiled), running_pins(compiled)[0]
    largest = largest_sampled(ALEXNET_CONV1, compiled.configs[first])
    with sandbox.start("record", kernel, kernel.path) as worker:
        sandbox.await_loaded(worker)

        def plan(batch: int, pin: int) -> StoredPlan:
            stored = record(sandbox, worker, PlannedCall(batch=batch, pin=pin, card=ADA)).stored
            if stored is None:
                raise KernelgateError(f"{kernel.path}: configuration {pin} has no plan at N = {batch}")
            return stored

        return Plans(
            images=[plan_file(plan(IMAGES, pin)) for pin in pins],
            measured=[plan_file(plan(ALEXNET_CONV1.measured_batch, pin)) for pin in pins],
            largest=plan_file(plan(largest, first)),
            largest_batch=largest,
            one_image=count_programs(plan(1, 0)),
        )


def count_programs(stored: StoredPlan) -> int:
    """Return the programs of all launches of a plan."""
    launches = (step for step in stored.plan.steps if isinstance(step, Launch))
    return sum(step.grid[0] * step.grid[1] * step.grid[2] for step in launches)


def run_here(how: str, plans: Sequence[Path]) -> Taken:
    """Return what plans took in the gate's interpreter, in a process of its own."""
    answer = _run_child("benchmarks.interpreted", how, *map(str, plans))
    if answer is None:
        raise KernelgateError(f"{how} could not be run: see above")
    return msgspec.json.decode(answer, type=Taken)


def run_in_triton(file: Path, programs: int) -> float | None:
    """Return the milliseconds a program of Triton's own interpreter, None where it cannot run the file."""
    answer = _run_child("benchmarks.triton_interpreter", str(file))
    return None if answer is None else 1000 * float(answer) / programs


def _run_child(module: str, *arguments: str) -> str | None:
    """Return the last line that a module of the benchmarks prints, None if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        check=False,
        cwd=ROOT,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=CHILD_TIMEOUT_S,
    )
    if done.returncode:
        print(f"{module} {arguments[0]}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    return done.stdout.strip().splitlines()[-1]


def measure(name: str, settings: Settings, *, whole: bool) -> Row:
    """Return the row of one kernel; raises KernelgateError for one that is not interpreted."""
    kernel = read_kernel(KERNELS[name], settings.limits.kernel_file_bytes)
    sandbox = Sandbox(ALEXNET_CONV1, settings.limits)
    try:
        plans = make_plans(sandbox, kernel)
        return Row(
            kernel=name,
            configurations=len(plans.images),
            images=run_here("images", plans.images),
            triton_ms=run_in_triton(KERNELS[name], plans.one_image),
            stores=run_here("stores", plans.measured),
            sample=run_here("sample", [plans.largest]),
            largest_batch=plans.largest_batch,
            whole=run_here("images", plans.measured[:1]) if whole else None,
        )
    finally:
        sandbox.close()


def render(row: Row) -> str:
    """Return a row of a Markdown table."""
    of_all = f"{row.configurations} x" if row.configurations > 1 else "one"
    own_ms = 1000 * row.images.seconds / row.images.programs
    cells = (
        row.kernel,
        f"{own_ms:.2f}",
        "cannot run it" if row.triton_ms is None else f"{row.triton_ms:.0f}",
        f"{row.images.seconds:.1f} s ({of_all})",
        f"{row.stores.seconds:.1f} s ({row.stores.programs} programs)",
        f"{row.sample.peak_bytes / 2**30:.2f} GiB at N = {row.largest_batch}",
        "not asked for"
        if row.whole is None
        else f"{row.whole.seconds:.0f} s ({row.whole.programs} programs)",
    )
    return f"| {' | '.join(cells)} |"


def rows_of(names: Sequence[str], settings: Settings, *, whole: bool) -> Iterator[Row]:
    """Yield the row of each kernel, printing it when it is there."""
    print(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}", flush=True)
    for name in names:
        row = measure(name, settings, whole=whole)
        print(render(row), flush=True)
        yield row


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; returns 0, or 1 with the cause on standard error."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.interpreter", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which; default: {', '.join(KERNELS)}")
    parser.add_argument("--whole", action="store_true", help="also the measured batch, every program of it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.names) - KERNELS.keys()):
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(KERNELS)}")
    settings = load_settings(ROOT / "pyproject.toml")
    try:
        rows = list(rows_of(options.names or list(KERNELS), settings, whole=options.whole))
    except KernelgateError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    if options.json is not None:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
