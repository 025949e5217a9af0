"""Stored records of accepted kernels: load, compare, propose, accept."""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from kernelgate.baselines.records import (
    Accepted,
    CompileRecord,
    ProblemVersion,
    Record,
    SpeedRecord,
    gpu_slug,
)
from kernelgate.errors import KernelgateError
from kernelgate.files import read_foreign, write_whole
from kernelgate.operations import OPERATIONS

MAX_RECORD_BYTES = 1_048_576
_RESTORE = "Restore the file from git, or delete it and accept a new proposal"
NEXT_STEPS = {
    "missing": "Time the accepted kernel on this GPU, then `kernelgate accept` the proposal",
    "unreadable": _RESTORE,
    "truncated": _RESTORE,
    "other-schema": "Write a new proposal with this version of kernelgate, and accept it",
    "invalid": _RESTORE,
    "other-gpu": "Time on the GPU that the record names, or accept a proposal made on this one",
    "other-operation": "Put the file where its own operation's records are, or write a new proposal",
    "other-problem": "Judge `kernels/NAME.py` by the problem file as it is now, and accept that proposal",
    "stale": "Write a new proposal with the kernel file as it is now, and accept it",
    "no-reason": "Say in one line why the record changes",
}
"""What a person does about each reason of a BaselineError."""


ABSENT = ("missing", "other-problem")
"""Reasons of a BaselineError that leave a judgement as it is without a record."""


class BaselineError(KernelgateError, ValueError):
    """A record that cannot be used; `reason` is a key of NEXT_STEPS."""

    def __init__(self, reason: str, where: Path, fault: str) -> None:
        super().__init__(f"{where}: {reason}: {fault}. {NEXT_STEPS[reason]}.")
        self.reason = reason


Of = ProblemVersion | msgspec.UnsetType
"""Which version of a project's own problem; unset for an operation, which the gate itself declares."""

OPERATION = "an operation"
AnyRecord = TypeVar("AnyRecord", bound=Record)
SPEED: dict[str, type[SpeedRecord]] = {"kernelgate.speed/1": SpeedRecord}
COMPILE: dict[str, type[CompileRecord]] = {"kernelgate.compile/1": CompileRecord}
SCHEMAS: dict[str, type[Record]] = {**SPEED, **COMPILE}


def record_path(root: Path, operation: str, slug: str) -> Path:
    """Return where the record of an operation on a GPU (`gpu_slug`) or an architecture ("sm_89") lies."""
    return root / "baselines" / operation / f"{slug}.json"


def load_speed(
    path: Path, *, operation: str, gpu: str, kernel_sha256: str, problem: Of = msgspec.UNSET
) -> SpeedRecord:
    """Return the record of this kernel on this GPU; raises BaselineError for every other content."""
    record = _load(path, SPEED)
    _require_same(path, "other-operation", record.operation, operation)
    _require_version(path, record.problem, problem)
    _require_same(path, "other-gpu", record.gpu, gpu)
    _require_same(path, "stale", record.kernel_sha256, kernel_sha256)
    return record


def load_compile(path: Path, *, operation: str, target: str, problem: Of = msgspec.UNSET) -> CompileRecord:
    """Return the record of this operation and target, of any kernel; raises BaselineError for all else."""
    record = _load(path, COMPILE)
    _require_same(path, "other-operation", record.operation, operation)
    _require_version(path, record.problem, problem)
    _require_same(path, "other-gpu", record.target, target)
    return record


def recorded_gpus(root: Path, operation: str) -> tuple[str, ...]:
    """Return the names of the GPUs that an operation has a speed record on; raises BaselineError."""
    files = sorted(record_path(root, operation, "any").parent.glob("*.json"))
    records = [_load(file, SCHEMAS) for file in files]
    return tuple(record.gpu for record in records if isinstance(record, SpeedRecord))


def propose(record: Record, directory: Path) -> Path:
    """Return the proposal's path, written into the report directory for a person to accept."""
    name = "baseline" if isinstance(record, SpeedRecord) else "compile"
    return _write(directory / f"{name}.proposed.json", record)


