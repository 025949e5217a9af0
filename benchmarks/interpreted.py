"""Runs launch plans on the interpreter, and prints what it took.

`python -m benchmarks.interpreted HOW PLAN...`: HOW is `images`, every program with all checks on; `stores`,
every program cut down to its stores; or `sample`, as many programs as the gate samples. It is a process of
its own, so that its memory is its own.
"""

import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ |= {"OPENBLAS_NUM_THREADS": "1", "NUMPY_MADVISE_HUGEPAGE": "0"}  # as workers have it

import msgspec
import numpy as np

from kernelgate import protocol
from kernelgate.errors import KernelgateError
from kernelgate.execution.interpreted_plan import InterpretedPlan
from kernelgate.execution.observed.covered import interpreted_part
from kernelgate.execution.plan_files import StoredPlan, read_plan
from kernelgate.execution.sampled_launch import Sampling
from kernelgate.interpreter.launch import ReadyKernel
from kernelgate.interpreter.slices import stores_of
from kernelgate.interpreter.text.parser import parse
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.draws.recipe import Recipe
from kernelgate.settings import load_settings
from kernelgate.worker.interpret.mode import InterpretMode

SETTINGS = Path(__file__).resolve().parents[1] / "pyproject.toml"
SEED, POISON = 1, 0x7FC00001


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of one core, the programs that ran in them, and the process's most memory in bytes."""

    seconds: float
    programs: int
    peak_bytes: int


def run_images(plans: Sequence[Path]) -> int:
    """Run plans whole, with all checks on; return how many programs that was."""
    return sum(_ask(file, 0, ()) for file in plans)


def run_sample(plans: Sequence[Path]) -> int:
    """Run as many programs of each launch as the gate does; return how many."""
    programs = load_settings(SETTINGS).correctness.sampled_programs
    kernels = {file: read_plan(file, ALEXNET_CONV1).plan.programs for file in plans}
    return sum(_ask(file, programs, tuple(each.kernel for each in kernels[file])) for file in plans)


def _ask(file: Path, programs: int, sampled: tuple[str, ...]) -> int:
    mode, batch = InterpretMode(), read_plan(file, ALEXNET_CONV1).plan.batch
    mode.answer(protocol.LoadPlans(operation=ALEXNET_CONV1.name, gpu_memory_bytes=0))
    request = protocol.RunPlan(
        plan=str(file),
        recipe=Recipe(family="normal", seed=SEED, batch=batch),
        layout="contiguous",
        poison_bits=POISON,
        programs=programs,
        sampled=sampled,
    )
    ran = mode.answer(request)
    assert isinstance(ran, protocol.Ran)
    if ran.memory or not ran.inputs_intact:
        raise KernelgateError(f"{file}: {'; '.join(ran.memory) or 'an input was changed'}")
    return sum(launch.programs_run for launch in ran.launches)


def run_stores(plans: Sequence[Path]) -> int:
    """Run plans cut down to their stores, those that are interpreted alike once; return how many programs.

    Raises KernelgateError if they do not write all of the answer.
    """
    stored = [read_plan(file, ALEXNET_CONV1) for file in plans]
    return sum(map(_run_stores, {interpreted_part(each.plan): each for each in stored}.values()))


def _run_stores(stored: StoredPlan) -> int:
    def cut(ttir: str) -> ReadyKernel:
        return ReadyKernel(stores_of(parse(stored.read(ttir, "ttir").decode())))

    plan = stored.plan
    call = InterpretedPlan(plan, cut, {}, POISON)
    seen = call.run(Sampling(operation=ALEXNET_CONV1, batch=plan.batch, seed=SEED))
    written = call.memory.buffers[call.answer].count_written_since(1)
    if written != np.prod(plan.answer.shape) or call.memory.findings.found:
        raise KernelgateError(f"{plan.config}: {written} elements written; {call.memory.findings.counts}")
    return sum(launch.programs_run for launch in seen)


HOW: dict[str, Callable[[Sequence[Path]], int]] = {
    "images": run_images,
    "stores": run_stores,
    "sample": run_sample,
}


def main(arguments: Sequence[str]) -> int:
    """Print a `Taken` as JSON."""
    how, *plans = arguments
    began = time.process_time()
    programs = HOW[how](list(map(Path, plans)))
    taken = Taken(
        seconds=time.process_time() - began,
        programs=programs,
        peak_bytes=1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    )
    print(msgspec.json.encode(taken).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
