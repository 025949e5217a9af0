"""Stage `performance`: the candidate is timed beside the accepted kernel, and the rule decides."""

import shlex
from pathlib import Path

import msgspec

from kernelgate.machine.gpu import Gpu
from kernelgate.performance.conclusion import Conditions
from kernelgate.performance.explanation.hardware_counters import profiler_ready
from kernelgate.performance.explanation.users_choice import find_users_choice
from kernelgate.performance.result import Performance
from kernelgate.performance.samples import Arm
from kernelgate.performance.stage import keep_samples, load_record, measure_performance, propose_speed
from kernelgate.pipeline.judgement import Judgement
from kernelgate.pipeline.stage import Result, Stopped
from kernelgate.verdict import Outcome


def prove_speed(judgement: Judgement) -> tuple[str, Result]:
    """Return how fast the candidate is; raises Stopped, and errors of workers, records and the GPU.

    It leaves `counters`, and the verdict of the whole judgement.
    """
    gpu = judgement.request.gpu
    assert gpu is not None
    result = _measure(judgement, _conditions(judgement, gpu))
    if result.verdict.outcome is not Outcome.INVALID:
        judgement.progress("performance")
        fastest = result.chosen[Arm.CANDIDATE][0]
        configs = judgement.programs.at_hand.configs
        with profiler_ready(judgement.sandbox, judgement.kernel, configs, gpu) as read_counters:
            users = find_users_choice(judgement.sandbox, judgement.kernel, gpu, fastest)
            judgement.counters = read_counters()
        result = msgspec.structs.replace(result, users=users)
    if not result.verdict.outcome.passes:
        raise Stopped(result.verdict, result)
    judgement.verdict_so_far = result.verdict
    return result.verdict.detail, result


def _measure(judgement: Judgement, conditions: Conditions) -> Performance:
    kernels, report_dir = judgement.kernels, judgement.request.report_dir
    result, attempts = measure_performance(
        judgement.sandbox, kernels, conditions, lambda: judgement.progress("performance")
    )
    keep_samples(conditions, attempts, report_dir)
    proposal = propose_speed(result, kernels, conditions, report_dir)
    return result if proposal is None else _advise(result, conditions, proposal)


def _advise(result: Performance, conditions: Conditions, proposal: Path) -> Performance:
    """Return the result; where a problem has no record yet, its next step says how to accept this one."""
    records, verdict = conditions.records, result.verdict
    if records is None or records.is_required or conditions.record is not None:
        return result
    command = f"kernelgate accept {shlex.quote(str(proposal))} --reason WHY"
    lacks = "No record on this GPU is of this problem file and the kernel to beat"
    next_step = f"{verdict.next_step} {lacks}: with the kernel in {records.kernel}, `{command}` keeps one."
    return msgspec.structs.replace(result, verdict=msgspec.structs.replace(verdict, next_step=next_step))


def _conditions(judgement: Judgement, gpu: Gpu) -> Conditions:
    request, operation = judgement.request, judgement.operation
    record = None  # of the GPU's own code, which with `ada_path` is not what runs
    records = judgement.records
    if not request.ada_path and records is not None and judgement.accepted is not None:
        record = load_record(records, gpu, judgement.accepted.sha256)
    return Conditions(
        operation=operation,
        gpu=gpu,
        rule=judgement.rule,
        settings=judgement.settings.performance,
        laws=judgement.settings.laws,
        record=record,
        environment=judgement.environment,
        ada_path=request.ada_path,
        records=records,
    )
