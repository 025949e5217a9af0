"""The C library's heap, told to keep what is freed: arrays of a moment then need no fresh pages.

glibc gives each array over 128 KiB pages of its own and takes them back, which costs more than most
operations on them: a launch is three to five times as fast without.
"""

import ctypes
from functools import cache

_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
"""Numbers of malloc.h, as `man mallopt` names them."""

KEPT_BYTES = 512 * 2**20
LARGEST_IN_HEAP = 32 * 2**20
"""The largest that glibc allows; larger arrays, such as buffers, are pages committed when touched."""


@cache
def keep_freed_memory() -> bool:
    """Tell the C library once for this process; return False for one that cannot be told."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        return False
    told = [
        library.mallopt(_MMAP_THRESHOLD, LARGEST_IN_HEAP),
        library.mallopt(_TRIM_THRESHOLD, KEPT_BYTES),
    ]
    return all(told)
