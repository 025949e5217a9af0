"""The largest honest error of each element."""

import numpy as np
from torch import Tensor

from kernelgate.operations.declaration.error_model import FLOAT32_UNIT, STORED_UNITS, UNITS, Multilinear
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.truth.reference import Truth

SMALLEST_NORMAL = 2.0**-126
"""Of float32: a GPU may take what is smaller for zero."""

WINOGRAD_INPUT = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))
WINOGRAD_WEIGHT = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))
WINOGRAD_ANSWER = ((1, 1, 1, 0), (0, 1, -1, -1))
"""B^T, G and A^T of F(2, 3): Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016."""


def hard_bound(operation: Operation, truth: Truth) -> Tensor:
    """Return the largest honest error of each element, by the operation's error model.

    Multilinear: (2u + u^2 + g) S + v |exact|, g = K 2^-23 / (1 - K 2^-23), with operands off by u, float32
    sums in any order and an answer stored with an error of v, which in bfloat16 makes S by v larger: Higham,
    Accuracy and Stability of Numerical Algorithms, 2nd edition, section 3.1. By any algorithm S is the
    largest nearby, times `spread`.

    Measured: `factor` times u S, where S was measured, what a GPU flushes to zero, and `absolute`; of a
    bfloat16 answer also v |exact|.
    """
    model, unit, stored = operation.error_model, UNITS[operation.math], STORED_UNITS[operation.dtype]
    if not isinstance(model, Multilinear):
        own = model.factor * (unit * truth.magnitude + SMALLEST_NORMAL) + model.absolute
        return own if operation.dtype == "float32" else (1 + stored) * own + stored * truth.exact.abs()
    sums = model.reduction * FLOAT32_UNIT / (1 - model.reduction * FLOAT32_UNIT)
    operands = 2 * unit + unit**2
    factor = 1.0 if operation.keeps("hard-bound") else SPREAD
    if operation.dtype != "float32":
        factor *= 1 + stored
    return factor * (operands + sums) * truth.magnitude + stored * truth.exact.abs()


def spread() -> tuple[float, int]:
    """Return how many largest S nearby bound what F(2x2, 3x3) rounds, and within how many rows and columns.

    Squares of stride x stride pixels are folded into channels. Along one axis g_i is the weight and d_j the
    input, each a vector over channels, and output y of a tile is sum_m A[y,m] (G g)_m . (B d)_m. To round
    both operands of each product by a share u is off by at most 2u + u^2 times
    sum_m |A[y,m]| (|G| |g|)_m . (|B| |d|)_m = sum_ij c[y,i,j] |g_i| . |d_j|. S of output j - i is the sum of
    |g_i| . |d_j| over i, so that the pairs of one output are at most max_i c times its S, and all pairs at
    most the sum of these maxima, times the largest S. Two axes multiply.
    """
    answer, weight, x = (np.abs(matrix) for matrix in (WINOGRAD_ANSWER, WINOGRAD_WEIGHT, WINOGRAD_INPUT))
    pairs = np.einsum("ym,mi,mj->yij", answer, weight, x)
    largest, furthest = 0.0, 0
    for y, i_by_j in enumerate(pairs):
        outputs: dict[int, float] = {}
        for (i, j), count in np.ndenumerate(i_by_j):
            if count:
                outputs[j - i - y] = max(outputs.get(j - i - y, 0.0), float(count))
        largest = max(largest, sum(outputs.values()))
        furthest = max(furthest, *map(abs, outputs))
    return largest**2, furthest


SPREAD, _ = spread()
