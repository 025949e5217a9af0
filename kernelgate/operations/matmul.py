"""A matrix product, float32 in and out, TF32 products: a [N, 1024] times b [1024, 1024]."""

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


MATMUL = Operation(
    name="matmul",
    inputs=(Argument("a", ("N", K)), Argument("b", (K, COLUMNS))),
    output=("N", COLUMNS),
    output_axes=("row", "column"),
    reference=FunctionReference(multiply, "a @ b", rows=("a",), math="tf32", error_model=Multilinear(K)),
    relations=Relations(
        scaled_input=("a",),
        scaled_weight=("b",),
        features=Permutation({"b": 1}, output=1),
    ),
    measured_batch=16384,
    flops_each=2 * K,
    original=Original(
        sha256="434c0ea1ede2e949748745e3709ac0b44ea4086ebff3dd09a5cc85f3f9963bb8",
        config=KernelConfig(
            blocks={"BLOCK_M": 128, "BLOCK_N": 128, "BLOCK_K": 32}, num_warps=8, num_stages=2
        ),
        stages=(2,),
    ),
)
