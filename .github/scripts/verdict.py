"""The workflow's last word: both jobs must have succeeded and said a verdict.

Needs nothing but Python. Empty, skipped and cancelled are failures; so is a fork's pull request, until
fork.yml has judged the very commit on the GPU machine and left a status on it.
"""

import http.client
import json
import os
import re
import sys
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

STATUS = "kernelgate/fork"
STATUS_BY = "github-actions[bot]"
TIMEOUT_S = 30


@dataclass(frozen=True)
class Job:
    """How a job ended, what it said of the changed kernels, and of those that it guarded, if any."""

    name: str
    result: str
    verdict: str
    guard: str = ""

    @property
    def passes(self) -> bool:
        """Whether it succeeded, and said so."""
        return self.result == "success" and bool(self.verdict)


def judge(environment: Mapping[str, str]) -> list[Job]:
    """Return how both jobs ended; for a fork's commit the status by fork.yml counts as the second."""
    hosted, gpu = (
        Job(
            name,
            *(plain(environment.get(f"{name}_{what}".upper())) for what in ("result", "verdict", "guard")),
        )
        for name in ("hosted", "gpu")
    )
    if gpu.result == "skipped" and is_fork(environment):
        gpu = Job("gpu", *judged_for_fork(environment))
    return [hosted, gpu]


def is_fork(environment: Mapping[str, str]) -> bool:
    """Return whether a pull request comes from another repository than this one."""
    proposed_by = environment.get("PROPOSED_BY", "")
    return bool(environment.get("NUMBER")) and proposed_by != environment.get("GITHUB_REPOSITORY")


def plain(text: str | None) -> str:
    """Return text that is no Markdown and no command, on a line that it cannot leave."""
    return re.sub(r"[^A-Za-z0-9_ .,:/()-]", "?", text or "")


def judged_for_fork(environment: Mapping[str, str]) -> tuple[str, str]:
    """Return result and verdict of the commit's newest status by fork.yml; `skipped` if there is none."""
    url = (
        f"{environment.get('GITHUB_API_URL', '')}/repos/{environment.get('GITHUB_REPOSITORY', '')}"
        f"/commits/{urllib.parse.quote(environment.get('PROPOSED', ''), safe='')}/statuses?per_page=100"
    )
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {environment.get('GITHUB_TOKEN', '')}",
    }
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the runner names the server
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            statuses = json.load(answer)
        ours = [s for s in statuses if s["context"] == STATUS and s["creator"]["login"] == STATUS_BY]
        # GitHub lists the newest first.
        return (plain(ours[0]["state"]), plain(ours[0]["description"])) if ours else ("skipped", "")
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        print(f"the statuses of the commit cannot be read: {plain(repr(error))}")
        return "skipped", ""


def advise(environment: Mapping[str, str], job: Job) -> str:
    """Return one line on what to do about a job that did not pass."""
    if job.name == "gpu" and is_fork(environment) and job.result == "skipped":
        return (
            f"gpu: workflow fork has not judged commit {plain(environment.get('PROPOSED'))} yet. It starts "
            "by itself when this run ends, if job hosted has passed, and then runs this job again."
        )
    if job.result == "skipped":
        return f"{job.name}: was skipped, since a job before it failed or its condition is not met."
    if job.result == "cancelled":
        return f"{job.name}: was cancelled, by hand, by a newer push or by its time limit. Run it again."
    if job.result == "success":
        return f"{job.name}: ended without a verdict. Read its log, and run it again."
    said = ", guard: ".join(filter(None, (job.verdict or "no verdict", job.guard)))
    return f"{job.name}: {said}. Its summary and its log name the cause and what to do."


def render(jobs: Sequence[Job], advice: Sequence[str]) -> str:
    """Return the page of the step summary."""
    heading = "does not pass" if advice else "passes"
    lines = [f"# kernelgate {heading}", "", "| job | result | verdict | guard |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {job.name} | {job.result or 'none'} | {job.verdict or 'none'} | {job.guard or 'not needed'} |"
        for job in jobs
    ]
    todo = advice or [
        "Nothing to do. After a KEEP is merged: start accept-baseline with the number of main's run of gate."
    ]
    return "\n".join([*lines, "", *(f"- {line}" for line in todo)]) + "\n"


def main() -> int:
    """Return 0 if both jobs passed."""
    jobs = judge(os.environ)
    advice = [advise(os.environ, job) for job in jobs if not job.passes]
    page = render(jobs, advice)
    print(page)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as stream:
            stream.write(page)
    for line in advice:
        print(f"::error title=kernelgate::{line}")
    return int(bool(advice))


if __name__ == "__main__":
    sys.exit(main())
