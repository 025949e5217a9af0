"""Kernels that are truly slower or faster than one of them, by work: programs that write nothing."""

from pathlib import Path

from kernelgate.kernel_file.source import KernelFile, read_kernel

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "docs" / "examples" / "pipelined" / "kernel.py"
TILES = 'triton.cdiv(N * OH * OW, meta["BLOCK_M"])'
OTHER_CONFIGS = (
    '        triton.Config({"BLOCK_M": 32, "BLOCK_N": 64, "BLOCK_K": 32}, num_warps=4, num_stages=2),\n'
    '        triton.Config({"BLOCK_M": 32, "BLOCK_N": 64, "BLOCK_K": 32}, num_warps=4, num_stages=3),\n'
)

BASE = 350
EXTRA = {
    "accepted": BASE,
    "control": BASE,
    "candidate": BASE,
    "slower-0.5": 408,
    "slower-1": 466,
    "slower-2": 582,
    "slower-3": 698,
    "faster-0.5": 292,
    "faster-1": 234,
    "faster-2": 118,
    "faster-3": 2,
}
"""For each arm, how many programs too many are launched for 10,000 tiles; each costs 0.89 of a busy one."""


def make_variant(arm: str, folder: Path) -> KernelFile:
    """Return the kernel file of an arm: one configuration, so that no autotuner chooses between processes."""
    source = SOURCE.read_text(encoding="utf-8")
    if TILES not in source or OTHER_CONFIGS not in source:
        raise ValueError(f"{SOURCE}: has changed: neither its grid nor its configurations are known")
    longer = f"{TILES} * {10_000 + EXTRA[arm]} // 10_000"
    file = folder / f"{arm}.py"
    file.write_text(source.replace(OTHER_CONFIGS, "").replace(TILES, longer), encoding="utf-8")
    return read_kernel(file, len(source) * 2)
