"""A GPU's peaks, and the time that no launch can undercut."""

from kernelgate.operations.declaration.operation import Operation

PEAKS = {
    "RTX 4090": (1008e9, 82.6e12),
    "H200": (4.8e12, 494.7e12),
    "H100": (3.35e12, 494.7e12),
}
"""Bytes a second and dense TF32 FLOP a second, from NVIDIA's data sheets, by a part of the GPU's name."""


def physical_floor_ms(operation: Operation, batch: int, gpu_name: str) -> float | None:
    """Return the time that no honest launch can undercut on that GPU, None if its peaks are not known.

    It is that of the bytes alone. Winograd's forms need fewer products (S. Winograd, "Arithmetic Complexity
    of Computations", 1980), and a GPU's other cores can form some beside its tensor cores.
    """
    peaks = find_peaks(gpu_name)
    return None if peaks is None else 1000 * operation.min_bytes(batch) / peaks[0]


def find_peaks(gpu_name: str) -> tuple[float, float] | None:
    """Return bytes a second and TF32 FLOP a second of that GPU, None if they are not known."""
    return next((peaks for part, peaks in PEAKS.items() if part in gpu_name), None)
