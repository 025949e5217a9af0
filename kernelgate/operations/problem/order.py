"""Having a problem file looked at by another process, within limits of time and memory."""

import hashlib
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import msgspec

from kernelgate.operations.declaration.error_model import Math
from kernelgate.operations.problem.problem import Problem, ProblemError
from kernelgate.settings import Limits

SHOWN = 500


class ExaminationOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Which file to look at, the math that is declared (None for what it suggests), and the limits."""

    file: str
    math: Math | None = None
    memory_bytes: int = 16 * 2**30
    seconds: float = 300.0

    @classmethod
    def within(cls, limits: Limits, file: Path, math: Math | None) -> "ExaminationOrder":
        """Return the order to look at a file within a project's limits."""
        seconds, memory_bytes = limits.problem_timeout_s, limits.problem_memory_bytes
        return cls(file=str(file), math=math, memory_bytes=memory_bytes, seconds=seconds)


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """Why the file is no operation."""

    kind: str
    detail: str


_DECODE = msgspec.json.Decoder(dict)


def read_problem(order: ExaminationOrder) -> Problem:
    """Return what a problem file declares; raises ProblemError if it is none, or goes beyond the limits.

    The same file is looked at once, for all candidates that a process judges by it.
    """
    try:
        content = hashlib.sha256(Path(order.file).read_bytes()).hexdigest()
    except OSError as error:
        raise ProblemError("raises", f"{order.file}: cannot be read: {error.strerror}") from error
    return _examine(order, content)


@cache
def _examine(order: ExaminationOrder, _content: str) -> Problem:
    with tempfile.TemporaryDirectory(prefix="kernelgate-problem-") as folder:
        asked, answered = Path(folder) / "order.json", Path(folder) / "answer.json"
        asked.write_bytes(msgspec.json.encode(order))
        command = [sys.executable, "-m", "kernelgate.operations.problem", str(asked), str(answered)]
        try:
            ended = subprocess.run(command, capture_output=True, timeout=order.seconds, check=False)
        except subprocess.TimeoutExpired as error:
            detail = f"{order.file}: no end within {order.seconds:.0f} s"
            raise ProblemError("no-answer", detail) from error
        if not answered.exists():
            raise _describe_end(order, ended)
        return _decode(order.file, answered.read_bytes())


def _decode(file: str, text: bytes) -> Problem:
    fields = _DECODE.decode(text)
    if fields.get("type") == "refused":
        raise ProblemError(fields["kind"], f"{Path(file).name}: {fields['detail']}")
    return msgspec.json.decode(text, type=Problem)


def _describe_end(order: ExaminationOrder, ended: "subprocess.CompletedProcess[bytes]") -> ProblemError:
    said = ended.stderr.decode(errors="replace").strip()[-SHOWN:]
    if "MemoryError" in said or "can't allocate" in said or "bad_alloc" in said:
        return ProblemError("memory", f"{order.file}: needs more than {order.memory_bytes / 2**30:.0f} GiB")
    how = f"signal {-ended.returncode}" if ended.returncode < 0 else f"exit code {ended.returncode}"
    return ProblemError("raises", f"{order.file}: ended by {how}: {said}")
