"""The truth by a function of the tensors, in plain PyTorch: the simplest way to declare an operation."""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Generator, Tensor

from kernelgate.operations.declaration.error_model import UNITS, ErrorModel, Math, Measured, Multilinear
from kernelgate.operations.truth.reference import Positions, Tensors, Truth, cut_to_tf32, round_to_tf32

Compute = Callable[..., Tensor]
"""Takes the tensors by name, of any one floating-point type, and returns the output in that type."""

ROWS_AT_ONCE = 256
"""Rows that are computed together in float64."""

MEASURED = Measured()

CUT_TO_ROUNDED = 2.6
"""So many times further off are sums of operands that are cut than of rounded ones, where signs are mixed.

Where all operands are positive the errors of cut ones add up, and no multiple of the others' is enough.
"""


class FunctionReference:
    """`compute` in float64 is the truth; rows, of the tensors named so, are computed in parts.

    A row of the output needs the same row of these tensors, and all of the others.

    Without `rows` all is computed at once. `expression` is the same as text, for a script that shows a fault
    without the gate.
    """

    def __init__(
        self,
        compute: Compute,
        expression: str,
        *,
        rows: tuple[str, ...],
        math: Math = "float32",
        error_model: ErrorModel = MEASURED,
    ) -> None:
        self.compute, self.expression, self.rows = compute, expression, rows
        self.math, self.error_model = math, error_model
        self.vendor_name = "PyTorch, TF32 allowed" if math == "tf32" else "PyTorch"

    def everywhere(self, tensors: Tensors, *, nearby: bool) -> Truth:
        """Return the truth at every output position."""
        del nearby  # a bound for any algorithm is a convolution's alone
        count = max((len(tensors[name]) for name in self.rows), default=1)
        parts = [self._part(tensors, first) for first in range(0, count, ROWS_AT_ONCE)]
        return Truth(*(torch.cat(each) for each in zip(*parts, strict=True)))

    def at(self, tensors: Tensors, positions: Positions, *, nearby: bool) -> Truth:
        """Return the truth at these positions: whole rows are computed, those that the positions name."""
        if not self.rows:
            whole = self.everywhere(tensors, nearby=nearby)
            return Truth(whole.exact[positions], whole.magnitude[positions], whole.yardstick[positions])
        items, item = torch.unique(positions[0], return_inverse=True)
        some = {name: values[items] if name in self.rows else values for name, values in tensors.items()}
        whole = self.everywhere(some, nearby=nearby)
        places = (item, *positions[1:])
        return Truth(whole.exact[places], whole.magnitude[places], whole.yardstick[places])

    def vendor(self, tensors: Tensors) -> Tensor:
        """Return what PyTorch's own kernels give in float32, with TF32 where the math allows it."""
        allowed = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = self.math == "tf32"
        try:
            return self.compute(**tensors)
        finally:
            torch.backends.cuda.matmul.allow_tf32 = allowed

    def script(self) -> tuple[str, str]:
        """Return expressions for the truth, and for what errors scale with."""
        return self.expression, f"({self.expression}).abs()"

    def _part(self, tensors: Tensors, first: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return exact values, magnitudes and yardstick of some rows."""
        some = {
            name: values[first : first + ROWS_AT_ONCE] if name in self.rows else values
            for name, values in tensors.items()
        }
        doubles = {name: values.double() for name, values in some.items()}
        exact = self.compute(**doubles)
        rounded = {name: round_to_tf32(values) for name, values in some.items()} if self._rounds else some
        if isinstance(self.error_model, Multilinear):
            yardstick = self.compute(**{name: values.double() for name, values in rounded.items()})
            return exact, self.compute(**{k: v.abs() for k, v in doubles.items()}), _stored(yardstick)
        yardstick = self.compute(**rounded).double()
        if self._rounds:
            cut = self.compute(**{name: cut_to_tf32(values) for name, values in some.items()}).double()
            yardstick = exact + _further(yardstick - exact, (cut - exact) / CUT_TO_ROUNDED)
        return exact, self._measure(doubles, exact, self.error_model.draws), yardstick

    @property
    def _rounds(self) -> bool:
        return self.math == "tf32"

    def _measure(self, doubles: Mapping[str, Tensor], exact: Tensor, draws: int) -> Tensor:
        """Return how far the answer moves, in units of the math, when its operands are off by one unit.

        One tensor at a time: where two move an element by chance against each other, it would seem to hold.
        """
        unit, moved = UNITS[self.math], exact.abs()
        for name, values in doubles.items():
            furthest = torch.zeros_like(exact)
            for off in _perturbed(values, unit, draws, by_row=name in self.rows):
                apart = (self.compute(**{**doubles, name: off}) - exact).abs_().div_(unit)
                furthest = torch.maximum(furthest, apart.nan_to_num_(0, 0))
            moved = moved + furthest
        return moved


def _perturbed(values: Tensor, unit: float, draws: int, *, by_row: bool) -> Iterator[Tensor]:
    """Yield the values one unit smaller, then each off by one unit up or down, so many times.

    Where rows are computed in parts all are off alike: a row's bound is the same wherever it stands.
    """
    yield values * (1 - unit)
    generator = Generator(values.device).manual_seed(0)
    shape = values.shape[1:] if by_row else values.shape
    for _ in range(draws):
        signs = torch.randint(0, 2, shape, generator=generator, device=values.device).double() * 2 - 1
        yield values * (1 + unit * signs)


def _further(one: Tensor, other: Tensor) -> Tensor:
    """Return of each element the error that is further from zero."""
    return torch.where(other.abs() > one.abs(), other, one)


def _stored(values: Tensor) -> Tensor:
    return values.float().double()
