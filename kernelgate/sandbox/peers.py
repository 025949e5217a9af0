"""Other judges of one batch: processes that one engine started, and that take turns on its GPUs.

A judge keeps a CUDA context while it lives. One of the same batch uses it only while it holds the GPU's lock,
so while another one times, it is no load. What it compiles meanwhile gives way to the processes that time:
beside others on the same cores, the clock and the events of a timing drift apart.
"""

import os

import psutil

_ENGINES: set[int] = set()


def join_batch() -> None:
    """Count the processes that started this one, and what else they started, among its peers from now on."""
    _ENGINES.add(os.getppid())


def is_in_batch() -> bool:
    """Return whether other judges may be at work beside this one."""
    return bool(_ENGINES)


def peers() -> set[int]:
    """Return the process ids of the other judges of the batch; none of a judge that belongs to none."""
    found: set[int] = set()
    for engine in _ENGINES & {os.getppid()}:
        found |= {each.pid for each in psutil.Process(engine).children()}
    return found
