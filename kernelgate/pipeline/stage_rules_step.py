"""Stage `stage-rules`: the change stays within what the tuning stage lets a candidate change."""

from kernelgate.compilation.stage_rules import check_count, check_runs, check_stage
from kernelgate.pipeline.judgement import Judgement
from kernelgate.pipeline.refusal import forbid
from kernelgate.pipeline.stage import Result


def stay_within_stage(judgement: Judgement) -> tuple[str, Result]:
    """Return that the change is allowed; raises Stopped."""
    stage, compiled, rules = judgement.request.stage, judgement.programs, judgement.settings.stage_rules
    # Also the accepted kernel, on a GPU that it was not made for.
    if idle := check_runs(compiled.at_hand):
        raise forbid(stage, judgement.kernel.path, idle)
    if judgement.is_accepted_file:
        return "the accepted kernel's own programs: nothing was changed", None
    if judgement.is_same_code and compiled.accepted is not None:
        if broken := check_count(stage, compiled.candidate, compiled.accepted, rules):
            raise forbid(stage, judgement.kernel.path, broken)
        return "the accepted kernel's own programs: nothing was changed", None
    if compiled.accepted is None:
        return "no accepted kernel: nothing to stay near", None
    broken = check_stage(stage, compiled.candidate, compiled.accepted, judgement.operation, rules)
    if broken:
        raise forbid(stage, judgement.kernel.path, broken)
    return f"within stage {stage}", None
