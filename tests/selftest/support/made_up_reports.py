"""Reports of judgements that nobody made, with any text in every place that a candidate can reach."""

from typing import Any, cast

import msgspec

from kernelgate.baselines.compiled import ConfigRecord
from kernelgate.compilation.machine_code.compiled_kernel import CompiledKernel
from kernelgate.compilation.stage import CompileResult
from kernelgate.correctness.case import Case
from kernelgate.correctness.result import (
    Correctness,
    Count,
    Diagnosis,
    Finding,
    LawLine,
    Magnitude,
    Tried,
)
from kernelgate.kernel_file.violation import Violation
from kernelgate.machine.gpu import Gpu
from kernelgate.machine.versions import Provenance
from kernelgate.operations.declaration.kernel_config import KernelConfig
from kernelgate.operations.faults.fault_map import FaultMap, Guess
from kernelgate.performance.decision.log_ratio import Slowdown
from kernelgate.performance.explanation.hardware_counters import (
    METRICS,
    ConfigCounters,
    Counters,
    LaunchCounters,
)
from kernelgate.performance.result import Performance
from kernelgate.performance.samples import Arm
from kernelgate.pipeline.pipeline import ORDER, StageResult
from kernelgate.reporting.report import BookIdentity, KernelIdentity, Report
from kernelgate.sandbox.confinement import Confinement
from kernelgate.verdict import Outcome, Reason, Rule, conclude
from tests.selftest.support.made_up_launches import make_launch

SHA = "a" * 64
ENVIRONMENT = Provenance(python="3.11", torch="2.11", triton="3.6", cuda="13", cudnn="9", driver="unknown")
SMUGGLED = [
    "x |\n# WRONG -> KEEP",
    "| x |\n| --- |\n| KEEP |",
    "\n\n## Verdict\n\nKEEP",
    "<script>alert(1)</script>",
    "<!-- hidden -->",
    "</td></tr></table><h1>KEEP</h1>",
    "```\n# KEEP\n```",
    "` | ` |",
    "\\| a \\\\| b",
    "[KEEP](https://example.org)",
    "![x](https://example.org/x.png)",
    "**Next:** nothing",
    "&#35; KEEP &lt;b&gt;",
    "\r\n- KEEP\n1. KEEP\n> KEEP",
    "\x1b[2J\x1b[1mKEEP",
]


def make_report_of(detail: str = "as it should be", path: str = "kernels/a.py", **changes: Any) -> Report:
    report = Report(
        verdict=Outcome.WRONG,
        reason=Reason.HARD_BOUND,
        detail=detail,
        next_step=Reason.HARD_BOUND.next_step,
        passes=False,
        operation="alexnet_conv1",
        stage="open",
        rule=Rule.TUNE,
        candidate=KernelIdentity(path=path, sha256=SHA),
        accepted=KernelIdentity(path="HEAD:kernels/a.py", sha256=SHA),
        stages={name: StageResult(status="passed", detail=detail, seconds=1.5) for name in ORDER},
        environment=ENVIRONMENT,
        gpu="NVIDIA H200",
    )
    return msgspec.structs.replace(report, **changes)


def with_result(name: str, result: Any) -> Report:
    report = make_report_of()
    stage = msgspec.structs.replace(report.stages[cast("Any", name)], result=result)
    return msgspec.structs.replace(report, stages={**report.stages, name: stage})


def make_compile_result(text: str) -> CompileResult:
    config = KernelConfig(blocks={"M": 32, "N": text}, num_warps=4, num_stages=2)
    refused = ConfigRecord(config=config, launches=(), error=text or "none")
    kernel = CompiledKernel(target="sm_89", kernel_sha256=SHA, configs=(refused,))
    return CompileResult(
        candidate=kernel,
        accepted=kernel,
        at_hand=kernel,
        accepted_from_record=False,
        same_code=False,
        changes=(f"{config}: spills 0 -> 4 bytes a thread",),
        twins=(f"{config}: the same machine code",),
    )


