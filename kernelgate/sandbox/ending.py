"""How a judge ends before its time: by a signal, or with whoever started it."""

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from kernelgate.sandbox.process_tree import descendants, kill
from kernelgate.sandbox.worker_process import end_live_workers


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Have SIGTERM and SIGINT end in order, so that the scratch folder goes: by itself a signal leaves it."""

    def end(number: int, _frame: FrameType | None) -> None:
        end_live_workers()  # or threads would wait for their answers first
        print(f"kernelgate: ended by {signal.Signals(number).name}", file=sys.stderr)
        sys.exit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_with_engine() -> None:
    """Have this process end at once by SIGTERM, with all that it started, and when its own starter ends.

    An exception would be no end in the middle of an import that takes all of them for its own.
    """
    signal.signal(signal.SIGTERM, lambda number, _frame: _end_at_once(number))
    # The signal that Linux sends for a parent comes when the thread ends that started this process.
    threading.Thread(target=_end_after, args=(os.getppid(),), daemon=True).start()


def _end_after(engine: int) -> None:
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(engine)
        if os.getppid() == engine:  # else its number may be somebody else's by now
            select.select([descriptor], [], [])
    _end_at_once(signal.SIGTERM)


def _end_at_once(number: int) -> None:
    for each in descendants(os.getpid()):
        kill(each)
    os._exit(128 + number)
