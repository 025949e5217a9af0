"""The laws that every answer must obey, each a small function: what is broken, where, got and allowed."""

import math
from collections.abc import Iterator

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kernelgate.operations.accuracy.bounds import hard_bound
from kernelgate.operations.declaration.error_model import FLOAT32_UNIT, Measured
from kernelgate.operations.declaration.operation import Operation
from kernelgate.operations.draws.tensors import as_stored
from kernelgate.operations.truth.places import Offsets, listed
from kernelgate.operations.truth.reference import Truth
from kernelgate.operations.truth.truth import unravel
from kernelgate.settings import LawLimits


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """A law that does not hold; `forbidden` tells breaking the rules from a wrong answer."""

    law: str
    detail: str
    forbidden: bool = False


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

    def _offset_of(self, element: int) -> int:
        if self.rows is None:
            return int(self.offsets[element])
        row, within = divmod(element, self._an_item)
        return int(self.offsets[int(self.rows[row]) * self._an_item + within])

    @property
    def _an_item(self) -> int:
        return math.prod(self.operation.output_shape(1))


def wrong_elements(answer: Answer, limits: LawLimits, *, exact: bool, special: bool) -> Tensor:
    """Return which elements break a law of values; `exact` and `special` as the family of values says.

    Where none does by itself, those whose error no rms error of the declared math explains.
    """
    if exact and answer.operation.keeps("exact"):
        return _inexact(answer)
    finite, error = _bounded(answer), _error(answer)
    wrong = finite & (error > hard_bound(answer.operation, answer.truth))
    if special:
        wrong |= _special_amiss(answer)
    usual = float(_rms((answer.truth.yardstick - answer.truth.exact)[finite]))
    if bool(wrong.any()) or not _has_ratio(answer.operation, usual):
        return wrong
    return finite & (error > limits.max_error_ratio * usual)


def worst_error(answer: Answer, wrong: Tensor) -> float:
    """Return the largest error among these elements, in hard bounds; infinite for NaN, 0 for none."""
    error, bound = _error(answer)[wrong], hard_bound(answer.operation, answer.truth)[wrong]
    return float(torch.where(error == 0, 0, error / bound).max()) if error.numel() else 0.0


def usual_error(answer: Answer, wrong: Tensor) -> float:
    """Return the median error of these elements as a share of what is exact; infinite for NaN, 0 for none."""
    share = (_error(answer) / answer.truth.exact.abs())[wrong].nan_to_num(nan=torch.inf, posinf=torch.inf)
    return float(share.median()) if share.numel() else 0.0


def _special_amiss(answer: Answer) -> Tensor:
    got, exact, beside = answer.values.double(), answer.truth.exact, answer.truth.beside_special
    if not answer.operation.keeps("special-values"):
        assert beside is not None
        return torch.where(exact.isfinite(), ~got.isfinite() & ~beside, got.isfinite())
    same = (got == exact) | (got.isnan() & exact.isnan())
    return ~same & ~(got.isfinite() & exact.isfinite())


def check_special_values(answer: Answer) -> Iterator[Broken]:
    """Yield if NaN or an infinity stands where float64 has none, or another one, or none where it has one.

    By any algorithm, if none stands where float64 has one, or one where float64 has none nearby: a transform
    makes NaN of an infinity, and may give it to all of its tile.
    """
    wrong = _special_amiss(answer)
    if bool(wrong.any()):
        worst = int(wrong.int().argmax())
        detail = f"{answer.name(worst)}; {int(wrong.sum())} elements are NaN or infinite amiss"
        yield Broken(law="special-values", detail=detail)


def check_exact(answer: Answer) -> Iterator[Broken]:
    """Yield if an element differs at all, where no sum of any order can round."""
    wrong = _inexact(answer)
    if bool(wrong.any()):
        worst = int(torch.where(wrong, _error(answer), -1).argmax())
        detail = (
            f"{answer.name(worst)}, allowed that value only; {int(wrong.sum())} of {wrong.numel()} differ"
        )
        yield Broken(law="exact", detail=detail)


def _inexact(answer: Answer) -> Tensor:
    exact = as_stored(answer.operation, answer.truth.exact).double()
    return exact.isfinite() & (answer.values.double() != exact)


