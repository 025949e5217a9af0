"""A matrix product of bfloat16 matrices, summed in float32: a [N, 1024] times b [1024, 1024]."""

from torch import Tensor

from kernelgate.operations.declaration.argument import Argument
from kernelgate.operations.declaration.error_model import Multilinear
from kernelgate.operations.declaration.kernel_config import KernelConfig
from kernelgate.operations.declaration.operation import Operation, Original
from kernelgate.operations.declaration.relations import Permutation, Relations
from kernelgate.operations.truth.function import FunctionReference

K, COLUMNS = 1024, 1024


def multiply(a: Tensor, b: Tensor) -> Tensor:
    """Return the product."""
    return a @ b


MATMUL_BF16 = Operation(
    name="matmul_bf16",
    dtype="bfloat16",
    inputs=(Argument("a", ("N", K)), Argument("b", (K, COLUMNS))),
    output=("N", COLUMNS),
    output_axes=("row", "column"),
    # A product of two bfloat16 has 16 significant bits: exact in float32, in which all is summed.
    reference=FunctionReference(multiply, "a @ b", rows=("a",), math="float32", error_model=Multilinear(K)),
    relations=Relations(
        scaled_input=("a",),
        scaled_weight=("b",),
        features=Permutation({"b": 1}, output=1),
    ),
    measured_batch=16384,
    flops_each=2 * K,
    original=Original(
        sha256="cab234fb5e8dc9c952595b87b9ed7a9cdd394aaf93c2b2f48bba6a3a6948d9ab",
        config=KernelConfig(
            blocks={"BLOCK_M": 128, "BLOCK_N": 128, "BLOCK_K": 64}, num_warps=8, num_stages=2
        ),
        stages=(2,),
    ),
)
