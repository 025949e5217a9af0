"""The geometry of the first operation, against numbers worked out by hand."""

import msgspec
import pytest
from kernelgate.operations.convolution import MAX_OUTPUT_ELEMENTS, Operation

from kernelgate.operations import OPERATIONS, find_operation
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.declaration.kernel_config import KernelConfig

OUTPUTS_AN_IMAGE = 96 * 55 * 55


def test_the_output_is_55_by_55() -> None:
    """(224 + 2 * 2 - 11) / 4 is 54.25: 54 whole steps and the first place."""
    assert ALEXNET_CONV1.out_size == 55
    assert ALEXNET_CONV1.output_shape(256) == (256, 96, 55, 55)
    assert ALEXNET_CONV1.input_shape(256) == (256, 3, 224, 224)
    assert ALEXNET_CONV1.weight_shape == (96, 3, 11, 11)


def test_an_output_element_sums_363_products() -> None:
    """3 channels of 11 by 11."""
    assert ALEXNET_CONV1.reduction == 363


def test_the_measured_batch_is_54_gflop() -> None:
    """Two operations a product: 2 * 256 * 290400 * 363."""
    assert ALEXNET_CONV1.measured_batch == 256
    assert ALEXNET_CONV1.flops(256) == 53_972_582_400
    assert ALEXNET_CONV1.flops(256) / 1e9 == pytest.approx(54.0, abs=0.05)


def test_the_measured_batch_moves_452_megabytes() -> None:
    """Input 154.1 MB, output 297.4 MB, weight 0.14 MB and bias, each once."""
    by_hand = 4 * (256 * 150_528 + 256 * 290_400 + 34_848 + 96)
    assert ALEXNET_CONV1.min_bytes(256) == by_hand
    assert round(ALEXNET_CONV1.min_bytes(256) / 1e6) == 452


def test_the_last_batch_of_the_domain_is_7394() -> None:
    """7394 images have fewer than 2^31 output elements, 7395 have more."""
    assert 7394 * OUTPUTS_AN_IMAGE == 2_147_217_600 < 2**31 == 2_147_483_648
    assert 7395 * OUTPUTS_AN_IMAGE == 2_147_508_000 > 2**31
    assert ALEXNET_CONV1.max_batch == 7394


def test_the_domain_ends_with_the_last_int32_offset() -> None:
    """Just as many elements as int32 can count are in the domain, one more are not."""
    one_a_pixel = msgspec.structs.replace(
        ALEXNET_CONV1, out_channels=1, in_size=1, kernel_size=1, stride=1, padding=0
    )
    assert one_a_pixel.max_batch == MAX_OUTPUT_ELEMENTS == 2**31 - 1


def test_the_blocks_of_the_original_make_the_measured_grid() -> None:
    """24200 tiles of pixels by 2 of channels are the 48400 programs of the first profile."""
    blocks = ALEXNET_CONV1.original.config.blocks
    tiles = (256 * 55 * 55 / int(blocks["BLOCK_M"]), -(-96 // int(blocks["BLOCK_N"])))
    assert tiles == (24200, 2)


def test_an_operation_is_found_by_its_name() -> None:
    """Every operation is listed under the name that it carries."""
    for name, operation in OPERATIONS.items():
        assert operation.name == name
        assert find_operation(name) is operation


def test_an_unknown_operation_is_an_error_that_lists_the_known() -> None:
    """A typing error is answered with what there is."""
    with pytest.raises(KeyError, match=r"alexnet_conv2.*known: alexnet_conv1"):
        find_operation("alexnet_conv2")


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


def test_padding_and_stride_count() -> None:
    """A small convolution whose output can be counted on the fingers: places 0, 2 and 4 of 1 + 5 + 1."""
    small: Operation = msgspec.structs.replace(
        ALEXNET_CONV1, in_channels=1, in_size=5, kernel_size=3, stride=2, padding=1
    )
    assert small.out_size == 3
    assert small.reduction == 9


@pytest.mark.parametrize(
    ("blocks", "shown"),
    [({"BLOCK_M": 32, "BLOCK_N": 64}, "32/64, 4 warps, 3 stages"), ({}, "4 warps, 3 stages")],
)
def test_a_configuration_is_named_by_what_it_has(blocks: dict[str, int | str], shown: str) -> None:
    """A kernel without an autotuner has no blocks that a configuration could list."""
    assert str(KernelConfig(blocks=blocks, num_warps=4, num_stages=3)) == shown
