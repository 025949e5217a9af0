"""The answer to a change, told: a page, outputs of a workflow, marks, and the last lines on the terminal."""

import os
from collections.abc import Sequence
from pathlib import Path

from kernelgate.files import write_whole
from kernelgate.pull_request.change import Change
from kernelgate.pull_request.github import mark_failures, write_outputs, write_summary
from kernelgate.pull_request.judge import Judged
from kernelgate.pull_request.summary import failures_of, outputs_of, passes, render_page, summarise


def publish(reports: Path, change: Change | None, judged: Sequence[Judged]) -> int:
    """Write the answer to a change, None for accepted kernels; returns the exit code."""
    page = render_page(change, judged, reports)
    write_whole(reports / "summary.md", page)
    write_summary(os.environ, page)
    write_outputs(os.environ, outputs_of(change, judged))
    mark_failures(os.environ, failures_of(change, judged))
    print(f"kernelgate: {summarise(change, judged)}\n  summary: {reports / 'summary.md'}")
    return int(not passes(change, judged))
