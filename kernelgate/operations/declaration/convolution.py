"""Operations that are 2-d convolutions: all that follows from their geometry."""

from collections.abc import Mapping

from kernelgate.operations.declaration.argument import Argument
from kernelgate.operations.declaration.operation import Operation, Original
from kernelgate.operations.declaration.relations import Permutation, Relations
from kernelgate.operations.truth.convolution import Convolution

DIRECT_LAWS = ("exact", "hard-bound", "special-values")
"""A transform of the input rounds what the direct algorithm sums exactly, and spreads NaN over its tile."""


def declare_convolution(
    name: str,
    shape: Convolution,
    measured_batch: int,
    original: Original,
    *,
    layer: str,
    model_arguments: Mapping[str, int] | None = None,
    last_batch: int | None = None,
) -> Operation:
    """Return the operation: float32 in and out, NCHW, TF32 products, with a bias, and any batch."""
    channels, size = shape.in_channels, shape.in_size
    filters = (shape.out_channels, channels, shape.kernel_size, shape.kernel_size)
    return Operation(
        name=name,
        inputs=(Argument("x", ("N", channels, size, size)),),
        parameters=(
            Argument("weight", filters, f"{layer}.weight"),
            Argument("bias", (shape.out_channels,), f"{layer}.bias", optional=True),
        ),
        output=("N", shape.out_channels, shape.out_size, shape.out_size),
        output_axes=("image", "channel", "row", "column"),
        reference=shape,
        measured_batch=measured_batch,
        flops_each=2 * shape.reduction,
        original=original,
        relations=Relations(
            scaled_input=("x", "bias"),
            scaled_weight=("weight", "bias"),
            features=Permutation({"weight": 0, "bias": 0}, output=1),
        ),
        last_batch=last_batch,
        layer=layer,
        model_arguments=model_arguments or {},
        direct_laws=DIRECT_LAWS,
        border=shape.padded_places,
    )
