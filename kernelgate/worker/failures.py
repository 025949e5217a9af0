"""What a worker says of an error: its kind, its text, and the line of the kernel file that raised it."""

import traceback
from collections.abc import Callable

import torch

from kernelgate import protocol
from kernelgate.errors import InputsError
from kernelgate.execution.interpreted_moves import TooLargeError
from kernelgate.interpreter.errors import CannotInterpretError
from kernelgate.protocol import FailureKind
from kernelgate.worker.compiled_line import find_cause, find_compiled_line
from kernelgate.worker.interpret.findings import AssertionFailedError, EndlessLaunchError
from kernelgate.worker.model.parameters import UnmatchedParametersError


class NotOfferedError(RuntimeError):
    """An autotuner's own rules leave a configuration out for this call."""


KINDS: dict[type[BaseException], FailureKind] = {
    UnmatchedParametersError: FailureKind.OTHER_PARAMETERS,
    InputsError: FailureKind.GATE_FAULT,
    TooLargeError: FailureKind.UNTRIED,
    NotOfferedError: FailureKind.UNTRIED,
    CannotInterpretError: FailureKind.NOT_INTERPRETED,
    EndlessLaunchError: FailureKind.NO_ANSWER,
    AssertionFailedError: FailureKind.RAISES,
}
"""What these errors come to, in any mode."""


def describe_failure(
    error: BaseException, kernel_file: str, unforeseen: FailureKind, is_crowded: Callable[[], bool]
) -> protocol.Failed:
    """Return what the judge is told of an error; one that nobody foresaw comes to `unforeseen`.

    `is_crowded` says whether others hold memory that this worker was promised.
    """
    line = find_compiled_line(error, kernel_file) or _raising_line(error, kernel_file)
    error = find_cause(error)
    if isinstance(error, SystemExit):
        return protocol.Failed(
            kind=FailureKind.EXITS, detail=f"left with status {_text(error, _status)}", line=line
        )
    detail = f"{type(error).__name__}: {_text(error)}"
    if known := next((meant for kind, meant in KINDS.items() if isinstance(error, kind)), None):
        return protocol.Failed(kind=known, detail=detail, line=line)
    exhausted = isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate" in _text(error)
    if exhausted and is_crowded():
        held = f"others hold the GPU's memory: {detail}"
        return protocol.Failed(kind=FailureKind.CROWDED, detail=held, line=line)
    kind = FailureKind.OUT_OF_MEMORY if exhausted else unforeseen
    return protocol.Failed(kind=kind, detail=detail, line=line)


def _raising_line(error: BaseException, kernel_file: str) -> int:
    """Return the line of the kernel file that raised an error last, 0 if none did."""
    frames = traceback.extract_tb(error.__traceback__)
    own = (frame.lineno or 0 for frame in reversed(frames) if frame.filename == kernel_file)
    return next(own, 0)


def _status(error: BaseException) -> str:
    return f"{getattr(error, 'code', None)!r:.40}"


def _text(error: BaseException, show: Callable[[BaseException], str] = str) -> str:
    """Return the text of an error whose class may be the kernel file's own, as it can be sent."""
    try:
        text = show(error).encode("utf-8", "replace").decode()
    except BaseException:  # noqa: BLE001 - the text of an error may raise anything
        return "(its text cannot be shown)"
    return text if len(text) <= 600 else f"{text[:300]} ... {text[-300:]}"
