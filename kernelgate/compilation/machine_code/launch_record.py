"""What each launch of a plan is: its machine code without names, what that uses, and what it is given."""

import hashlib
from collections.abc import Iterable, Iterator

import msgspec

from kernelgate.baselines.compiled import LaunchRecord
from kernelgate.compilation.machine_code.cubin import hash_machine_code, read_assembler_log
from kernelgate.compilation.machine_code.occupancy import resident_blocks
from kernelgate.compilation.machine_code.ptx import find_narrow, read_products
from kernelgate.execution.launch_plan import Launch, Step
from kernelgate.execution.plan_files import StoredPlan
from kernelgate.execution.work import count_stored

NO_PROGRAM = "0" * 64


def measure_launches(stored: StoredPlan, capability: int) -> Iterator[LaunchRecord]:
    """Yield a record of each launch, in order; raises CubinError for what is no machine code."""
    for launch, since_last in _with_moves(stored.plan.steps):
        yield _measure(stored, launch, _digest(stored, since_last), capability)


def digest_work(launches: Iterable[LaunchRecord]) -> str:
    """Return a digest of all that a plan does: code without names, grids, arguments, moves of data.

    The plan's own file differs from one compile to the next, since machine code holds names and places.
    """
    parts = [f"{each.code_sha256} {each.grid} {each.arguments_sha256}" for each in launches]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _with_moves(steps: tuple[Step, ...]) -> Iterator[tuple[Launch, list[Step]]]:
    """Yield each launch with the moves of data before it, the last with those after it too."""
    last = max((place for place, step in enumerate(steps) if isinstance(step, Launch)), default=-1)
    since_last: list[Step] = []
    for place, step in enumerate(steps):
        since_last.append(step)
        if isinstance(step, Launch):
            yield step, since_last + (list(steps[place + 1 :]) if place == last else [])
            since_last = []


def _digest(stored: StoredPlan, steps: list[Step]) -> str:
    """Return a digest of what is done, whatever the programs are called."""
    nameless = [
        msgspec.structs.replace(step, program=NO_PROGRAM) if isinstance(step, Launch) else step
        for step in steps
    ]
    whole = (stored.plan.buffers, nameless, stored.plan.answer)
    return hashlib.sha256(msgspec.json.encode(whole)).hexdigest()


def _measure(stored: StoredPlan, launch: Launch, arguments_sha256: str, capability: int) -> LaunchRecord:
    program = stored.plan.program_of(launch)
    report = read_assembler_log(program.log)
    ptx, ttir = (
        stored.read(name, kind).decode(errors="replace")
        for name, kind in ((program.ptx, "ptx"), (program.ttir, "ttir"))
    )
    blocks = resident_blocks(
        capability, registers=report.registers, shared_bytes=launch.shared_bytes, num_warps=program.num_warps
    )
    return LaunchRecord(
        kernel=program.kernel,
        grid=launch.grid,
        arguments_sha256=arguments_sha256,
        code_sha256=hash_machine_code(stored.read(program.cubin, "cubin")),
        registers=report.registers,
        stack_bytes=report.stack_bytes,
        spill_store_bytes=report.spill_store_bytes,
        spill_load_bytes=report.spill_load_bytes,
        shared_bytes=launch.shared_bytes,
        blocks_per_sm=blocks,
        warps_per_sm=blocks * program.num_warps,
        products=read_products(ptx),
        narrow=find_narrow(ptx, ttir),
        stored=count_stored(ttir, launch),
    )
