"""Between the host and a GPU, by pinned memory: a copy takes its turn there, and the host does not wait.

CUDA's own copies from other memory wait for all that was asked of the stream before.
"""

from torch import Tensor, empty_like

MAX_PINNED_BYTES = 2**27
"""Of one copy: pinned memory is kept once it was used, and no other program gets it."""


def to_gpu(values: Tensor) -> Tensor:
    """Return values on the GPU, for work on the current stream; the host goes on at once."""
    pinned = values.pin_memory() if values.nbytes <= MAX_PINNED_BYTES else values
    return pinned.to("cuda", non_blocking=True)


def to_host(values: Tensor) -> Tensor:
    """Return values on the host, with all that the GPU was to do with them done."""
    if not values.is_cuda or values.nbytes > MAX_PINNED_BYTES:
        return values.cpu()
    return empty_like(values, device="cpu", pin_memory=True).copy_(values)
