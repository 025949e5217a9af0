"""Layer normalisation of rows of 1024, with weight and bias: x [N, 1024], float32."""

from torch import Tensor
from torch.nn.functional import layer_norm

from kernelgate.operations.declaration.argument import Argument
from kernelgate.operations.declaration.kernel_config import KernelConfig
from kernelgate.operations.declaration.operation import Operation, Original
from kernelgate.operations.declaration.relations import Relations
from kernelgate.operations.truth.function import FunctionReference

WIDTH = 1024


def normalise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return rows of mean 0 and variance 1, times weight, plus bias."""
    return layer_norm(x, (WIDTH,), weight, bias)


LAYERNORM = Operation(
    name="layernorm",
    inputs=(Argument("x", ("N", WIDTH)),),
    parameters=(
        Argument("weight", (WIDTH,), "norm.weight", drawn_as="weight"),
        Argument("bias", (WIDTH,), "norm.bias"),
    ),
    output=("N", WIDTH),
    output_axes=("row", "column"),
    reference=FunctionReference(
        normalise, f"torch.nn.functional.layer_norm(x, ({WIDTH},), weight, bias)", rows=("x",)
    ),
    relations=Relations(scaled_weight=("weight", "bias")),
    measured_batch=16384,
    flops_each=8,
    layer="norm",
    # Squares of these leave the range of float32: float64 alone has a variance.
    without=("huge", "tiny"),
    original=Original(
        sha256="15c10bbf0f6112f8f28d2492232bf7468164e00dae6f712fee980be175d45e66",
        config=KernelConfig(blocks={}, num_warps=4, num_stages=1),
        stages=(1,),
    ),
)
