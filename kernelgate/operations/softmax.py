"""Softmax over rows of any length up to 32768: x [2048, N], float32."""

import torch
from torch import Tensor

from kernelgate.operations.declaration.argument import Argument
from kernelgate.operations.declaration.kernel_config import KernelConfig
from kernelgate.operations.declaration.operation import Operation, Original
from kernelgate.operations.declaration.relations import Permutation, Relations
from kernelgate.operations.truth.function import FunctionReference

ROWS, LONGEST = 2048, 32768


def normalise(x: Tensor) -> Tensor:
    """Return the softmax of each row."""
    return torch.softmax(x, dim=1)


SOFTMAX = Operation(
    name="softmax",
    inputs=(Argument("x", (ROWS, "N")),),
    output=(ROWS, "N"),
    output_axes=("row", "column"),
    reference=FunctionReference(normalise, "torch.softmax(x, dim=1)", rows=("x",)),
    relations=Relations(features=Permutation({"x": 0}, output=0), independent=False),
    measured_batch=8192,
    last_batch=LONGEST,
    flops_each=5,
    original=Original(
        sha256="ce3c29c43adff5b03eb2451e44699e9c638b9ef92d608f06e58f7ceda6601c2d",
        config=KernelConfig(blocks={}, num_warps=4, num_stages=1),
        stages=(1,),
    ),
)
