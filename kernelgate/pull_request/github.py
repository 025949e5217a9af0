"""What a runner of GitHub is told: a page for people, outputs for later steps, and marks at what failed.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

MAX_MARK_CHARACTERS = 1000


def write_summary(environment: Mapping[str, str], page: str) -> None:
    """Append a page to the step's summary, where there is a runner that names the file."""
    _append(environment.get("GITHUB_STEP_SUMMARY"), page)


def write_outputs(environment: Mapping[str, str], outputs: Mapping[str, str]) -> None:
    """Append the step's outputs, of one line each, to the file that a runner names."""
    _append(environment.get("GITHUB_OUTPUT"), "".join(f"{key}={value}\n" for key, value in outputs.items()))


def mark_failures(environment: Mapping[str, str], failures: Sequence[str]) -> None:
    """Print the commands that show failures beside a check; none where no runner reads."""
    if environment.get("GITHUB_ACTIONS"):
        for line in failures:
            print(f"::error title=kernelgate::{_escape(line[:MAX_MARK_CHARACTERS])}")


def _append(file: str | None, text: str) -> None:
    if file:
        with Path(file).open("a", encoding="utf-8") as stream:
            stream.write(text)


def _escape(text: str) -> str:
    """Return text that stays within its command: the runner reads a line, and %XX in it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
