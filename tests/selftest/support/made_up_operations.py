"""Operations that the gate does not have, to show that it asks no more of one than its declaration."""

from typing import Any

import torch
from torch import Tensor

from kernelgate.operations.alexnet_conv1 import ALEXNET_CONV1
from kernelgate.operations.declaration.argument import Argument
from kernelgate.operations.declaration.error_model import ErrorModel, Math, Measured, Multilinear
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.declaration.relations import Permutation, Relations
from kernelgate.operations.truth.function import Compute, FunctionReference

INNER, OUTER, ROWS = 24, 10, 6


def _product(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return x @ weight + bias


def _difference(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).sum(1)


def _softmax(x: Tensor) -> Tensor:
    return torch.softmax(x, dim=1)


def _declare(name: str, compute: Compute, math: Math, model: ErrorModel, **declared: Any) -> Operation:
    inputs: tuple[Argument, ...] = declared["inputs"]
    first = declared["output"][0] == "N" and all(each.axis == 0 for each in inputs if each.is_free)
    free = tuple(each.name for each in inputs if each.is_free) if first else ()
    return Operation(
        name=name,
        reference=FunctionReference(compute, name, rows=free, math=math, error_model=model),
        measured_batch=64,
        flops_each=1,
        original=ALEXNET_CONV1.original,
        **declared,
    )


def declare_product(model: ErrorModel | None = None) -> Operation:
    """Return x [N, 24] times weight [24, 10], and a bias: by default its bound is proven."""
    return _declare(
        "product",
        _product,
        "tf32",
        model or Multilinear(INNER),
        inputs=(Argument("x", ("N", INNER)),),
        parameters=(
            Argument("weight", (INNER, OUTER), "layer.weight"),
            Argument("bias", (OUTER,), optional=True),
        ),
        output=("N", OUTER),
        output_axes=("row", "column"),
        relations=Relations(
            scaled_input=("x", "bias"), features=Permutation({"weight": 1, "bias": 0}, output=1)
        ),
    )


PRODUCT = declare_product()

ANY_PRODUCT = declare_product(Measured())
"""The same, with a bound that is measured."""

DIFFERENCE = _declare(
    "difference",
    _difference,
    "tf32",
    Measured(),
    inputs=(Argument("one", ("N", INNER)), Argument("other", ("N", INNER))),
    output=("N",),
    output_axes=("row",),
)
"""Two inputs of one shape: what they are off by alike does not show in it."""

SOFTMAX = _declare(
    "softmax",
    _softmax,
    "float32",
    Measured(),
    inputs=(Argument("x", (ROWS, "N")),),
    output=(ROWS, "N"),
    output_axes=("row", "column"),
    relations=Relations(independent=False),
)
"""Rows whose length is the free size: N is not the first axis, and its items are not independent."""

SCALED_COLUMNS = _declare(
    "scaled_columns",
    lambda x, weight: x * weight[:, None],
    "float32",
    Multilinear(1),
    inputs=(Argument("x", (ROWS, "N")),),
    parameters=(Argument("weight", (ROWS,)),),
    output=(ROWS, "N"),
    output_axes=("row", "column"),
    relations=Relations(features=Permutation({"x": 0, "weight": 0}, output=0)),
)
"""Independent items along the last axis, and features along the first."""

ALL = (PRODUCT, ANY_PRODUCT, DIFFERENCE, SOFTMAX, SCALED_COLUMNS)
