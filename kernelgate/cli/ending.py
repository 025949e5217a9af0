"""How a subcommand that starts workers ends by a signal: in order, with an exit code that says which."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Have SIGTERM and SIGINT end in order, so that the scratch folder goes: by itself a signal leaves it."""
    before = {number: signal.signal(number, _end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, _frame: FrameType | None) -> None:
    from kernelgate.sandbox.worker_process import end_live_workers

    end_live_workers()  # or threads would wait for their answers first
    print(f"kernelgate: ended by {signal.Signals(number).name}", file=sys.stderr)
    sys.exit(128 + number)
