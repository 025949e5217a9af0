"""The launch plans of a kernel file, and what each of them does, for a person to read."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from kernelgate.compilation.compiler import count_pins
from kernelgate.compilation.machine_code.launch_record import measure_launches
from kernelgate.compilation.recording import PlannedCall, UnplannedError, record
from kernelgate.errors import KernelgateError
from kernelgate.execution.cards import KNOWN, Card
from kernelgate.execution.launch_plan import Copy, Launch, LaunchPlan, Step
from kernelgate.execution.plan_files import StoredPlan, keep_plan, plan_file
from kernelgate.execution.work import PlanWork, weigh_plan
from kernelgate.kernel_file.source import read_kernel
from kernelgate.machine.gpu import read_card_at_hand
from kernelgate.operations.declaration.operation import Operation
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.settings import Limits


class PlanOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be planned: a file's call at a batch, None for the measured one, on a GPU, into a folder."""

    file: Path
    operation: Operation
    batch: int | None
    target: str
    folder: Path


def make_plans(order: PlanOrder, limits: Limits) -> Iterator[str]:
    """Yield what the plan of each configuration does, once it is written; raises KernelgateError."""
    operation, card = order.operation, find_card(order.target)
    batch = operation.measured_batch if order.batch is None else order.batch
    if not 1 <= batch <= operation.max_batch:
        raise KernelgateError(f"--batch {batch}: allowed 1 to {operation.max_batch}")
    kernel = read_kernel(order.file, limits.kernel_file_bytes)
    sandbox = Sandbox(operation, limits)
    try:
        with sandbox.start("record", kernel, kernel.path) as worker:
            for pin in range(count_pins(sandbox.await_loaded(worker))):
                recorded = record(sandbox, worker, PlannedCall(batch=batch, pin=pin, card=card))
                if recorded.broken is not None:
                    raise UnplannedError(kernel.sha256, *recorded.broken)
                if recorded.stored is None:
                    yield f"configuration {pin}: {recorded.refused}"
                else:
                    yield describe_plan(keep_plan(recorded.stored, order.folder), operation, card.capability)
    finally:
        sandbox.close()


def find_card(target: str) -> Card:
    """Return the GPU of that name; raises KernelgateError for one that is neither known nor here."""
    known = {f"sm_{capability}": card for capability, card in KNOWN.items()}
    card = read_card_at_hand() if target == "here" else known.get(target)
    if card is None:
        raise KernelgateError(f"--target {target}: allowed {', '.join(known)}, or here where there is a GPU")
    return card


def describe_plan(stored: StoredPlan, operation: Operation, capability: int) -> str:
    """Return the plan in lines: its memory, its steps, and its work against what the operation needs."""
    plan = stored.plan
    records = iter(measure_launches(stored, capability))
    lines = [f"{plan.config or 'no configurations'}, N = {plan.batch}, {plan.target}: {plan_file(stored)}"]
    lines += [f"  memory    {_describe_memory(plan)}"]
    for step in plan.steps:
        lines.append(f"  {_describe_step(plan, step)}")
        if isinstance(step, Launch):
            found = next(records)
            spills = found.spill_store_bytes + found.spill_load_bytes
            lines.append(
                f"            {found.registers} registers, {spills} bytes spilled, "
                f"{step.shared_bytes} bytes of shared memory, {found.warps_per_sm} warps an SM"
            )
    return "\n".join([*lines, *_describe_work(weigh_plan(stored, operation))])


def _describe_memory(plan: LaunchPlan) -> str:
    return ", ".join(f"{buffer.role} {_mib(buffer.bytes)}" for buffer in plan.buffers)


def _describe_step(plan: LaunchPlan, step: Step) -> str:
    if isinstance(step, Launch):
        grid = " x ".join(str(extent) for extent in step.grid)
        return f"launch    {plan.program_of(step).kernel}: {grid} programs of {step.threads} threads"
    role = plan.buffers[step.target.buffer].role
    shape = "x".join(map(str, step.target.shape))
    if isinstance(step, Copy):
        return f"copy      {shape} {step.target.dtype}, {plan.buffers[step.source.buffer].role} to {role}"
    return f"fill      {shape} {step.target.dtype} of {role} with {step.value}"


def _describe_work(work: PlanWork | None) -> Iterator[str]:
    if work is None:
        yield "  work      not counted: a loop's length depends on the program"
        return
    formed = (
        f"{work.products:.3e} products formed, {work.products_ratio:.2f} of the {work.products_needed:.3e}"
    )
    yield f"  work      {f'{formed} needed' if work.products else 'no products of tl.dot'}"
    least = f"{work.bytes_ratio:.1f} times the {_mib(work.bytes_needed)} that must move"
    yield f"  traffic   {_mib(work.bytes_asked)} asked, {least}"


def _mib(count: int) -> str:
    return f"{count / 2**20:.1f} MiB"