def read_proposal(proposal: Path, problems: Iterable[str] = ()) -> Record:
    """Return a proposed record of an operation, or of one of a project's `problems`.

    Raises BaselineError for every other content.
    """
    record, known = _load(proposal, SCHEMAS), (*problems, *OPERATIONS)
    if record.operation not in known:
        fault = f"operation is {record.operation!r}, allowed: {', '.join(known)}"
        raise BaselineError("other-operation", proposal, fault)
    return record


def accept(
    proposal: Path, root: Path, reason: str, kernel_sha256: str, problems: Mapping[str, str] | None = None
) -> Path:
    """Return the path of the record that the proposal became, under `root`/baselines.

    `kernel_sha256` is that of the operation's kernel file now, `problems` are those of the project's own
    problem files by their names. The history continues the record in place, if that is of the same problem.
    Raises BaselineError, and leaves the record in place as it was, for a proposal that is no valid record of
    that kernel, or an empty reason.
    """
    problems = problems or {}
    record = read_proposal(proposal, problems)
    got = OPERATION if record.problem is msgspec.UNSET else record.problem.sha256
    _require_same(proposal, "other-problem", got, problems.get(record.operation, OPERATION))
    _require_same(proposal, "stale", record.kernel_sha256, kernel_sha256)
    try:
        line = _line(record, reason)
    except ValueError as error:
        raise BaselineError("no-reason", proposal, str(error)) from error
    path = record_path(root, record.operation, _slug(record))
    with _alone_in(path.parent):  # two at once must both stand in the history
        return _write(path, msgspec.structs.replace(record, history=(*_history(path, record), line)))


def _line(record: Record, reason: str) -> Accepted:
    speed = record if isinstance(record, SpeedRecord) else None
    return Accepted(
        date=datetime.now(UTC).date().isoformat(),
        reason=reason,
        kernel_sha256=record.kernel_sha256,
        log_ratio_original=speed.log_ratio_original if speed else None,
        error_original=speed.error_original if speed else None,
    )


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process changes records of this folder; the lock ends with the process."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _history(path: Path, record: Record) -> tuple[Accepted, ...]:
    if not os.path.lexists(path):
        return ()
    old = _load(path, {record.schema: type(record)})
    _require_same(path, "other-operation", old.operation, record.operation)
    _require_same(path, "other-gpu", _slug(old), _slug(record))
    return old.history if old.problem == record.problem else ()


def _slug(record: Record) -> str:
    return gpu_slug(record.gpu) if isinstance(record, SpeedRecord) else record.target


def _require_same(path: Path, reason: str, got: str, wanted: str) -> None:
    if got != wanted:
        raise BaselineError(reason, path, f"is of {got!r}, asked for {wanted!r}")


def _require_version(path: Path, got: Of, wanted: Of) -> None:
    if got != wanted:
        # An operation's record among a problem's, or the reverse, is no older version of anything.
        reason = "other-operation" if msgspec.UNSET in (got, wanted) else "other-problem"
        said = [OPERATION if each is msgspec.UNSET else str(each) for each in (got, wanted)]
        raise BaselineError(reason, path, f"is of {said[0]!r}, asked for {said[1]!r}")


def _load(path: Path, kinds: dict[str, type[AnyRecord]]) -> AnyRecord:
    data = _read(path)
    document = _parse(path, data)
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(schema, str) or schema not in kinds:
        raise BaselineError("other-schema", path, f"schema is {schema!r:.80}, allowed: {', '.join(kinds)}")
    try:
        return msgspec.json.decode(data, type=kinds[schema])
    except msgspec.DecodeError as error:
        raise BaselineError("invalid", path, str(error)) from error


def _read(path: Path) -> bytes:
    try:
        return read_foreign(path, MAX_RECORD_BYTES)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        raise BaselineError("missing" if missing else "unreadable", path, str(error.strerror)) from error


def _parse(path: Path, data: bytes) -> object:
    # msgspec keeps the last of two equal keys, so the text is read strictly once before it.
    try:
        return json.loads(data.decode(), object_pairs_hook=_refuse_twins, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        at_end = isinstance(error, json.JSONDecodeError) and error.pos >= len(error.doc.rstrip())
        cut = at_end or not data.rstrip().endswith(b"}")
        raise BaselineError("truncated" if cut else "unreadable", path, str(error)) from error


def _refuse_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise ValueError(f"a key stands twice among {sorted(document)!s:.200}")
    return document


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _write(path: Path, record: Record) -> Path:
    return write_whole(path, msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")
