"""The geometry of the first operation, against numbers worked out by hand."""

import pytest

from kernelgate.operations import OPERATIONS, find_operation
from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.declaration.operation import MAX_ELEMENTS
from tests.selftest.support.small_convolution import geometry_of, resize

OUTPUTS_AN_IMAGE = 96 * 55 * 55


def test_the_output_is_55_by_55() -> None:
    """(224 + 2 * 2 - 11) / 4 is 54.25: 54 whole steps and the first place."""
    assert geometry_of(ALEXNET_CONV1).out_size == 55
    assert ALEXNET_CONV1.output_shape(256) == (256, 96, 55, 55)
    assert ALEXNET_CONV1.shape_of("x", 256) == (256, 3, 224, 224)
    assert ALEXNET_CONV1.shape_of("weight", 1) == (96, 3, 11, 11)


def test_an_output_element_sums_363_products() -> None:
    """3 channels of 11 by 11."""
    assert geometry_of(ALEXNET_CONV1).reduction == 363


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
    one_a_pixel = resize(in_channels=1, out_channels=1, in_size=1, kernel_size=1, stride=1, padding=0)
    assert one_a_pixel.max_batch == MAX_ELEMENTS == 2**31 - 1


def test_the_blocks_of_the_original_make_the_measured_grid() -> None:
    """24200 tiles of pixels by 2 of channels are the 48400 programs of the first profile."""
    blocks = ALEXNET_CONV1.original.config.blocks
    tiles = (256 * 55 * 55 / int(blocks["BLOCK_M"]), -(-96 // int(blocks["BLOCK_N"])))
    assert tiles == (24200, 2)


def test_an_operation_is_found_by_its_name() -> None:
    """Every operation is listed under the name that it carries."""
    assert OPERATIONS == ("alexnet_conv1", "conv3x3", "layernorm", "matmul", "matmul_bf16", "softmax")
    for name in OPERATIONS:
        assert find_operation(name).name == name
    assert find_operation("alexnet_conv1") is ALEXNET_CONV1


def test_an_unknown_operation_is_an_error_that_lists_the_known() -> None:
    """A typing error is answered with what there is."""
    with pytest.raises(KeyError, match=r"alexnet_conv2.*known: alexnet_conv1"):
        find_operation("alexnet_conv2")


def test_padding_and_stride_count() -> None:
    """A small convolution whose output can be counted on the fingers: places 0, 2 and 4 of 1 + 5 + 1."""
    small = resize(in_channels=1, in_size=5, kernel_size=3, stride=2, padding=1)
    assert geometry_of(small).out_size == 3
    assert geometry_of(small).reduction == 9
