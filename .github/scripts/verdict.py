"""The workflow's last word: both jobs must have succeeded and said a verdict.

Needs nothing but Python. Empty, skipped and cancelled are failures; so is a fork's pull request, until the
status that gpu-fork.yml gives to the very commit says that a maintainer had it judged.
"""

import http.client
import json
import os
import re
import sys
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path

STATUS = "kernelgate/gpu-fork"
STATUS_BY = "github-actions[bot]"
TIMEOUT_S = 30


def judge(environment: Mapping[str, str]) -> tuple[list[tuple[str, str, str]], list[str]]:
    """Return a row for each job (name, result, verdict), and what is to be done where they do not pass."""
    rows = [
        (
            job,
            plain(environment.get(f"{job}_RESULT".upper())),
            plain(environment.get(f"{job}_VERDICT".upper())),
        )
        for job in ("hosted", "gpu")
    ]
    if rows[1][1] == "skipped" and is_fork(environment):
        rows[1] = ("gpu", *judged_for_fork(environment))
    advice = [advise(environment, *row) for row in rows if row[1] != "success" or not row[2]]
    return rows, advice


def is_fork(environment: Mapping[str, str]) -> bool:
    """Return whether a pull request comes from another repository than this one."""
    proposed_by = environment.get("PROPOSED_BY", "")
    return bool(environment.get("NUMBER")) and proposed_by != environment.get("GITHUB_REPOSITORY")


def plain(text: str | None) -> str:
    """Return text that is no Markdown and no command, on a line that it cannot leave."""
    return re.sub(r"[^A-Za-z0-9_ .,:/()-]", "?", text or "")


def judged_for_fork(environment: Mapping[str, str]) -> tuple[str, str]:
    """Return result and verdict of the commit's newest status by gpu-fork.yml; `skipped` if there is none."""
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


def advise(environment: Mapping[str, str], job: str, result: str, verdict: str) -> str:
    """Return one line on what to do about a job that did not pass."""
    number, commit = plain(environment.get("NUMBER")), plain(environment.get("PROPOSED"))
    if job == "gpu" and is_fork(environment) and result == "skipped":
        return (
            "gpu: a fork's code runs on the GPU machine only on a maintainer's word. Read the change, start "
            f"gpu-fork with number {number} and commit {commit}, then run this job again."
        )
    if result == "skipped":
        return f"{job}: was skipped. No runner took it, or its condition is not met; run it."
    if result == "cancelled":
        return f"{job}: was cancelled, by hand, by a newer push or by its time limit. Run it again."
    if result == "success":
        return f"{job}: ended without a verdict. Read its log, and run it again."
    return f"{job}: {verdict or 'no verdict'}. Its summary and its log name the cause and what to do."


def render(rows: list[tuple[str, str, str]], advice: list[str]) -> str:
    """Return the page of the step summary."""
    heading = "does not pass" if advice else "passes"
    lines = [f"# kernelgate {heading}", "", "| job | result | verdict |", "| --- | --- | --- |"]
    lines += [f"| {job} | {result or 'none'} | {verdict or 'none'} |" for job, result, verdict in rows]
    todo = advice or [
        "Nothing to do. After a KEEP is merged: start accept-baseline with the number of the gpu run."
    ]
    return "\n".join([*lines, "", *(f"- {line}" for line in todo)]) + "\n"


def main() -> int:
    """Return 0 if both jobs passed."""
    rows, advice = judge(os.environ)
    page = render(rows, advice)
    print(page)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as stream:
            stream.write(page)
    for line in advice:
        print(f"::error title=kernelgate::{line}")
    return int(bool(advice))


if __name__ == "__main__":
    sys.exit(main())
