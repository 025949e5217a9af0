"""What to do after a verdict, with commands that can be pasted."""

import re
import shlex

from kernelgate.correctness.result import Correctness, Finding
from kernelgate.reporting.report import Report


def fill_in(report: Report) -> str:
    """Return the next step; commands that name this judgement's file or case can be pasted."""
    case = replay_of(report)

    def fill(found: re.Match[str]) -> str:
        command = found[0][1:-1]
        if "--stage" not in command and not ("CASE" in command and case):
            return found[0]
        command = re.sub(r"\bFILE\b", lambda _: shlex.quote(report.candidate.path), command)
        command = re.sub(r"\bCASE\b", lambda _: shlex.quote(case or "CASE"), command)
        stage = "" if "--stage" in command else f" --stage {shlex.quote(report.stage)}"
        computes = f" {report.computes}" if report.computes else ""
        return f"`{command}{computes}{stage}`"

    return re.sub(r"`[^`]*`", fill, report.next_step)


def finding_of(report: Report) -> Finding | None:
    """Return what the correctness stage found, None where it found nothing, or did not run."""
    stage = report.stages.get("correctness")
    return stage.result.finding if stage and isinstance(stage.result, Correctness) else None


def replay_of(report: Report) -> str:
    """Return the case that shows the fault alone, empty if there is none."""
    finding = finding_of(report)
    return finding.case.replay if finding and finding.alone else ""


def reason_of(report: Report) -> str:
    """Return the detail without the case, which stands in the command of the next step."""
    case = replay_of(report)
    return report.detail.removesuffix(f" Replay: --replay {case}") if case else report.detail
