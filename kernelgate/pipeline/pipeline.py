"""The loop: the stages in order, each at most once, up to the first that fails; and the answer."""

import time
from collections.abc import Callable

import msgspec

from kernelgate.compilation.stage import ADA, CompileResult
from kernelgate.pipeline.judgement import Judgement
from kernelgate.pipeline.refusal import ANSWERED, stop_for
from kernelgate.pipeline.stage import ORDER, Request, Result, StageName, StageResult, Stopped
from kernelgate.settings import Settings
from kernelgate.verdict import Outcome, Reason, Verdict, conclude

MAX_CAUSE = 300

Step = Callable[[Judgement], tuple[str, Result]]


def run_until(judgement: Judgement, last: StageName, find_gpus: Callable[[Request], Request]) -> StageResult:
    """Return how the stage ended, after running what comes before it and has not run yet."""
    for name in ORDER[: ORDER.index(last) + 1]:
        if name not in judgement.results:
            judgement.results[name] = _run(judgement, name, find_gpus)
    return judgement.results[last]


def conclude_judgement(judgement: Judgement) -> Verdict:
    """Return the answer that the stages so far give; never a pass for a stage that has not run.

    One that passes says so where it was not held to the laws of the direct algorithm.
    """
    verdict = _conclude(judgement)
    if not verdict.outcome.passes or judgement.operation.algorithm == "direct":
        return verdict
    return msgspec.structs.replace(verdict, detail=f"{verdict.detail}; by the laws of any algorithm")


def _conclude(judgement: Judgement) -> Verdict:
    if judgement.verdict_so_far is not None:
        return judgement.verdict_so_far
    missing = [name for name in ORDER[:-1] if name not in judgement.results]
    if missing:
        return conclude(Outcome.INVALID, Reason.INCOMPLETE, f"stages that did not run: {', '.join(missing)}")
    if judgement.is_same_code:
        return conclude(Outcome.SAME_CODE, Reason.SAME_CODE, _describe_same_code(judgement.programs))
    right = f"right, and it compiles for sm_{ADA} (RTX 4090)"
    if judgement.sandbox.ada_on is not None:
        right += f", tried as sm_{ADA}'s code on sm_{judgement.sandbox.ada_on}"
    detail = f"{right}; its speed is unknown, since it was not timed"
    return conclude(Outcome.NOT_MEASURED, Reason.NOT_MEASURED, detail)


def _run(judgement: Judgement, name: StageName, find_gpus: Callable[[Request], Request]) -> StageResult:
    if (before := judgement.verdict_so_far) is not None:
        return StageResult(status="not-run", detail=f"an earlier stage gave {before.outcome}")
    if name in ("correctness", "performance") and judgement.is_same_code:
        return StageResult(status="not-needed", detail=_describe_same_code(judgement.programs))
    judgement.progress(name)
    started = time.monotonic()
    # An error of the gate's own must not leave a verdict that passes.
    own_error = conclude(Outcome.INVALID, Reason.GATE_ERROR, f"stage {name} ended in an error of the gate")
    judgement.verdict_so_far = own_error
    try:
        detail, result = _take_step(judgement, name, find_gpus)
    except Stopped as stop:
        judgement.verdict_so_far = stop.verdict
        seconds = time.monotonic() - started
        return StageResult(status="failed", detail=stop.verdict.detail, seconds=seconds, result=stop.result)
    except Exception as error:
        said = f"{own_error.detail}: {type(error).__name__}: {str(error)[:MAX_CAUSE]}"
        judgement.verdict_so_far = msgspec.structs.replace(own_error, detail=said)
        raise
    if judgement.verdict_so_far is own_error:
        judgement.verdict_so_far = None
    return StageResult(status="passed", detail=detail, seconds=time.monotonic() - started, result=result)


def _take_step(
    judgement: Judgement, name: StageName, find_gpus: Callable[[Request], Request]
) -> tuple[str, Result]:
    """Return what the stage says; raises Stopped, also for the errors that the table answers."""
    try:
        if name != "format" and judgement.open_sandbox is None:
            judgement.meet_machine(find_gpus)
        return _find_step(name)(judgement)
    except ANSWERED as error:
        raise stop_for(error, judgement, name) from error


def _find_step(name: StageName) -> Step:
    """Return the function of a stage.

    Its module is imported when the stage is reached: PyTorch, SciPy and Hypothesis take seconds, and a file
    that breaks the format is told so without them.
    """
    if name == "format":
        from kernelgate.pipeline.format_step import follow_format as step  # noqa: PLC0415
    elif name == "compile":
        from kernelgate.pipeline.compile_step import compile_for_targets as step  # noqa: PLC0415
    elif name == "stage-rules":
        from kernelgate.pipeline.stage_rules_step import stay_within_stage as step  # noqa: PLC0415
    elif name == "correctness":
        from kernelgate.pipeline.correctness_step import obey_laws as step  # noqa: PLC0415
    else:
        from kernelgate.pipeline.performance_step import prove_speed as step  # noqa: PLC0415
    return step


def _describe_same_code(compiled: CompileResult) -> str:
    targets = (compiled.candidate.target, compiled.at_hand.target)
    return (
        "the accepted kernel's machine code and launches on "
        f"{' and '.join(dict.fromkeys(targets))}, and its source but for names"
    )


def _as_asked(request: Request) -> Request:
    return request


class Gate(Judgement):
    """A judgement as tests ask it, stage by stage.

    `find_gpus` completes the request with the GPUs at hand, and is called once a stage after `format` begins;
    without it the request says which they are. A GpuError that it raises becomes the verdict.
    """

    def __init__(
        self,
        request: Request,
        settings: Settings,
        progress: Callable[[StageName], None],
        find_gpus: Callable[[Request], Request] = _as_asked,
    ) -> None:
        super().__init__(request, settings, progress)
        self._find_gpus = find_gpus

    def stage(self, name: StageName) -> StageResult:
        """Return how the stage ended, after running what comes before it and has not run yet."""
        return run_until(self, name, self._find_gpus)

    def keep_book(self) -> None:
        """Write the plan book that was asked for, if the verdict so far passes."""
        if self.request.keep_plans is not None and self.verdict().outcome.passes:
            from kernelgate.pipeline.book_step import keep_book  # noqa: PLC0415 - as the stages' modules

            keep_book(self)

    def verdict(self) -> Verdict:
        """Return the answer that the stages so far give; never a pass for a stage that has not run."""
        return conclude_judgement(self)
