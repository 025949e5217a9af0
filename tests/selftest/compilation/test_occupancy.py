"""Resident blocks, against what NVIDIA's occupancy calculator gives, worked out by hand."""

import pytest

from kernelgate.compilation.machine_code.occupancy import resident_blocks

KIB = 1024


@pytest.mark.parametrize(
    ("capability", "registers", "shared_bytes", "num_warps", "blocks"),
    [
        (89, 207, 12 * KIB, 4, 2),
        (89, 207, 0, 1, 8),
        (89, 207, 0, 2, 4),
        (89, 128, 12 * KIB, 4, 4),
        (89, 129, 0, 4, 3),
        (89, 136, 0, 4, 3),
        (89, 168, 0, 4, 3),
        (89, 169, 0, 4, 2),
        (89, 255, 0, 4, 2),
        (89, 255, 0, 8, 1),
        (89, 255, 0, 16, 0),
        (89, 32, 0, 4, 12),
        (89, 40, 0, 4, 12),
        (89, 41, 0, 4, 10),
        (89, 32, 0, 1, 24),
        (89, 32, 0, 2, 24),
        (89, 32, 0, 16, 3),
        (89, 32, 0, 32, 1),
        (89, 32, 48 * KIB, 4, 2),
        (89, 32, 49 * KIB, 4, 2),
        (89, 32, 49 * KIB + 1, 4, 1),
        (89, 32, 99 * KIB, 4, 1),
        (89, 32, 99 * KIB + 1, 4, 0),
        (89, 32, 12 * KIB, 4, 7),
        (89, 32, 3 * KIB, 1, 24),
        (89, 0, 0, 4, 12),
        (90, 207, 12 * KIB, 4, 2),
        (90, 128, 12 * KIB, 4, 4),
        (90, 32, 0, 1, 32),
        (90, 32, 0, 4, 16),
        (90, 32, 0, 16, 4),
        (90, 32, 48 * KIB, 4, 4),
        (90, 32, 227 * KIB, 4, 1),
        (90, 32, 227 * KIB + 1, 4, 0),
        (90, 64, 0, 4, 8),
        (90, 65, 0, 4, 7),
    ],
)
def test_the_scarcest_resource_limits_the_blocks(
    capability: int, registers: int, shared_bytes: int, num_warps: int, blocks: int
) -> None:
    """Registers, shared memory, warps and block slots each bind in turn, at the edge and beside it."""
    got = resident_blocks(capability, registers=registers, shared_bytes=shared_bytes, num_warps=num_warps)
    assert got == blocks


def test_an_unknown_capability_is_an_error() -> None:
    """Limits are not guessed from a neighbour's."""
    with pytest.raises(KeyError, match="88"):
        resident_blocks(88, registers=32, shared_bytes=0, num_warps=4)
