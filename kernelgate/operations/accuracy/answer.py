"""An answer beside the truth: which element is which, and how far each is off."""

import math

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kernelgate.operations.accuracy.bounds import hard_bound
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.tensors import as_stored
from kernelgate.operations.truth.places import Offsets, listed
from kernelgate.operations.truth.reference import Truth
from kernelgate.operations.truth.truth import unravel


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Values of a run with the truth at the same places, one-dimensional and in one order.

    They stand at these `offsets` of the output, or where only the items in these `rows` of them do.
    """

    operation: Operation
    values: Tensor
    truth: Truth
    offsets: Offsets
    batch: int
    poison_bits: int
    rows: NDArray[np.int64] | None = None

    def name(self, element: int) -> str:
        """Return `out[n,c,h,w]: got ...` for an element of the values."""
        place = unravel(self.operation, np.array([self._offset_of(element)]), self.batch)
        index = ",".join(str(int(axis)) for axis in place)
        value = self.values[element]
        held = int(value.cpu().view(torch.int32)) & 0xFFFFFFFF
        note = " (never written)" if held == self.poison_bits else ""
        return f"out[{index}]: got {float(value):.9g}{note}, exact {float(self.truth.exact[element]):.9g}"

    def places(self) -> NDArray[np.int64]:
        """Return the flat offset of each value in the output."""
        whole = listed(self.offsets)
        return whole if self.rows is None else whole.reshape(-1, self._an_item)[self.rows].ravel()

    def error(self) -> Tensor:
        """Return how far each value is from the exact one, float64."""
        return error_of(self.values, self.truth)

    def bounded(self) -> Tensor:
        """Return which values have a bound."""
        return bounded_of(self.values, self.truth)

    def bound(self) -> Tensor:
        """Return the largest honest error of each value."""
        return hard_bound(self.operation, self.truth)

    def inexact(self) -> Tensor:
        """Return which values differ at all from the exact one, as the operation stores it."""
        exact = as_stored(self.operation, self.truth.exact).double()
        return exact.isfinite() & (self.values.double() != exact)

    def apart(self, vendor: Tensor) -> Tensor:
        """Return which values are further from the vendor's than both bounds allow."""
        return self.bounded() & ~((self.values.double() - vendor.double()).abs() <= 2 * self.bound())

    def _offset_of(self, element: int) -> int:
        if self.rows is None:
            return int(self.offsets[element])
        row, within = divmod(element, self._an_item)
        return int(self.offsets[int(self.rows[row]) * self._an_item + within])

    @property
    def _an_item(self) -> int:
        return math.prod(self.operation.output_shape(1))


def error_of(values: Tensor, truth: Truth) -> Tensor:
    """Return how far values [..., P] are from the exact ones [P], float64; infinite for not-a-number."""
    return (values.double() - truth.exact).abs().nan_to_num(nan=torch.inf, posinf=torch.inf)


def bounded_of(values: Tensor, truth: Truth) -> Tensor:
    """Return which values [..., P] have a bound: float64 is finite there, and NaN cannot come from nearby."""
    finite, beside = truth.exact.isfinite(), truth.beside_special
    return finite.expand_as(values) if beside is None else finite & (values.isfinite() | ~beside)


def has_ratio(operation: Operation, own: float) -> bool:
    """Whether the math's own rms error measures the answer's: transforms round also what is exact in it."""
    return operation.algorithm == "direct" or own > 0
