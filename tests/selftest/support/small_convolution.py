"""The first operation with another geometry, small enough to be computed in milliseconds."""

from typing import Any

import msgspec
from torch import Tensor

from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.declaration.convolution import declare_convolution
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.truth.convolution import Convolution

FAN_IN = 363
"""Of AlexNet's first convolution: 3 channels of 11 by 11."""


def geometry_of(operation: Operation) -> Convolution:
    """Return the geometry of an operation that is a convolution."""
    assert isinstance(operation.reference, Convolution)
    return operation.reference


def resize(measured_batch: int = ALEXNET_CONV1.measured_batch, **changes: Any) -> Operation:
    """Return AlexNet's first convolution with some extents of its geometry changed."""
    return declare_convolution(
        ALEXNET_CONV1.name,
        msgspec.structs.replace(geometry_of(ALEXNET_CONV1), **changes),
        measured_batch=measured_batch,
        original=ALEXNET_CONV1.original,
        layer=ALEXNET_CONV1.layer,
        model_arguments=ALEXNET_CONV1.model_arguments,
    )


def by_name(x: Tensor, weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
    """Return the tensors of a convolution by their names."""
    return {"x": x, "weight": weight, "bias": bias}
