"""A GPU's peaks, and the time that no launch can undercut."""

from kernelgate.operations.declaration.argument import Dtype
from kernelgate.operations.declaration.operation import Operation

PEAKS = {
    "RTX 4090": (1008e9, 82.6e12),
    "H200": (4.8e12, 494.7e12),
    "H100": (3.35e12, 494.7e12),
}
"""Bytes a second and dense TF32 FLOP a second, from NVIDIA's data sheets, by a part of the GPU's name.

Of bfloat16 they form twice as many.
"""


def physical_floor_ms(operation: Operation, batch: int, gpu_name: str) -> float | None:
    """Return the time that no honest launch can undercut on that GPU, None if its peaks are not known.

    It is that of the bytes alone. Winograd's forms need fewer products (S. Winograd, "Arithmetic Complexity
    of Computations", 1980), and a GPU's other cores can form some beside its tensor cores.
    """
    peaks = find_peaks(gpu_name, operation.dtype)
    return None if peaks is None else 1000 * operation.min_bytes(batch) / peaks[0]


def find_peaks(gpu_name: str, dtype: Dtype) -> tuple[float, float] | None:
    """Return bytes a second and FLOP a second of that GPU on such tensors, None if they are not known."""
    times = 2 if dtype == "bfloat16" else 1
    return next(((moved, times * flops) for part, (moved, flops) in PEAKS.items() if part in gpu_name), None)
