"""What a test leaves running: every process that it started, wherever that has gone, has to end with it."""

from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from kernelgate.sandbox.fork_server import fork_server_pids
from kernelgate.sandbox.process_tree import adopt_orphans, descendants, is_alive


@contextmanager
def nothing_left_running() -> Iterator[None]:
    """Fail if a process lives on that was not there before; starters may, they serve the tests after."""
    adopt_orphans()  # or what has lost its parent would not be seen
    before = {process.pid for process in descendants(psutil.Process().pid)}
    yield
    left = {process.pid for process in descendants(psutil.Process().pid) if is_alive(process)}
    assert left - before <= fork_server_pids()
