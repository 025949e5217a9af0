"""What a call of the kernel file launches, by the machine code: which configuration its autotuner has taken.

What the autotuner says of itself is the file's to change; the machine code that runs is what users get.
"""

import gc
import hashlib
from collections.abc import Callable
from typing import Any

from triton import knobs
from triton.compiler import CompiledKernel

CALLS_BEFORE = 2
"""The first one autotunes; what a file prepares once is prepared after it."""


def name_launches(call: Callable[[], object]) -> tuple[str, ...]:
    """Return the sha256 of the machine code of each launch of one call, in order, after others of its kind.

    Launches that Triton does not make, such as those of a replayed graph, are not seen.
    """
    for _ in range(CALLS_BEFORE):
        call()
    launched: list[int] = []

    def note(metadata: Any) -> None:
        launched.append(metadata.data["function"])

    knobs.runtime.launch_enter_hook.add(note)
    try:
        call()
    finally:
        knobs.runtime.launch_enter_hook.remove(note)
    # By its type alone: to ask an object of the file's for its class may run code of its own.
    kernels = [each for each in gc.get_objects() if type(each) is CompiledKernel]
    code = {kernel.function: kernel.asm["cubin"] for kernel in kernels}
    return tuple(hashlib.sha256(code[function]).hexdigest() for function in launched)
