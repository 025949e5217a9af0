"""Where the judges of a batch work: how many there is room for, and which GPU each of them sees."""

from kernelgate.judging.options import AskedError
from kernelgate.machine.cores import usable_cores
from kernelgate.machine.gpu import least_memory_bytes, visible_gpus

CORES_EACH = 4
GPU_BYTES_EACH = 40 * 2**30
"""Of a GPU's memory: what a worker is promised, and what small cases beside it and the judge itself take."""

JUDGES_OF_A_GPU = 3
"""More would wait for it: compiling takes half as long as all that needs the GPU."""

Seat = str | None
"""The GPU that a judge sees, None for one that sees what the caller sees."""


def list_seats(jobs: int | None) -> list[Seat]:
    """Return the places of so many judges, the GPUs by turns; None asks for as many as there is room for.

    Raises AskedError for fewer than one.
    """
    gpus = visible_gpus()
    if jobs is None:
        by_cores = count_by_cores(usable_cores())
        jobs = max(len(gpus), min(by_cores, len(gpus) * _room_on_each())) if gpus else by_cores
    if jobs < 1:
        raise AskedError(f"--jobs {jobs}: allowed 1 or more")
    return [gpus[number % len(gpus)] if gpus else None for number in range(jobs)]


def count_by_cores(cores: int) -> int:
    """Return how many judges a host of so many cores has room for, by its cores alone."""
    return max(1, cores // CORES_EACH)


def _room_on_each() -> int:
    return max(1, min(JUDGES_OF_A_GPU, least_memory_bytes() // GPU_BYTES_EACH))