def make_correctness(text: str) -> Correctness:
    case = Case(batch=3, family="normal", seed=1, pin=0, programs=10)
    lines = (
        LawLine(law="form", says="a tensor", status="held", cases=5),
        LawLine(law="hard-bound", says="close", status="broken", cases=5, note=text),
        LawLine(law="second-opinion", says="as cuDNN", status="not tried", cases=0, note="needs a GPU"),
    )
    return Correctness(
        where="interpreter",
        profile="default",
        examples=5,
        calls=29,
        seconds=1.0,
        entropy=9,
        bound_fraction=2.0,
        error_ratio=float("inf"),
        vendor_ratio=None,
        laws=lines,
        finding=Finding(case=case, law=text or "raises", detail=text, forbidden=False),
    )


def make_performance(text: str) -> Performance:
    slowdown = Slowdown(estimate=-0.02, low=-0.03, high=-0.01, replicates=(-0.02,) * 4, confidence=0.95)
    return Performance(
        gpu=Gpu(name="NVIDIA H200", uuid="GPU-0", capability=90, driver="580", l2_bytes=1),
        batch=256,
        rule="tune",
        band=(0.01, 0.02),
        candidate=slowdown,
        control=slowdown,
        candidate_to_original=slowdown,
        candidate_to_vendor=slowdown,
        accepted_to_original=slowdown,
        accepted_to_vendor=slowdown,
        time_ms=dict.fromkeys(Arm, 1.8),
        chosen=dict.fromkeys(Arm, (text,)),
        floor_ms=0.1,
        sm_clock_mhz=(1900, 1980),
        seconds=30.0,
        remarks=(f"remark {text}",),
        verdict=conclude(Outcome.KEEP, Reason.PROVEN_GAIN, "gain 2 %"),
    )


def make_full_report(text: str = "x") -> Report:
    """Return a report in which every section has something to show."""
    compiled = make_compile_result(text)
    launch = make_launch(
        grid=(1, 1, 1),
        arguments_sha256=SHA,
        code_sha256=SHA,
        registers=96,
        shared_bytes=12288,
        blocks_per_sm=5,
        warps_per_sm=20,
        products=("tf32",),
    )
    config = msgspec.structs.replace(compiled.candidate.configs[0].config, num_stages=3)
    record = ConfigRecord(config=config, launches=(launch,), error="")
    kernel = msgspec.structs.replace(compiled.candidate, configs=(*compiled.candidate.configs, record))
    counted = ConfigCounters(
        config=config,
        launches=(LaunchCounters(kernel=text, metrics=dict.fromkeys(METRICS, 12.5)),),
    )
    found = FaultMap(
        wrong=3, compared=16, unwritten=1, where=text, plane=text, rows=("....", "..##", ".. ?", "#...")
    )
    diagnosis = Diagnosis(map=found, guess=Guess(kind="halo", because=text), no_script=text)
    correctness = make_correctness(text)
    assert correctness.finding is not None
    count = (Count(what=text, cases=3), Count(what="constant", cases=0))
    checked = msgspec.structs.replace(
        correctness,
        error_ratio=1.5,
        vendor_ratio=0.002,
        finding=msgspec.structs.replace(correctness.finding, diagnosis=diagnosis),
        tried=Tried(
            batches=count,
            values=count,
            magnitudes=(Magnitude(size=text, x=1, weight=0),),
            layouts=count,
            relations=count,
            configurations=count,
            gpu_only=(text,),
        ),
    )
    results = {
        "format": (Violation(rule=text, line=3, message=text),),
        "compile": msgspec.structs.replace(compiled, candidate=kernel),
        "correctness": checked,
        "performance": make_performance(text),
    }
    report = make_report_of(
        text,
        counters=Counters(configs=(counted,)),
        advice=(text,),
        sandbox=Confinement(landlock=0, seccomp=False),
        book=BookIdentity(sha256=SHA, judged_by=True, gpus=(text,)),
        judged_at="2026-11-29T19:21:04+00:00",
    )
    stages = {
        name: msgspec.structs.replace(stage, detail=f"{name} {text}", result=results.get(name))
        for name, stage in report.stages.items()
    }
    return msgspec.structs.replace(report, stages=stages)
