"""How a judge ends before its time: by a signal, or with whoever started it."""

import ctypes
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from kernelgate.sandbox.worker_process import end_live_workers

PR_SET_PDEATHSIG = 1


@contextmanager
def ending_in_order(*, is_told: bool = True) -> Iterator[None]:
    """Have SIGTERM and SIGINT end in order, so that the scratch folder goes: by itself a signal leaves it."""

    def end(number: int, _frame: FrameType | None) -> None:
        end_live_workers()  # or threads would wait for their answers first
        if is_told:
            print(f"kernelgate: ended by {signal.Signals(number).name}", file=sys.stderr)
        sys.exit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_with_engine() -> None:
    """Have this process sent SIGTERM when the one that started it has ended (prctl(2))."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
