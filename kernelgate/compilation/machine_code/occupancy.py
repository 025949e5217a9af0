"""How many blocks and warps of a kernel fit on one streaming multiprocessor."""

import msgspec


class SmLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one multiprocessor of a compute capability holds."""

    warps: int
    blocks: int
    shared_bytes: int
    registers: int = 65536


KIB = 1024
SM_LIMITS = {
    80: SmLimits(warps=64, blocks=32, shared_bytes=164 * KIB),
    86: SmLimits(warps=48, blocks=16, shared_bytes=100 * KIB),
    89: SmLimits(warps=48, blocks=24, shared_bytes=100 * KIB),
    90: SmLimits(warps=64, blocks=32, shared_bytes=228 * KIB),
    100: SmLimits(warps=64, blocks=32, shared_bytes=228 * KIB),
    120: SmLimits(warps=48, blocks=24, shared_bytes=100 * KIB),
}
"""CUDA C++ Programming Guide, table "Technical Specifications per Compute Capability"."""

RESERVED_SHARED_BYTES = 1 * KIB
SHARED_UNIT_BYTES = 128
REGISTER_UNIT = 256
SM_PARTITIONS = 4
"""Allocation units of Nsight Compute's occupancy calculator: registers go to a warp by 256, and each of the
four partitions of a multiprocessor has a quarter of them."""


def resident_blocks(capability: int, *, registers: int, shared_bytes: int, num_warps: int) -> int:
    """Return the blocks that fit on one multiprocessor; raises KeyError for an unknown compute capability."""
    limits = SM_LIMITS[capability]
    by_warps = limits.warps // num_warps
    by_shared = limits.shared_bytes // (_round_up(shared_bytes, SHARED_UNIT_BYTES) + RESERVED_SHARED_BYTES)
    registers_a_warp = _round_up(max(registers, 1) * 32, REGISTER_UNIT)
    warps_by_registers = limits.registers // SM_PARTITIONS // registers_a_warp * SM_PARTITIONS
    return min(limits.blocks, by_warps, by_shared, warps_by_registers // num_warps)


def _round_up(value: int, unit: int) -> int:
    return -(-value // unit) * unit
