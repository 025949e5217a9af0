"""A change is judged: each kernel that it proposes, or all accepted ones, and one answer for all of them."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from kernelgate.errors import KernelgateError
from kernelgate.operations import OPERATIONS
from kernelgate.pull_request.change import Change, show_blob
from kernelgate.reporting.report_files import REPORT_NAME, ReportError, read_report
from kernelgate.verdict import Outcome, Rule

MIN_FREE_BYTES = 2**30
"""Compile caches, answers and samples of one judgement fit into it."""


class RoomError(KernelgateError):
    """There is no room to judge in, with the place and what to do."""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """How the judgement of one kernel ended; its report lies in `folder`, empty if there is none."""

    kernel: str
    rule: str
    verdict: str
    passes: bool
    detail: str
    next_step: str
    folder: str


class JudgeSetup(msgspec.Struct, frozen=True, kw_only=True):
    """Where kernels are judged: by the project under `root`, into a new folder `reports`; timed if `measure`.

    `profile` says how much is drawn, by the name of a Hypothesis profile. A folder for each kernel, called by
    the sha256 of its file, holds in `plans` the plan book to judge it by, and gets it in `keep_plans`.
    `problems` are the names of the project's own.
    """

    root: Path
    reports: Path
    measure: bool
    profile: str | None = None
    plans: Path | None = None
    keep_plans: Path | None = None
    problems: tuple[str, ...] = ()


def judge_change(setup: JudgeSetup, repository: Path, change: Change) -> list[Judged]:
    """Return how each proposed kernel fares before the gate, the records and the kernels of the setup.

    Raises RoomError.
    """
    _make_room(setup.reports)
    return [
        _judge(setup, kernel.path, show_blob(repository, kernel.blob), kernel.operation, None)
        for kernel in change.kernels
    ]


def judge_accepted(setup: JudgeSetup) -> list[Judged]:
    """Return how each accepted kernel of the setup fares under rule guard. Raises RoomError."""
    _make_room(setup.reports)
    return [
        _judge(setup, path, (setup.root / path).read_bytes(), name, Rule.GUARD)
        for name, path in _find_accepted(setup.root, setup.problems)
    ]


def _find_accepted(root: Path, problems: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield what the project has accepted kernels of, and their paths; what has an original must."""
    for name in (*problems, *OPERATIONS):
        path, original = f"kernels/{name}.py", root / "kernels" / f"{name}_original.py"
        if (root / path).exists() or original.exists():
            yield name, path


def _judge(setup: JudgeSetup, path: str, content: bytes, operation: str, rule: Rule | None) -> Judged:
    """Return what a run of the gate says of these bytes, which are laid beside its report."""
    file = setup.reports / path
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    folder = Path(path).stem
    command = [sys.executable, "-P", "-m", "kernelgate", "judge", path, f"--project={setup.root}"]
    # In one word with its option: no value is taken for an option.
    command += [f"--operation={operation}", f"--report-dir={folder}"]
    command += [f"--rule={rule}"] if rule else []
    command += ["--measure" if setup.measure else "--no-measure"]
    command += [f"--profile={setup.profile}"] if setup.profile else []
    sha256 = hashlib.sha256(content).hexdigest()
    command += [f"--plans={setup.plans / sha256}"] if setup.plans else []
    command += [f"--keep-plans={setup.keep_plans / sha256}"] if setup.keep_plans else []
    # What was said so far must stand before what the gate says.
    sys.stdout.flush()
    # Named from here, so that no report holds the machine's paths; the package is that of the setup.
    environment = os.environ | {"PYTHONPATH": str(setup.root)}
    status = subprocess.run(command, cwd=setup.reports, env=environment, check=False).returncode
    judged = _read_report(setup.reports / folder, path, sha256)
    if status == 0 or not judged.passes:
        return judged
    detail = f"the gate ended with status {status}, its report says {judged.verdict}"
    return msgspec.structs.replace(judged, verdict=Outcome.INVALID.value, passes=False, detail=detail)


def _read_report(folder: Path, path: str, sha256: str) -> Judged:
    """Return what the report says; none, or one of other bytes, never passes."""
    try:
        said = read_report(folder / REPORT_NAME)
    except ReportError as error:
        return _without_report(path, f"the gate left no report that can be read ({str(error)!r:.300})")
    digest = said.candidate.sha256
    # What cannot be read has no digest, and is a reason to fail only.
    if digest != sha256 and (digest is not None or said.passes):
        return _without_report(path, f"the report is of other bytes: {digest!s:.64}")
    return Judged(
        kernel=path,
        rule=said.rule.value,
        verdict=said.verdict.value,
        passes=said.passes and said.verdict.passes,
        detail=said.detail,
        next_step=said.next_step,
        folder=folder.name,
    )


def _without_report(path: str, detail: str) -> Judged:
    return Judged(
        kernel=path,
        rule="",
        verdict=Outcome.INVALID.value,
        passes=False,
        detail=detail,
        next_step="Read the log of this step: the gate says there why it ended.",
        folder="",
    )


def _make_room(reports: Path) -> None:
    """Make the folder, which must be new: a report that lies there already is of another change."""
    try:
        reports.mkdir(parents=True)
    except FileExistsError:
        raise RoomError(f"{reports}: exists already; name a new folder for the reports") from None
    for place in (reports, Path(tempfile.gettempdir())):
        free = shutil.disk_usage(place).free
        if free < MIN_FREE_BYTES:
            reports.rmdir()  # so that it is new again
            need = f"{MIN_FREE_BYTES / 2**20:.0f} MiB are needed"
            raise RoomError(
                f"disk full: {free / 2**20:.0f} MiB free under {place}, {need}. Make room, and run again."
            )
