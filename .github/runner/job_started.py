"""Refuses every job but the gate's own, and any job when the disk is full.

Run by job-started.sh, before the first step of a job. What it reads of the job comes from GitHub: the runner
sets the variables, and no workflow's `env:` reaches this hook. Whose runner this is, root has written down.
"""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

REPOSITORY_FILE = Path("/etc/kernelgate/repository")
EVENTS = {
    "gate.yml": ("push", "pull_request"),
    "fork.yml": ("workflow_run",),
    "nightly.yml": ("schedule", "workflow_dispatch"),
}
"""The workflows that have work for this machine, and the events that start them."""

MAIN = "refs/heads/main"
NEEDED_FREE_BYTES = 8 * 2**30
"""A checkout, an environment that is not at hand yet, and the reports."""

MAX_SHOWN = 100


def refusal(
    environment: Mapping[str, str], event: object, repository: str, free_bytes: int | None
) -> str | None:
    """Return why the job is refused, None if it may run. `event` is what the event file holds."""
    given, ref = environment.get("GITHUB_REPOSITORY"), environment.get("GITHUB_REF")
    if not repository or given != repository:
        return f"the job is of repository {show(given)}, this runner serves {show(repository)}"
    workflow = environment.get("GITHUB_WORKFLOW_REF")
    prefix = f"{repository}/.github/workflows/"
    name = next((name for name in EVENTS if workflow == f"{prefix}{name}@{ref}"), None)
    if name is None:
        return (
            f"the job is of workflow {show(workflow)} on {show(ref)}, this runner serves {', '.join(EVENTS)}"
        )
    started_by = environment.get("GITHUB_EVENT_NAME")
    if started_by not in EVENTS[name]:
        return f"{name} was started by {show(started_by)}, allowed are {', '.join(EVENTS[name])}"
    if not isinstance(event, dict):
        return f"the event of the job cannot be read: {show(event)}"
    if started_by == "pull_request":
        reason = refusal_of_pull_request(event, ref, repository)
    else:
        reason = None if ref == MAIN else f"{started_by} on {show(ref)}, allowed is {MAIN}"
    if started_by == "workflow_run":
        reason = reason or refusal_of_workflow_run(event)
    return reason or refusal_of_disk(free_bytes)


def refusal_of_pull_request(event: dict[str, object], ref: str | None, repository: str) -> str | None:
    """Return why the pull request is refused, None if it proposes a branch of this very repository."""
    value: object = event
    for key in ("pull_request", "head", "repo", "full_name"):
        value = value.get(key) if isinstance(value, dict) else None
    if value != repository:
        return (
            f"the pull request comes from {show(value)}, not from a branch of {repository}. "
            "Its plans are judged by fork.yml of main"
        )
    number = event.get("number")
    if not isinstance(number, int) or ref != f"refs/pull/{number}/merge":
        return f"pull request {show(number)} does not belong to {show(ref)}"
    return None


def refusal_of_workflow_run(event: dict[str, object]) -> str | None:
    """Return why the job is refused, None if a run for a pull request has started it."""
    run = event.get("workflow_run")
    after = run.get("event") if isinstance(run, dict) else None
    if after == "pull_request":
        return None
    return f"started after a run by {show(after)}, allowed is pull_request"


def refusal_of_disk(free_bytes: int | None) -> str | None:
    """Return why the disk is refused, None if it has room."""
    if free_bytes is not None and free_bytes >= NEEDED_FREE_BYTES:
        return None
    free = "unknown" if free_bytes is None else f"{free_bytes / 2**30:.1f} GiB"
    needed = f"{NEEDED_FREE_BYTES / 2**30:.0f} GiB"
    return f"the disk of the work folder is full: {free} free, needed {needed}. Make room on the runner"


def show(value: object) -> str:
    """Return a value from outside on one line, in ASCII: it goes to a log that obeys commands."""
    shown = ascii(value)
    return shown if len(shown) <= MAX_SHOWN else f"{shown[:MAX_SHOWN]}..."


def read_event(environment: Mapping[str, str]) -> object:
    """Return what the event file holds, or what is wrong with it."""
    try:
        return json.loads(Path(environment["GITHUB_EVENT_PATH"]).read_bytes())
    except (KeyError, OSError, ValueError, RecursionError) as error:
        return f"{type(error).__name__}: {error}"


def read_free_bytes(environment: Mapping[str, str]) -> int | None:
    """Return the free space under the work folder, None if there is no such folder."""
    try:
        return shutil.disk_usage(environment["RUNNER_TEMP"]).free
    except (KeyError, OSError):
        return None


def read_repository() -> str:
    """Return the name that root wrote down, empty if there is none."""
    try:
        return REPOSITORY_FILE.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def main() -> int:
    """Return 0 if the job may run, 1 with the reason if not."""
    event, free_bytes = read_event(os.environ), read_free_bytes(os.environ)
    reason = refusal(os.environ, event, read_repository(), free_bytes)
    if reason is None:
        print("kernelgate: this job may run here")
        return 0
    print(f"::error title=kernelgate::this runner refuses the job: {reason}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
