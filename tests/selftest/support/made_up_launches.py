"""A launch that was never compiled, of which a test names what matters to it."""

from typing import Any

from kernelgate.baselines.compiled import LaunchRecord


def make_launch(**changes: Any) -> LaunchRecord:
    """Return a launch without spills; every field can be another."""
    fields: dict[str, Any] = {
        "kernel": "conv",
        "grid": (24200, 2, 1),
        "arguments_sha256": "0" * 64,
        "code_sha256": "a" * 64,
        "registers": 64,
        "stack_bytes": 0,
        "spill_store_bytes": 0,
        "spill_load_bytes": 0,
        "shared_bytes": 0,
        "blocks_per_sm": 4,
        "warps_per_sm": 16,
    }
    return LaunchRecord(**fields | changes)
