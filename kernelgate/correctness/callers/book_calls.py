"""The calls of a judgement by a plan book: recorded beforehand, and drawn from what there is."""

from collections.abc import Iterator
from itertools import product

import msgspec

from kernelgate.compilation.machine_code.compiled_kernel import CompiledKernel, Target
from kernelgate.correctness.callers.plan_calls import PlanCaller
from kernelgate.correctness.callers.planner import MAX_RECORDERS, Planner
from kernelgate.correctness.case import Case
from kernelgate.correctness.case_runner import CaseRunner
from kernelgate.correctness.planning.plan import CasePlan, batches_of, draw_shapes, plan_for_gpu, probe_cases
from kernelgate.correctness.planning.planned_cases import fitted, swept_shapes
from kernelgate.kernel_file.source import KernelFile
from kernelgate.machine.cores import usable_cores
from kernelgate.plan_book.index import CallKey
from kernelgate.sandbox.sandbox import Sandbox
from kernelgate.settings import LawLimits


def record_calls(
    sandbox: Sandbox,
    kernel: KernelFile,
    compiled: CompiledKernel,
    target: Target,
    entropy: int,
    laws: LawLimits,
) -> None:
    """Have every call recorded that a judgement on this GPU plans, and some shapes for it to draw from.

    Raises WorkerFault. What cannot be planned is noted, as all else is.
    """
    operation = sandbox.operation
    named = batches_of(kernel, operation)
    plan = plan_for_gpu(operation, compiled, named, entropy, calls_file=False)
    with Planner(sandbox, kernel, target, min(usable_cores(), MAX_RECORDERS)) as planner:
        case_runner = CaseRunner(PlanCaller(planner), laws)
        drawn = _with_relations(draw_shapes(plan, entropy), plan)
        probes, swept = probe_cases(compiled, entropy), swept_shapes(plan.pins)
        for case in (*probes, *plan.planned, *plan.scouted, *swept, *drawn):
            case_runner.expect(case)
        planner.finish()


def draw_from_book(plan: CasePlan, case_runner: CaseRunner, planner: Planner) -> CasePlan:
    """Return the plan with cases drawn from those of which the book has every call."""
    book = planner.sandbox.book
    assert book is not None
    shapes = _shapes(plan, planner.target.gpu.name, [call.key for call in book.index.calls])
    known = tuple(
        case for case in _with_relations(shapes, plan) if all(map(planner.has, case_runner.calls_of(case)))
    )
    return msgspec.structs.replace(plan, drawn_from=known, draws=plan.draws and bool(known))


def _shapes(plan: CasePlan, gpu: str, keys: list[CallKey]) -> Iterator[Case]:
    """Yield a plain case of each batch, configuration and layout that there is a call of."""
    for shape in dict.fromkeys((key.batch, key.pin, key.form.layout) for key in keys if key.gpu == gpu):
        batch, pin, layout = shape
        if pin in plan.pins and batch <= plan.max_batch:
            yield Case(batch=batch, family="normal", seed=0, pin=pin, programs=plan.programs, layout=layout)


def _with_relations(shapes: Iterator[Case], plan: CasePlan) -> Iterator[Case]:
    for shape, relation in product(shapes, plan.relations):
        yield fitted(plan.operation, msgspec.structs.replace(shape, relation=relation))
