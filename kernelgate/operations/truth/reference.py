"""What tells the truth of an operation: an object of this form, in plain PyTorch."""

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec
import torch
from torch import Tensor

from kernelgate.operations.declaration.error_model import ErrorModel, Math

Tensors = Mapping[str, Tensor]
"""The tensors of one call by name, on one device."""

Positions = tuple[Tensor, ...]
"""Output positions: for each axis an int64 tensor, all equally long."""


class Truth(msgspec.Struct, frozen=True):
    """Float64 values at the same output positions, in the same shape.

    `exact` is the operation; `yardstick` what the declared math makes of it, stored as the answer is.
    `magnitude` is what errors scale with: of a multilinear operation the same sums of absolute values, of
    another how far the answer moves with its operands, in units of the math.

    Where any algorithm is allowed `magnitude` is the largest finite one of all nearby, outputs beyond the
    edge included, and `beside_special` is whether one there is not finite.
    """

    exact: Tensor
    magnitude: Tensor
    yardstick: Tensor
    beside_special: Tensor | None = None

    def flattened(self) -> "Truth":
        """Return the same with one dimension."""
        return self._each(Tensor.flatten)

    def at(self, chosen: Tensor | Positions | slice) -> "Truth":
        """Return the truth of the chosen items or elements, or at these positions, one-dimensional."""
        return self._each(lambda part: part[chosen])

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Truth":
        beside = None if self.beside_special is None else change(self.beside_special)
        return Truth(change(self.exact), change(self.magnitude), change(self.yardstick), beside)


class Reference(Protocol):
    """Computes an operation; `nearby` asks for the truth that fits any algorithm."""

    @property
    def math(self) -> Math:
        """The least precise arithmetic that products may be formed in."""

    @property
    def error_model(self) -> ErrorModel:
        """How far an honest answer may be from the truth."""

    @property
    def vendor_name(self) -> str:
        """Whose code the vendor's answer is, and what it may round to."""

    def everywhere(self, tensors: Tensors, *, nearby: bool) -> Truth:
        """Return the truth at every output position, in the output's shape, on the tensors' device."""

    def at(self, tensors: Tensors, positions: Positions, *, nearby: bool) -> Truth:
        """Return the truth at these positions, one-dimensional, on the tensors' device."""

    def vendor(self, tensors: Tensors) -> Tensor:
        """Return the vendor's answer, as users get it from PyTorch."""

    def script(self) -> tuple[str, str]:
        """Return expressions of the tensors' names for the truth, and for what errors scale with."""


def cut_to_tf32(values: Tensor) -> Tensor:
    """Return float32 values cut to 10 fraction bits, as tensor cores read them; NaN and Inf stay."""
    kept = values.contiguous().view(torch.int32) & ~0x1FFF
    return torch.where(torch.isfinite(values), kept.view(torch.float32), values)


def round_to_tf32(values: Tensor) -> Tensor:
    """Return float32 values rounded to 10 fraction bits, to nearest even; NaN and Inf stay."""
    bits = values.contiguous().view(torch.int32)
    kept = (bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFF
    return torch.where(torch.isfinite(values), kept.view(torch.float32), values)
