"""The connection to a Ray cluster."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator

import ray
from ray.exceptions import RayError

from kernelgate.batch.cluster.errors import ClusterError

LOCAL = "local"
"""The address of a cluster that is started on this host, and ends with the batch."""

REACH_SECONDS = 5.0


def connect(address: str) -> bool:
    """Connect to the cluster; returns False if this process was connected before. Raises ClusterError.

    What judges write stays in Ray's logs: here it would come between the lines of `--json`.
    """
    if ray.is_initialized():
        return False
    local = {"include_dashboard": False} if address == LOCAL else {}
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster that starts here tells nobody of it
    try:
        _require_reachable(address)
        with _keeping_sigterm():
            ray.init(address=address, log_to_driver=False, logging_level="WARNING", **local)
    except (OSError, ValueError, RuntimeError, RayError) as error:
        raise ClusterError(f"--cluster {address}: cannot be reached: {error}") from error
    return True


def _require_reachable(address: str) -> None:
    """Raise OSError if nobody listens there: Ray itself tries for minutes, and then ends the process."""
    host, colon, port = address.removeprefix("ray://").partition("/")[0].rpartition(":")
    if colon and port.isdecimal():
        with socket.create_connection((host.strip("[]"), int(port)), REACH_SECONDS):
            pass


@contextlib.contextmanager
def _keeping_sigterm() -> Iterator[None]:
    """Keep what SIGTERM does here: Ray puts its own end in the place of it."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)
