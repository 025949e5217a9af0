"""What a new operation begins with: a small one that runs at once, to be changed piece by piece."""

OPERATION = '''\
"""@NAME@: x [N, 1024] times a weight [1024], float32. Say here what is computed."""

from torch import Tensor

from kernelgate.operations.declaration.argument import Argument
from kernelgate.operations.declaration.kernel_config import KernelConfig
from kernelgate.operations.declaration.operation import Operation, Original
from kernelgate.operations.declaration.relations import Permutation, Relations
from kernelgate.operations.truth.function import FunctionReference

WIDTH = 1024


def compute(x: Tensor, weight: Tensor) -> Tensor:
    """Return what the operation is, in plain PyTorch; float64 tensors make it the truth."""
    return x * weight


@UPPER@ = Operation(
    name="@NAME@",
    # The arguments of forward, in order. "N" is the free size: a batch, or the length of a row.
    # All tensors are float32, or bfloat16 where dtype="bfloat16" is said.
    inputs=(Argument("x", ("N", WIDTH)),),
    # What the model holds, and its name there in state_dict. A vector is drawn as a bias, unless it says so.
    parameters=(Argument("weight", (WIDTH,), "weight", drawn_as="weight"),),
    output=("N", WIDTH),
    output_axes=("row", "column"),
    # rows: the tensors of which one row makes one row of the output. Products in TF32 are math="tf32".
    # The allowed error is measured, unless error_model=Multilinear(K): outputs are sums of K products.
    reference=FunctionReference(compute, "x * weight", rows=("x",)),
    # What holds bit for bit, tried by the gate: delete what does not hold here.
    relations=Relations(
        scaled_input=("x",),
        scaled_weight=("weight",),
        features=Permutation({"x": 1, "weight": 0}, output=1),
    ),
    # N of the timing, and the operations of one output element.
    measured_batch=16384,
    flops_each=1,
    # The first kernel: `sha256sum kernels/@NAME@_original.py`, once it is what it shall be for ever.
    original=Original(
        sha256="@SHA256@",
        config=KernelConfig(blocks={"BLOCK": 1024}, num_warps=4, num_stages=1),
        stages=(1,),
    ),
)
'''

KERNEL = '''\
"""@NAME@ in plain form: one block of the output a program. Say here what is computed."""

import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.autotune(
    configs=[
        triton.Config({"BLOCK": 1024}, num_warps=4, num_stages=1),
    ],
    key=["N"],
)
@triton.jit
def @NAME@_kernel(x_ptr, weight_ptr, out_ptr, N, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    """Store one block of out [N, WIDTH]; all tensors are contiguous."""
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = place < N * WIDTH
    x = tl.load(x_ptr + place, mask=inside, other=0.0)
    weight = tl.load(weight_ptr + place % WIDTH)
    tl.store(out_ptr + place, x * weight, mask=inside)


def triton_@NAME@(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return x [N, WIDTH] times weight [WIDTH], float32 on a CUDA device."""
    x, weight = x.contiguous(), weight.contiguous()
    N, width = x.shape
    out = torch.empty_like(x)

    def grid(meta):
        return (triton.cdiv(N * width, meta["BLOCK"]),)

    @NAME@_kernel[grid](x, weight, out, N, WIDTH=width)
    return out


class ModelNew(nn.Module):
    """The operation alone, with its parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1024))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [N, 1024] for x [N, 1024]."""
        return triton_@NAME@(x, self.weight)
'''

TEST = '''\
"""@NAME@: its truth on numbers that are known, and its original, which never changes."""

import hashlib
from pathlib import Path

import torch

from kernelgate.operations import find_operation

OPERATION = find_operation("@NAME@")
ORIGINAL = Path(__file__).parents[3] / "kernels" / "@NAME@_original.py"


def test_the_truth_of_known_numbers() -> None:
    """Worked out by hand, not by the function itself."""
    tensors = {"x": torch.full((3, 1024), 2.0), "weight": torch.full((1024,), 3.0)}
    assert OPERATION.reference.everywhere(tensors, nearby=False).exact.eq(6).all()


def test_the_original_is_frozen() -> None:
    """Every timing is told beside it."""
    assert hashlib.sha256(ORIGINAL.read_bytes()).hexdigest() == OPERATION.original.sha256
'''
