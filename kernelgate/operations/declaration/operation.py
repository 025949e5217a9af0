"""What is computed, and trusted: tensors, reference, error model, relations, work and traffic."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from kernelgate.operations.declaration.argument import ELEMENT_BYTES, Argument, Dtype, Extent, Shape, resolve
from kernelgate.operations.declaration.error_model import ErrorModel, Math, Multilinear
from kernelgate.operations.declaration.kernel_config import KernelConfig
from kernelgate.operations.declaration.relations import Relations
from kernelgate.operations.problem.problem import Problem

if TYPE_CHECKING:  # it imports PyTorch, which a report that names an operation does not need
    from kernelgate.operations.truth.reference import Reference

Algorithm = Literal["direct", "any"]
"""How the products may be formed: one for each tap, or fewer behind transforms, as Winograd's are."""

MAX_ELEMENTS = 2**31 - 1
"""int32 offsets end here: in the domain of an operation no tensor has more."""

PICTURE = 2**18
"""Output elements that are interpreted, or compared in float64, in some tenths of a second."""


class Original(msgspec.Struct, frozen=True, kw_only=True):
    """The first kernel, frozen: digest of its file, its configuration, and the stages that it lists."""

    sha256: str
    config: KernelConfig
    stages: tuple[int, ...]


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation: tensors of one element type, one free size N, every other extent fixed.

    `inputs` are the arguments of `forward` in order, `parameters` those of the model. `layer` is the module
    that models in the strict form keep the parameters in, `model_arguments` what such a model may have to be
    made with. `flops_each` counts the operations of one output element, of products and sums.

    `direct_laws` names the laws that hold for the direct algorithm only: an answer is held to them unless it
    may come by any `algorithm`. `without` names families of values that the reference itself is not for.
    `border` lists the rows of the output, and likewise the columns, that have taps in padding. `last_batch`
    ends the domain where it ends before int32 does.

    Models of a `problem` file are made with `model_inputs`, and may answer otherwise in eval mode, which then
    nobody asks of a candidate.
    """

    name: str
    inputs: tuple[Argument, ...]
    parameters: tuple[Argument, ...] = ()
    output: tuple[Extent, ...]
    output_axes: tuple[str, ...]
    reference: "Reference"
    dtype: Dtype = "float32"
    measured_batch: int
    flops_each: int
    original: Original
    relations: Relations = Relations()
    layer: str = ""
    model_arguments: Mapping[str, int] = {}
    model_inputs: tuple[Any, ...] = ()
    direct_laws: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    border: tuple[int, ...] = ()
    last_batch: int | None = None
    algorithm: Algorithm = "direct"
    same_in_eval: bool = True
    problem: Problem | None = None

    @property
    def math(self) -> Math:
        """The least precise arithmetic that products may be formed in."""
        return self.reference.math

    @property
    def error_model(self) -> ErrorModel:
        """How far an honest answer may be from the truth."""
        return self.reference.error_model

    @property
    def element_bytes(self) -> int:
        """Bytes of one element of any tensor."""
        return ELEMENT_BYTES[self.dtype]

    @property
    def arguments(self) -> tuple[Argument, ...]:
        """Inputs and parameters."""
        return (*self.inputs, *self.parameters)

    @property
    def max_batch(self) -> int:
        """The largest batch of the domain: the last at which offsets of every tensor fit int32."""
        shapes = [self.output_shape(1), *(each.shape_at(1) for each in self.inputs if each.is_free)]
        return self.last_batch or max(1, MAX_ELEMENTS // max(map(math.prod, shapes)))

    @property
    def granule(self) -> int:
        """How many items have as many output elements as a picture has: limits of a batch count these."""
        return max(1, PICTURE // math.prod(self.output_shape(1)))

    @property
    def pixels(self) -> int:
        """How many places one item's channel has: rows times columns of a picture, 1 of a row."""
        return math.prod(self.output_shape(1)[2:])

    @property
    def has_items(self) -> bool:
        """Whether N comes first in every tensor that has it: then items lie one after the other."""
        return self.output[:1] == ("N",) and all(each.axis == 0 for each in self.inputs if each.is_free)

    @property
    def fan_in(self) -> int:
        """Products summed for one output element, as a new layer scales its parameters by; 1 for none."""
        return self.error_model.reduction if isinstance(self.error_model, Multilinear) else 1

    @property
    def stored_parameters(self) -> dict[str, Shape]:
        """Shapes of the parameters, by their names in a model's `state_dict`."""
        return {each.stored_as or each.name: each.shape_at(1) for each in self.parameters}

    def shape_of(self, name: str, batch: int) -> Shape:
        """Return the shape of an argument; raises StopIteration for a name that is none."""
        return next(each for each in self.arguments if each.name == name).shape_at(batch)

    def output_shape(self, batch: int) -> Shape:
        """Return the shape of the output, N first."""
        return resolve(self.output, batch)

    def keeps(self, law: str) -> bool:
        """Whether an answer is held to the law as it is for the direct algorithm.

        Sums that are exact in any order are those of a multilinear operation alone.
        """
        if law == "exact" and not isinstance(self.error_model, Multilinear):
            return False
        return self.algorithm == "direct" or law not in self.direct_laws

    def flops(self, batch: int) -> int:
        """Return the floating-point operations of products and sums."""
        return math.prod(self.output_shape(batch)) * self.flops_each

    def min_bytes(self, batch: int) -> int:
        """Return the fewest bytes that must cross device memory: each tensor read or written once."""
        shapes = [self.output_shape(batch), *(each.shape_at(batch) for each in self.arguments)]
        return self.element_bytes * sum(map(math.prod, shapes))
