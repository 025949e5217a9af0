"""What `judge` and `guard` share: where they judge, and how their answer is told."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from kernelgate.files import write_whole
from kernelgate.pull_request.change import Change
from kernelgate.pull_request.github import mark_failures, write_outputs, write_summary
from kernelgate.pull_request.judge import Judged, JudgeSetup
from kernelgate.pull_request.summary import failures_of, outputs_of, passes, render_page, summarise


def make_setup(
    options: argparse.Namespace, plans: Path | None = None, keep_plans: Path | None = None
) -> JudgeSetup:
    """Return where kernels are judged, by the options of `add_setup`, and where their plan books are."""
    return JudgeSetup(
        root=options.root.resolve(),
        reports=options.reports.resolve(),
        measure=options.measure,
        profile=options.profile,
        plans=plans.resolve() if plans else None,
        keep_plans=keep_plans.resolve() if keep_plans else None,
    )


def publish(reports: Path, change: Change | None, judged: Sequence[Judged]) -> int:
    """Write the answer as a page, for the workflow and on the terminal; returns the exit code."""
    page = render_page(change, judged, reports)
    write_whole(reports / "summary.md", page)
    write_summary(os.environ, page)
    write_outputs(os.environ, outputs_of(change, judged))
    mark_failures(os.environ, failures_of(change, judged))
    print(f"kernelgate: {summarise(change, judged)}\n  summary: {reports / 'summary.md'}")
    return int(not passes(change, judged))
