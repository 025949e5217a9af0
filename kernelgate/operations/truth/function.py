"""The truth by a function of the tensors, in plain PyTorch: the simplest way to declare an operation."""

from collections.abc import Callable, Mapping

import torch
from torch import Generator, Tensor

from kernelgate.operations.declaration.error_model import UNITS, ErrorModel, Math, Multilinear
from kernelgate.operations.draws.values import seeded
from kernelgate.operations.truth.reference import Positions, Tensors, Truth, round_to_tf32

Compute = Callable[..., Tensor]
"""Takes the tensors by name, of any one floating-point type, and returns the output in that type."""

ITEMS_AT_ONCE = 4096
"""Items along N that are computed together in float64."""


class FunctionReference:
    """`compute` in float64 is the truth; items along N are computed in parts.

    `free` names the inputs that have N, where it is the first axis of each of them and of the output, and
    items are independent. Else it is empty, and all is computed at once. `expression` is the same as text,
    for a script that shows a fault without the gate.
    """

    def __init__(
        self, compute: Compute, *, expression: str, free: tuple[str, ...], math: Math, model: ErrorModel
    ) -> None:
        self.compute, self.expression, self.free = compute, expression, free
        self.math, self.model = math, model

    def everywhere(self, tensors: Tensors, *, nearby: bool) -> Truth:
        """Return the truth at every output position."""
        del nearby  # a bound for any algorithm is a convolution's alone
        count = max((len(tensors[name]) for name in self.free), default=1)
        parts = [self._part(tensors, first) for first in range(0, count, ITEMS_AT_ONCE)] or [
            self._part(tensors, 0)
        ]
        joined = [torch.cat(each) for each in zip(*parts, strict=True)] if self.free else list(parts[0])
        return Truth(*joined)

    def at(self, tensors: Tensors, positions: Positions, *, nearby: bool) -> Truth:
        """Return the truth at these positions: whole items are computed, those that the positions name."""
        if not self.free:
            whole = self.everywhere(tensors, nearby=nearby)
            return Truth(whole.exact[positions], whole.magnitude[positions], whole.yardstick[positions])
        items, item = torch.unique(positions[0], return_inverse=True)
        some = {name: values[items] if name in self.free else values for name, values in tensors.items()}
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
        """Return exact values, magnitudes and yardstick of some items."""
        some = {
            name: values[first : first + ITEMS_AT_ONCE] if name in self.free else values
            for name, values in tensors.items()
        }
        doubles = {name: values.double() for name, values in some.items()}
        exact = self.compute(**doubles)
        rounded = {name: round_to_tf32(values) for name, values in some.items()} if self._rounds else some
        if isinstance(self.model, Multilinear):
            yardstick = self.compute(**{name: values.double() for name, values in rounded.items()})
            return exact, self.compute(**{k: v.abs() for k, v in doubles.items()}), _stored(yardstick)
        yardstick = self.compute(**{name: values.float() for name, values in rounded.items()}).double()
        return exact, self._measure(doubles, exact, self.model.draws), yardstick

    @property
    def _rounds(self) -> bool:
        return self.math == "tf32"

    def _measure(self, doubles: Mapping[str, Tensor], exact: Tensor, draws: int) -> Tensor:
        """Return how far the answer moves, in units of the math, when its operands are off by one unit."""
        unit = UNITS[self.math]
        moved = torch.zeros_like(exact)
        for draw in range(draws):
            off = {name: self._perturbed(name, values, unit, draw) for name, values in doubles.items()}
            apart = (self.compute(**off) - exact).abs() / unit
            moved = torch.maximum(moved, torch.where(apart.isfinite(), apart, 0))
        return moved + exact.abs()

    def _perturbed(self, name: str, values: Tensor, unit: float, draw: int) -> Tensor:
        """Return the values, each off by one unit up or down: in every item alike, in no two tensors alike.

        So an item's bound is the same wherever it stands. Tensors that were off alike would hide what their
        quotient or their difference loses.
        """
        seed = seeded(draw, name).initial_seed()
        generator = Generator(values.device).manual_seed(seed)
        shape = values.shape[1:] if name in self.free else values.shape
        signs = torch.randint(0, 2, shape, generator=generator, device=values.device).double() * 2 - 1
        return values * (1 + unit * signs)


def _stored(values: Tensor) -> Tensor:
    return values.float().double()
