"""The truth by a function of the tensors, in plain PyTorch: the simplest way to declare an operation."""

from collections.abc import Callable, Mapping

import torch
from torch import Generator, Tensor

from kernelgate.operations.declaration.error_model import UNITS, ErrorModel, Math, Measured, Multilinear
from kernelgate.operations.truth.reference import Positions, Tensors, Truth, round_to_tf32, truncate_to_tf32

Compute = Callable[..., Tensor]
"""Takes the tensors by name, of any one floating-point type, and returns the output in that type."""

ROWS_AT_ONCE = 256
ELEMENTS_AT_ONCE = 2**22
"""Rows that are computed together in float64, fewer where a row has many elements."""

TRUNCATION = 2.6
"""Of operands of either sign, what their truncation errs more than their rounding, as cuDNN's measures; of
operands of one sign it is more, since all errors then have one sign too."""

MEASURED = Measured()


class FunctionReference:
    """`compute` in float64 is the truth; rows, of the tensors named so, are computed in parts.

    A row of the output needs the same row of these tensors, and all of the others.

    `expression` is the same as text, for a script that shows a fault without the gate.
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
        """Return what PyTorch's own kernels give in float32, with TF32 where the math allows it."""
        matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
        before = matmul.allow_tf32, cudnn.allow_tf32
        matmul.allow_tf32 = cudnn.allow_tf32 = self.math == "tf32"
        try:
            return self.compute(**tensors)
        finally:
            matmul.allow_tf32, cudnn.allow_tf32 = before

    def script(self) -> tuple[str, str]:
        """Return expressions for the truth, and for what errors scale with."""
        return self.expression, f"({self.expression}).abs()"

    def _part(self, tensors: Tensors, rows: slice) -> tuple[Tensor, Tensor, Tensor]:
        """Return exact values, magnitudes and yardstick of some rows."""
        some = {name: values[rows] if name in self.rows else values for name, values in tensors.items()}
        doubles = {name: values.double() for name, values in some.items()}
        exact = self.compute(**doubles)
        rounded = {name: round_to_tf32(values) for name, values in some.items()} if self._rounds else some
        if isinstance(self.error_model, Multilinear):
            yardstick = self.compute(**{name: values.double() for name, values in rounded.items()})
            return exact, self.compute(**{k: v.abs() for k, v in doubles.items()}), _stored(yardstick)
        yardstick = self.compute(**{name: values.float() for name, values in rounded.items()}).double()
        if self._rounds:
            cut = self.compute(**{name: truncate_to_tf32(values.float()) for name, values in some.items()})
            yardstick = _larger(exact, yardstick, exact + (cut.double() - exact) / TRUNCATION)
        return exact, self._measure(doubles, exact, self.error_model.draws), yardstick

    @property
    def _rounds(self) -> bool:
        return self.math == "tf32"

    def _measure(self, doubles: Mapping[str, Tensor], exact: Tensor, draws: int) -> Tensor:
        """Return how far the answer moves, in units of the math, when its operands are off by one unit.

        And how far it is off in float32 on such operands: by luck it may be right on any one of them.
        """
        unit = UNITS[self.math]
        moved = torch.zeros_like(exact)
        for draw in range(draws):
            off = {name: _perturbed(values, unit, draw).float() for name, values in doubles.items()}
            there = self.compute(**{name: values.double() for name, values in off.items()})
            for apart in ((there - exact).abs(), (self.compute(**off).double() - there).abs()):
                moved = torch.maximum(moved, torch.where(apart.isfinite(), apart, 0))
        return moved / unit + exact.abs()


def _perturbed(values: Tensor, unit: float, draw: int) -> Tensor:
    """Return the values, each off by one unit up or down."""
    generator = Generator(values.device).manual_seed(draw)
    signs = torch.randint(0, 2, values.shape, generator=generator, device=values.device).double() * 2 - 1
    return values * (1 + unit * signs)


def _larger(exact: Tensor, *yardsticks: Tensor) -> Tensor:
    """Return the yardstick of the larger error, over all elements."""
    return max(yardsticks, key=lambda each: float((each - exact).square().mean().nan_to_num()))


def _stored(values: Tensor) -> Tensor:
    return values.float().double()
