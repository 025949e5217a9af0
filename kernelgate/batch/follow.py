"""`kernelgate judge --follow`: submissions come in as JSON lines, events and results go out as such."""

import contextlib
import hashlib
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import msgspec

from kernelgate.batch.engine import Engine, open_results
from kernelgate.batch.order import Order
from kernelgate.batch.result import Result
from kernelgate.batch.run import open_judges
from kernelgate.files import write_whole
from kernelgate.judging.watch import Silent
from kernelgate.pipeline.stage import StageName, StageResult

MAX_LINE_BYTES = 2**24
SOURCES = "sources"

Id = str | int


class Submission(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line that comes in: a candidate, by the path of its `file` or as its `source`.

    `id` is the caller's own; what answers it carries it. The other fields take the place of the options that
    the command was given, as the keys of `kernelgate.judge` do.
    """

    id: Id
    file: str | None = None
    source: str | None = None
    operation: str | None = None
    problem: str | None = None
    math: str | None = None
    against: str | None = None
    stage: str | None = None
    algorithm: str | None = None
    rule: str | None = None
    code_path: str | None = None
    plans: str | None = None
    replay: str | None = None
    measure: bool | None = None

    def __post_init__(self) -> None:
        if (self.file is None) == (self.source is None):
            raise ValueError("give either `file` or `source`")


class _Named(msgspec.Struct):
    id: Id | None = None


class StageEvent(msgspec.Struct, frozen=True, kw_only=True, tag="stage", tag_field="event"):
    """A line that goes out when a stage has ended; `detail` says what was seen."""

    id: Id
    stage: StageName
    status: str
    seconds: float
    detail: str


class JudgedEvent(msgspec.Struct, frozen=True, kw_only=True, tag="judged", tag_field="event"):
    """The last line of a submission: its result, which is a line of results.jsonl too."""

    id: Id
    result: Result


class ErrorEvent(msgspec.Struct, frozen=True, kw_only=True, tag="error", tag_field="event"):
    """The only answer to a line that is no submission, counted from 1; with its `id`, if it has one."""

    id: Id | None
    line: int
    detail: str


Event = StageEvent | JudgedEvent | ErrorEvent


def follow(requests: BinaryIO, output: TextIO, options: dict[str, Any], project: Path | None) -> None:
    """Judge what is asked for on each line, until the input ends; each line is answered when it is judged.

    The next line is read when a judge is free, so the pipe holds back who asks too fast. Raises
    KernelgateError or OSError where no result can be kept, or nobody reads the output.
    """
    events = _Events(output)
    with (
        open_results(options.get) as results,
        closing(open_judges(options.get("jobs"), events.of, options.get("cluster"))) as judges,
        contextlib.redirect_stdout(sys.stderr),
    ):
        engine = Engine(results, project, judges.gpus)
        orders = _read_orders(requests, engine, options, results.folder, events)
        for order, result in judges.judge(orders):
            assert result is not None  # more than its form was asked for
            events.send(JudgedEvent(id=order.id, result=engine.keep(result)))


def _read_orders(
    requests: BinaryIO, engine: Engine, options: dict[str, Any], folder: Path, events: "_Events"
) -> Iterator[Order]:
    """Yield what is to be judged; what is known already, or is no submission, is answered at once."""
    for number, line in enumerate(_read_lines(requests), 1):
        try:
            asked = msgspec.json.decode(line, type=Submission)
            chosen = _choose(options, asked, folder)
        except (ValueError, RecursionError) as error:  # msgspec's own errors are ValueErrors
            detail = str(error) if line else f"a line of over {MAX_LINE_BYTES} bytes"
            events.send(ErrorEvent(id=_find_id(line), line=number, detail=detail))
            continue
        order = engine.order(chosen)
        known = order if isinstance(order, Result) else engine.find(order)
        if known is not None:
            events.send(JudgedEvent(id=asked.id, result=known))
        elif isinstance(order, Order):
            yield msgspec.structs.replace(order, id=asked.id)


class _Events:
    """Writes events, one a line, from any thread."""

    def __init__(self, output: TextIO) -> None:
        self._output, self._lock = output, threading.Lock()

    def send(self, event: Event) -> None:
        with self._lock:
            print(msgspec.json.encode(event).decode(), file=self._output, flush=True)

    def of(self, order: Order) -> "_Stages":
        return _Stages(self, order.id)


class _Stages(Silent):
    """Tells the end of each stage of one submission."""

    def __init__(self, events: _Events, submission: Id) -> None:
        self._events, self._id = events, submission

    def ended(self, stage: StageName, result: StageResult) -> None:
        if result.status != "not-run":
            seconds = round(result.seconds, 3)
            event = StageEvent(
                id=self._id, stage=stage, status=result.status, seconds=seconds, detail=result.detail
            )
            self._events.send(event)


def _read_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield each line, no more of it than is allowed."""
    while line := stream.readline(MAX_LINE_BYTES):
        rest = line
        while not rest.endswith(b"\n") and (rest := stream.readline(MAX_LINE_BYTES)):
            line = b""  # which is no submission
        yield line


def _find_id(line: bytes) -> Id | None:
    """Return what a line that is no submission calls itself."""
    with contextlib.suppress(ValueError, RecursionError):
        return msgspec.json.decode(line, type=_Named).id
    return None


def _choose(options: dict[str, Any], asked: Submission, folder: Path) -> dict[str, Any]:
    """Return the options of a submission, whose source is a file by then. Raises ValueError, OSError."""
    given = {name: value for name, value in msgspec.structs.asdict(asked).items() if value is not None}
    chosen = options | given
    if "against" in given:
        chosen["accepted"] = given["against"]
    if "problem" in given and "operation" not in given:
        chosen["operation"] = None
    if "operation" in given and "problem" not in given:
        chosen["problem"] = None
    candidate = asked.file
    if asked.source is not None:
        content = asked.source.encode()
        name = f"{hashlib.sha256(content).hexdigest()[:16]}.py"
        candidate = str(write_whole(folder / SOURCES / name, content))
    return chosen | {"candidate": candidate}
