"""How far an answer is from the truth, and from the vendor's: what all laws of values ask, at one look."""

import msgspec
import torch
from torch import Tensor

from kernelgate.operations.accuracy.answer import Answer, bounded_of, error_of, has_ratio
from kernelgate.operations.accuracy.bounds import hard_bound
from kernelgate.operations.declaration.error_model import FLOAT32_UNIT, Measured
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.truth.reference import Truth
from kernelgate.settings import LawLimits


class Errors(msgspec.Struct, frozen=True, kw_only=True):
    """How far an answer is from the truth: of the hard bound at the worst element, and rms in yardsticks."""

    bound_fraction: float = 0.0
    error_ratio: float = 0.0

    def worst(self, other: "Errors") -> "Errors":
        """Return the larger of both, field by field."""
        return Errors(
            bound_fraction=max(self.bound_fraction, other.bound_fraction),
            error_ratio=max(self.error_ratio, other.error_ratio),
        )


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What one look at an answer shows; the laws name the elements.

    `vendor` has the errors of the vendor's answer, and `apart` says that it is further away than both bounds
    allow. `inexact` says that an element of the answer is not what is exact.
    """

    errors: Errors = Errors()
    vendor: Errors | None = None
    apart: bool = False
    inexact: bool = False


def look_at(answer: Answer, limits: LawLimits, vendor: Tensor | None = None, *, exact: bool = False) -> Sight:
    """Return what an answer shows beside the truth, and beside the vendor's values [P] if there are any.

    Elements count where the truth is finite; not-a-number is an infinite error there. Fewer elements than
    `limits` ask for have no ratio, which stays 0. `exact` asks whether all are exact. Waits once for the GPU.
    """
    rows = [answer.values] if vendor is None else [answer.values, vendor]
    if not answer.values.numel():
        return Sight(vendor=None if vendor is None else Errors())
    operation, truth, values = answer.operation, answer.truth, torch.stack(rows)
    error, bounded = error_of(values, truth), bounded_of(values, truth)
    flags = [
        bounded.all(),
        *([answer.inexact().any()] if exact else []),
        *([] if vendor is None else [answer.apart(vendor).any()]),
    ]
    figures = torch.cat([torch.stack(flags).double(), _figures(operation, error, truth)]).tolist()
    is_whole, told, measured = figures[0], figures[1 : len(flags)], figures[len(flags) :]
    if is_whole:
        errors = _judge_figures(operation, limits, values.shape[1], measured)
    else:
        errors = [_errors_where(operation, limits, *row, truth) for row in zip(error, bounded, strict=True)]
    return Sight(
        errors=errors[0],
        vendor=None if vendor is None else errors[1],
        inexact=exact and bool(told[0]),
        apart=vendor is not None and bool(told[-1]),
    )


def _errors_where(
    operation: Operation, limits: LawLimits, error: Tensor, chosen: Tensor, truth: Truth
) -> Errors:
    """Return the errors of the chosen elements [P]: to choose costs more than all else."""
    error, truth = error[chosen], truth.at(chosen)
    if not error.numel():
        return Errors()
    figures = _figures(operation, error[None], truth).tolist()
    return _judge_figures(operation, limits, error.numel(), figures)[0]


def _judge_figures(
    operation: Operation, limits: LawLimits, elements: int, figures: list[float]
) -> list[Errors]:
    own, *rows = figures
    enough = elements >= limits.min_ratio_elements and has_ratio(operation, own)
    half = len(rows) // 2
    return [
        Errors(bound_fraction=fraction, error_ratio=ratio if enough else 0.0)
        for fraction, ratio in zip(rows[:half], rows[half:], strict=True)
    ]


def _figures(operation: Operation, error: Tensor, truth: Truth) -> Tensor:
    """Return the rms error of the math, then of each row of errors [R, P] its figures, flat float64.

    These are the largest error in bounds, of all rows, and the rms error in yardsticks, of all rows.
    """
    fraction = torch.where(error == 0, 0, error / hard_bound(operation, truth)).amax(-1)
    # Where operands are exact in the math the yardstick is zero, and float32 sums still round.
    own = rms(truth.yardstick - truth.exact)
    model = operation.error_model
    absolute = model.absolute if isinstance(model, Measured) else 0.0
    yardstick = own + FLOAT32_UNIT * rms(truth.magnitude) + absolute
    return torch.cat([own[None], fraction, torch.where(yardstick > 0, rms(error) / yardstick, 0)])


def rms(values: Tensor) -> Tensor:
    """Return the root of the mean square along the last axis, float64."""
    return values.double().square().mean(-1).sqrt()
