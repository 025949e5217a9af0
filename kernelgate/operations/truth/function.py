"""The truth by a function of the tensors, in plain PyTorch: the simplest way to declare an operation."""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Generator, Tensor

from kernelgate.operations.declaration.error_model import UNITS, ErrorModel, Math, Measured, Multilinear
from kernelgate.operations.truth.reference import Positions, Tensors, Truth, cut_to_tf32, round_to_tf32

Compute = Callable[..., Tensor]
"""Takes the tensors by name, of any one floating-point type, and returns the output in that type."""

ROWS_AT_ONCE = 256
ELEMENTS_AT_ONCE = 2**22
"""Rows that are computed together in float64, fewer where a row has many elements."""

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
        if not self.rows:
            return Truth(*self._part(tensors, slice(None)))
        largest = max((tensors[name] for name in self.rows), key=Tensor.numel)
        count = len(largest)
        step = min(ROWS_AT_ONCE, max(1, ELEMENTS_AT_ONCE * count // max(1, largest.numel())))
        parts = [self._part(tensors, slice(first, first + step)) for first in range(0, count, step)]
        return Truth(*(torch.cat(each) for each in zip(*parts, strict=True)))

    def at(self, tensors: Tensors, positions: Positions, *, nearby: bool) -> Truth:
        """Return the truth at these positions: whole rows are computed, those that the positions name."""
        if not self.rows:
            whole = self.everywhere(tensors, nearby=nearby)
            return whole.at(positions) if whole.exact.dim() else whole.flattened().at(positions[0])
        items, item = torch.unique(positions[0], return_inverse=True)
        some = {name: values[items] if name in self.rows else values for name, values in tensors.items()}
        whole = self.everywhere(some, nearby=nearby)
        return whole.at((item, *positions[1:]))

    def vendor(self, tensors: Tensors) -> Tensor:
        """Return what PyTorch's own kernels give: TF32 where the math allows it, sums in float32."""
        matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
        before = matmul.allow_tf32, cudnn.allow_tf32, matmul.allow_bf16_reduced_precision_reduction
        matmul.allow_tf32 = cudnn.allow_tf32 = self.math == "tf32"
        matmul.allow_bf16_reduced_precision_reduction = False
        try:
            return self.compute(**tensors)
        finally:
            matmul.allow_tf32, cudnn.allow_tf32, matmul.allow_bf16_reduced_precision_reduction = before

    def script(self) -> tuple[str, str]:
        """Return expressions for the truth, and for what errors scale with."""
        return self.expression, f"({self.expression}).abs()"

    def _part(self, tensors: Tensors, rows: slice) -> tuple[Tensor, Tensor, Tensor]:
        """Return exact values, magnitudes and yardstick of some rows."""
        stored = next(iter(tensors.values())).dtype
        some = {
            name: (values[rows] if name in self.rows else values).float() for name, values in tensors.items()
        }
        doubles = {name: values.double() for name, values in some.items()}
        exact = self.compute(**doubles)
        rounded = {name: round_to_tf32(values) for name, values in some.items()} if self._rounds else some
        if isinstance(self.error_model, Multilinear):
            yardstick = self.compute(**{name: values.double() for name, values in rounded.items()})
            return (
                exact,
                self.compute(**{k: v.abs() for k, v in doubles.items()}),
                yardstick.to(stored).double(),
            )
        yardstick = self.compute(**rounded).to(stored).double()
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
        And how far it is off in float32 on such operands: by luck it may be right on any one of them.
        """
        unit, moved, own = UNITS[self.math], exact.abs(), torch.zeros_like(exact)
        singles = {name: values.float() for name, values in doubles.items()}
        for name, values in doubles.items():
            furthest = torch.zeros_like(exact)
            for off in _perturbed(values, unit, draws, by_row=name in self.rows):
                there = self.compute(**{**doubles, name: off.double()})
                furthest = torch.maximum(furthest, _apart(there, exact))
                own = torch.maximum(own, _apart(self.compute(**{**singles, name: off}).double(), there))
            moved = moved + furthest / unit
        return moved + own / unit


def _apart(some: Tensor, others: Tensor) -> Tensor:
    """Return how far values are from each other, 0 where that is no number."""
    return (some - others).abs().nan_to_num(0, 0)


def _perturbed(values: Tensor, unit: float, draws: int, *, by_row: bool) -> Iterator[Tensor]:
    """Yield the values in float32, one unit smaller, then each off by one unit up or down, so many times.

    Where rows are computed in parts all are off alike: a row's bound is the same wherever it stands.
    """
    yield (values * (1 - unit)).float()
    generator = Generator(values.device).manual_seed(0)
    shape = values.shape[1:] if by_row else values.shape
    for _ in range(draws):
        signs = torch.randint(0, 2, shape, generator=generator, device=values.device).double() * 2 - 1
        yield (values * (1 + unit * signs)).float()


def _further(one: Tensor, other: Tensor) -> Tensor:
    """Return of each element the error that is further from zero."""
    return torch.where(other.abs() > one.abs(), other, one)