def measure_errors(answer: Answer, limits: LawLimits) -> Errors:
    """Return the errors of an answer where the truth is finite; not-a-number counts as infinite there.

    Of fewer elements than `limits` ask for there is no ratio: it stays 0.
    """
    error, truth, finite = _error(answer), answer.truth, _bounded(answer)
    if not error.numel():
        return Errors()
    figures = torch.stack([finite.all().double(), *_figures(answer.operation, error, truth)])
    is_finite, fraction, ratio, own = figures.tolist()  # one wait for the GPU
    if not is_finite:  # to choose costs more than all else
        error, truth = error[finite], truth.at(finite)
        if not error.numel():
            return Errors()
        fraction, ratio, own = torch.stack(_figures(answer.operation, error, truth)).tolist()
    enough = error.numel() >= limits.min_ratio_elements and _has_ratio(answer.operation, own)
    return Errors(bound_fraction=fraction, error_ratio=ratio if enough else 0.0)


def _figures(operation: Operation, error: Tensor, truth: Truth) -> tuple[Tensor, Tensor, Tensor]:
    """Return the largest error in bounds, the rms error in yardsticks, and the rms error of the math."""
    fraction = torch.where(error == 0, 0, error / hard_bound(operation, truth)).max()
    # Where operands are exact in the math the yardstick is zero, and float32 sums still round.
    own = _rms(truth.yardstick - truth.exact)
    model = operation.error_model
    absolute = model.absolute if isinstance(model, Measured) else 0.0
    yardstick = own + FLOAT32_UNIT * _rms(truth.magnitude) + absolute
    return fraction, torch.where(yardstick > 0, _rms(error) / yardstick, 0), own


def check_bound(answer: Answer) -> Iterator[Broken]:
    """Yield the worst element beyond the hard bound."""
    error = _error(answer)
    bound = hard_bound(answer.operation, answer.truth)
    beyond = _bounded(answer) & (error > bound)
    if not bool(beyond.any()):
        return
    # Where the bound is zero an exact element divides zero by zero: only what is beyond may be named.
    worst = int(torch.where(beyond, error / bound, -1).argmax())
    yield Broken(
        law="hard-bound",
        detail=(
            f"{answer.name(worst)}: error {float(error[worst]):.3g}, allowed {float(bound[worst]):.3g}; "
            f"{int(beyond.sum())} of {beyond.numel()} elements are beyond the bound"
        ),
    )


def check_error_ratio(errors: Errors, limits: LawLimits) -> Iterator[Broken]:
    """Yield if the error as a whole is larger than the declared math explains."""
    if not errors.error_ratio <= limits.max_error_ratio:
        allowed = f"allowed {limits.max_error_ratio:g}"
        detail = f"rms error is {errors.error_ratio:.2f} times the declared math's own, {allowed}"
        yield Broken(law="error-ratio", detail=detail)


def check_second_opinion(answer: Answer, vendor: Tensor) -> Iterator[Broken]:
    """Yield if the vendor's answer and this one are further apart than both bounds allow."""
    apart = (answer.values.double() - vendor.double()).abs()
    allowed = 2 * hard_bound(answer.operation, answer.truth)
    beyond = _bounded(answer) & ~(apart <= allowed)
    if bool(beyond.any()):
        worst = int(torch.where(beyond, apart / allowed, -1).argmax())
        detail = (
            f"{answer.name(worst)}, the vendor {float(vendor[worst]):.9g}: {float(apart[worst]):.3g} apart"
        )
        yield Broken(law="second-opinion", detail=f"{detail}, allowed {float(allowed[worst]):.3g}")


def _bounded(answer: Answer) -> Tensor:
    """Return which elements have a bound: those finite in float64, but for NaN that may come from nearby."""
    finite, beside = answer.truth.exact.isfinite(), answer.truth.beside_special
    return finite if beside is None else finite & (answer.values.isfinite() | ~beside)


def _has_ratio(operation: Operation, own: float) -> bool:
    """Whether the math's own rms error measures the answer's: transforms round also what is exact in it."""
    return operation.algorithm == "direct" or own > 0


def _error(answer: Answer) -> Tensor:
    apart = (answer.values.double() - answer.truth.exact).abs()
    return apart.nan_to_num(nan=torch.inf, posinf=torch.inf)


def _rms(values: Tensor) -> Tensor:
    return values.double().square().mean().sqrt()
