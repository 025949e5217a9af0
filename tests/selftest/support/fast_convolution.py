"""A convolution by fewer products: Winograd's F(2x2, 3x3) on folded squares of pixels, as a kernel has it."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad, pixel_unshuffle

from kernelgate.operations.accuracy.bounds import WINOGRAD_ANSWER, WINOGRAD_INPUT, WINOGRAD_WEIGHT
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.truth.reference import Tensors
from tests.selftest.support.small_convolution import geometry_of


def convolve_fast(operation: Operation, inputs: Tensors, seen_as: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the answer [N, C_out, OH, OW]: transforms in float32, operands seen so, sums rounded once.

    Squares of stride x stride pixels become channels, and the filter grows to whole squares, three each way.
    """
    shape = geometry_of(operation)
    stride, tiles = shape.stride, (shape.out_size + 1) // 2
    assert -(-shape.kernel_size // stride) == 3
    right = (2 * tiles + 2) * stride - shape.padding - shape.in_size
    x = pixel_unshuffle(pad(inputs["x"], (shape.padding, right) * 2), stride)
    weight = pixel_unshuffle(pad(inputs["weight"], (0, 3 * stride - shape.kernel_size) * 2), stride)
    to_x, to_weight, to_answer = map(torch.tensor, (WINOGRAD_INPUT, WINOGRAD_WEIGHT, WINOGRAD_ANSWER))
    pixels = seen_as(_both_sides(to_x.float(), x.unfold(2, 4, 2).unfold(3, 4, 2)))
    filters = seen_as(_both_sides(to_weight, weight))
    products = torch.einsum("odij,ndtuij->notuij", filters.double(), pixels.double()).float()
    answer = _both_sides(to_answer.float(), products).transpose(3, 4).flatten(4, 5).flatten(2, 3)
    size = shape.out_size
    return answer[..., :size, :size] + inputs["bias"][:, None, None]


def _both_sides(matrix: Tensor, blocks: Tensor) -> Tensor:
    """Return M block M^T; no zero of M meets an infinity, since no kernel multiplies by it."""
    for axis in (-2, -1):
        parts = blocks.movedim(axis, -1)
        rows = [sum(c * parts[..., k] for k, c in enumerate(row) if c) for row in matrix.tolist()]
        blocks = torch.stack(rows, -1).movedim(-1, axis)
    return blocks.contiguous()
