"""Launch plans as files: `plan.json`, and beside it what the plan names, each file called by its sha256.

Whatever is read was written by somebody else, who may have been told so by a kernel file. What is kept is
written anew, so that nobody else can change it afterwards.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from kernelgate.execution.launch_plan import LaunchPlan
from kernelgate.execution.plan_check import PlanError, check_plan
from kernelgate.files import ForeignFileError, read_foreign, write_whole
from kernelgate.operations.declaration.operation import Operation

PLAN_NAME = "plan.json"
MAX_PLAN_BYTES = 16 * 2**20
MAX_CONTENT_BYTES = 64 * 2**20


class StoredPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A checked plan; `sha256` names the file, and `contents` is the folder of what the plan names."""

    plan: LaunchPlan
    sha256: str
    contents: Path

    def read(self, sha256: str, kind: str) -> bytes:
        """Return the content of that digest; raises PlanError if the file does not hold it."""
        return read_content(self.contents, sha256, kind)


def read_plan(file: Path, operation: Operation) -> StoredPlan:
    """Return a plan and check all of it; raises PlanError, which says what is wrong."""
    try:
        text = read_foreign(file, MAX_PLAN_BYTES)
        plan = msgspec.json.decode(text, type=LaunchPlan)
    except (OSError, ForeignFileError) as error:
        raise PlanError(f"{file}: cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PlanError(f"{file}: no launch plan: {error}") from error
    check_plan(plan, operation)
    stored = StoredPlan(plan=plan, sha256=hashlib.sha256(text).hexdigest(), contents=file.parent)
    for sha256, kind in _named(plan):
        stored.read(sha256, kind)
    return stored


def read_content(folder: Path, sha256: str, kind: str) -> bytes:
    """Return what the folder holds of that digest; raises PlanError if it is missing or something else."""
    file = folder / f"{sha256}.{kind}"
    try:
        content = read_foreign(file, MAX_CONTENT_BYTES)
    except OSError as error:
        raise PlanError(f"{file}: cannot be read: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise PlanError(f"{file}: holds something else than its name says")
    return content


def keep_plan(
    stored: StoredPlan, folder: Path, write: Callable[[Path, bytes], object] = write_whole
) -> StoredPlan:
    """Return the plan as written into the folder: `<sha256>.plan.json`, and what it names."""
    for sha256, kind in _named(stored.plan):
        target = folder / f"{sha256}.{kind}"
        if not target.exists():
            write(target, stored.read(sha256, kind))
    text = msgspec.json.format(msgspec.json.encode(stored.plan), indent=1)
    name = hashlib.sha256(text).hexdigest()
    write(folder / f"{name}.{PLAN_NAME}", text)
    return StoredPlan(plan=stored.plan, sha256=name, contents=folder)


def plan_file(stored: StoredPlan) -> Path:
    """Return the file of a plan that was kept."""
    return stored.contents / f"{stored.sha256}.{PLAN_NAME}"


def _named(plan: LaunchPlan) -> list[tuple[str, str]]:
    """Return digest and kind of every file that the plan names."""
    programs = [
        (sha256, kind)
        for program in plan.programs
        for sha256, kind in ((program.cubin, "cubin"), (program.ptx, "ptx"), (program.ttir, "ttir"))
    ]
    constants = [(buffer.content, "bin") for buffer in plan.buffers if buffer.content is not None]
    return [*dict.fromkeys([*programs, *constants])]
