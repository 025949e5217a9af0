"""Stage `compile`: every configuration is compiled for the target and for the GPU at hand."""

import msgspec

from kernelgate.baselines.store import propose
from kernelgate.compilation.stage import (
    ADA,
    CompileResult,
    compile_all,
    describe_narrow,
    load_compile_record,
    make_compile_record,
)
from kernelgate.pipeline.ahead import import_ahead
from kernelgate.pipeline.format_step import refuse_unbound
from kernelgate.pipeline.judgement import Judgement
from kernelgate.pipeline.stage import Result, Stopped
from kernelgate.sandbox.fork_server import prepare
from kernelgate.verdict import Outcome, Reason, conclude

TARGET = f"sm_{ADA}"


def compile_for_targets(judgement: Judgement) -> tuple[str, Result]:
    """Return what compiles; raises Stopped, and errors of workers and records. It leaves `compiled`."""
    refuse_unbound(judgement)
    operation, gpu = judgement.operation, judgement.request.gpu
    # What the next stages need is imported while this one compiles.
    prepare(*(("execute", "use") if gpu else ()), "interpret")
    later = ["correctness_step", *(["performance_step"] if judgement.request.measure else [])]
    import_ahead(*(f"kernelgate.pipeline.{each}" for each in later))
    records = judgement.records
    record = None if records is None else load_compile_record(records)
    compiled = compile_all(judgement.sandbox, judgement.kernels, record, gpu.capability if gpu else None)
    if narrow := describe_narrow(compiled, operation):
        detail = f"{judgement.kernel.path}, {narrow}"
        raise Stopped(conclude(Outcome.WRONG, Reason.DECLARED_MATH, detail), compiled)
    judgement.compiled = compiled
    if records is not None:
        fresh = make_compile_record(records, compiled.candidate)
        if record is None or msgspec.structs.replace(record, history=()) != fresh:
            propose(fresh, judgement.request.report_dir)
    return _describe(compiled), compiled


def _describe(compiled: CompileResult) -> str:
    running = sum(bool(each.launches) for each in compiled.candidate.configs)
    programs = len(compiled.candidate.programs())
    detail = f"{running} of {len(compiled.candidate.configs)} configurations compile for {TARGET}"
    changes = "".join(f"; {change}" for change in compiled.changes)
    return f"{detail}: {programs} different programs{changes}"
