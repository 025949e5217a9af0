"""A configuration as it is named to people."""

import msgspec
import pytest

from kernelgate.operations.declaration.kernel_config import KernelConfig


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "32/64, 4 warps, 2 stages"),
        ({"num_ctas": 2}, "32/64, 4 warps, 2 stages, 2 blocks a cluster"),
        ({"max_registers": 128}, "32/64, 4 warps, 2 stages, 128 registers at most"),
        ({"blocks": {"A": 32, "B": "'fast'"}}, "32/'fast', 4 warps, 2 stages"),
    ],
)
def test_a_configuration_is_named_by_all_that_it_sets(changes: dict[str, object], text: str) -> None:
    """What is not as usual is part of the name."""
    config = KernelConfig(blocks={"A": 32, "B": 64}, num_warps=4, num_stages=2)
    assert str(msgspec.structs.replace(config, **changes)) == text


@pytest.mark.parametrize(
    ("blocks", "shown"),
    [({"BLOCK_M": 32, "BLOCK_N": 64}, "32/64, 4 warps, 3 stages"), ({}, "4 warps, 3 stages")],
)
def test_a_configuration_is_named_by_what_it_has(blocks: dict[str, int | str], shown: str) -> None:
    """A kernel without an autotuner has no blocks that a configuration could list."""
    assert str(KernelConfig(blocks=blocks, num_warps=4, num_stages=3)) == shown
